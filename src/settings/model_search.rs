//! Where models are looked for (rule 1.3).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use spikegrid_core::cascade::choice::{self, InstalledModel};
use spikegrid_files::models::ModelError;
use spikegrid_files::models::folder::{member_files, parse_config, read_config};

use super::{ConfigError, NoChoice};

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

/// The model folders there, by folder and name, each once.
pub(crate) fn installed_models(model_dir: Option<&Path>) -> Vec<PathBuf> {
    folders(model_dir, has_config)
}

/// The same, and folders of members without a configuration: of models that lost it, or that are being trained.
pub(crate) fn models_and_remains(model_dir: Option<&Path>) -> Vec<PathBuf> {
    let has_members = |path: &Path| member_files(path).is_ok_and(|found| !found.is_empty());
    folders(model_dir, |path| has_config(path) || has_members(path))
}

/// The folders in which models are looked for that are models.
fn folders(model_dir: Option<&Path>, is_model: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut installed = Vec::new();
    let mut seen = HashSet::new();
    for folder in model_folders(model_dir) {
        if !folder
            .canonicalize()
            .is_ok_and(|folder| seen.insert(folder))
        {
            continue;
        }
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut models: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_model(path))
            .collect();
        models.sort_unstable();
        installed.extend(models);
    }
    installed
}

/// Whether a folder has a configuration, readable or not.
fn has_config(path: &Path) -> bool {
    path.join("config.yaml").symlink_metadata().is_ok()
}

/// What one chooses by of the models in these folders, without those whose configuration cannot be read. Of two that have one name, the name
/// stands for the first.
pub(crate) fn rated_models(folders: &[PathBuf]) -> Vec<InstalledModel> {
    first_of_each_name(folders)
        .filter_map(|folder| rated(folder).ok())
        .collect()
}

/// The folders without those that have the name of an earlier one.
fn first_of_each_name(folders: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    let mut names = HashSet::new();
    folders
        .iter()
        .filter(move |folder| names.insert(folder.file_name()))
}

/// What one chooses by of the model in this folder.
fn rated(folder: &Path) -> Result<InstalledModel, ModelError> {
    let path = folder.join("config.yaml");
    let config = parse_config(&read_config(&path)?, &path)?;
    Ok(InstalledModel::new(&name_of(folder), &config))
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Finds the folder of a model: in `model_dir` if given, else in `./models`, in `models` beside the program, or in
/// `<prefix>/share/spikegrid-mpi/models` (rule 1.3).
///
/// # Errors
/// Names the folders searched and the models that are there.
pub(crate) fn find_model(name: &str, model_dir: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let named: Vec<PathBuf> = model_folders(model_dir)
        .iter()
        .map(|folder| folder.join(name))
        .filter(|path| path.is_dir())
        .collect();
    let model = named.iter().find(|path| has_config(path));
    if let Some(found) = model.or(named.first()) {
        return Ok(found.clone());
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
/// There is none: names the folders searched and the models that are there. Or one of them cannot be read: without it, another would be
/// taken in its place.
pub(crate) fn find_general_models(
    model_dir: Option<&Path>,
) -> Result<Vec<InstalledModel>, NoChoice> {
    let installed = installed_models(model_dir);
    let general =
        first_of_each_name(&installed).filter(|folder| choice::is_of_all(&name_of(folder)));
    let models: Result<Vec<_>, _> = general.map(|folder| rated(folder)).collect();
    let mut models = models.map_err(|source| NoChoice::Unreadable(source.to_string()))?;
    models.retain(InstalledModel::is_general);
    if !models.is_empty() {
        return Ok(models);
    }
    let (searched, found) = searched_and_found(model_dir);
    Err(NoChoice::NoGeneralModel { searched, found })
}

/// The folders in which models are looked for, and the names of those that are there, in words.
pub(crate) fn searched_and_found(model_dir: Option<&Path>) -> (String, String) {
    let folders = model_folders(model_dir);
    let searched: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let mut found: Vec<String> = installed_models(model_dir)
        .iter()
        .map(|folder| name_of(folder))
        .collect();
    found.sort();
    found.dedup();
    let found = match found.is_empty() {
        true => "none".to_owned(),
        false => found.join(", "),
    };
    (searched.join(", "), found)
}
