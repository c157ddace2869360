//! Where models are looked for (rule 1.3).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use spikegrid_core::cascade::choice::InstalledModel;
use spikegrid_files::models::folder::{parse_config, read_config};

use super::ConfigError;

/// The folders in which models are looked for, in this order (rule 1.3).
pub(crate) fn model_folders(model_dir: Option<&Path>) -> Vec<PathBuf> {
    if let Some(folder) = model_dir {
        return vec![folder.to_path_buf()];
    }
    let mut folders = vec![PathBuf::from("models")];
    let program = std::env::current_exe().ok();
    if let Some(bin) = program.as_deref().and_then(Path::parent) {
        folders.push(bin.join("models"));
        if let Some(prefix) = bin.parent() {
            folders.push(prefix.join("share/spikegrid-mpi/models"));
        }
    }
    folders
}

/// The model folders there, by folder and name.
pub(crate) fn installed_models(model_dir: Option<&Path>) -> Vec<PathBuf> {
    let mut installed = Vec::new();
    for folder in model_folders(model_dir) {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut models: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join("config.yaml").is_file())
            .collect();
        models.sort_unstable();
        installed.extend(models);
    }
    installed
}

/// What one chooses by of the models in these folders, without those whose configuration cannot be read. Of two that have one name, the name
/// stands for the first.
pub(crate) fn rated_models(folders: &[PathBuf]) -> Vec<InstalledModel> {
    let mut names = HashSet::new();
    let rated = folders.iter().filter_map(|folder| {
        let name = folder.file_name()?.to_string_lossy();
        if !names.insert(name.clone()) {
            return None;
        }
        let path = folder.join("config.yaml");
        let text = read_config(&path).ok()?;
        let config = parse_config(&text, &path).ok()?;
        Some(InstalledModel::new(&name, &config))
    });
    rated.collect()
}

/// Finds the folder of a model: in `model_dir` if given, else in `./models`, in `models` beside the program, or in
/// `<prefix>/share/spikegrid-mpi/models` (rule 1.3).
///
/// # Errors
/// Names the folders searched and the models that are there.
pub(crate) fn find_model(name: &str, model_dir: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let searched = model_folders(model_dir);
    if let Some(found) = searched
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_dir())
    {
        return Ok(found);
    }
    let (searched, found) = searched_and_found(model_dir);
    Err(ConfigError::NoModel {
        name: name.to_string(),
        searched,
        found,
    })
}

/// The models that `--cascade_model auto` may choose (rule 4.9), at least one.
///
/// # Errors
/// There is none: names the folders searched and the models that are there.
pub(crate) fn find_general_models(
    model_dir: Option<&Path>,
) -> Result<Vec<InstalledModel>, ConfigError> {
    let mut models = rated_models(&installed_models(model_dir));
    models.retain(InstalledModel::is_general);
    if !models.is_empty() {
        return Ok(models);
    }
    let (searched, found) = searched_and_found(model_dir);
    Err(ConfigError::NoGeneralModel { searched, found })
}

/// The folders in which models are looked for, and the names of those that are there, in words.
fn searched_and_found(model_dir: Option<&Path>) -> (String, String) {
    let folders = model_folders(model_dir);
    let searched: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let mut found: Vec<String> = installed_models(model_dir)
        .iter()
        .filter_map(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()))
        .collect();
    found.sort();
    found.dedup();
    let found = match found.is_empty() {
        true => "none".to_owned(),
        false => found.join(", "),
    };
    (searched.join(", "), found)
}
