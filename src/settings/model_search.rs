//! Where models are looked for (rule 1.3).

use std::path::{Path, PathBuf};

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
    let mut present: Vec<String> = installed_models(model_dir)
        .iter()
        .filter_map(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()))
        .collect();
    present.sort();
    present.dedup();
    Err(ConfigError::NoModel {
        name: name.to_string(),
        searched: searched
            .iter()
            .map(|folder| folder.display().to_string())
            .collect::<Vec<_>>()
            .join(", "),
        found: if present.is_empty() {
            "none".to_string()
        } else {
            present.join(", ")
        },
    })
}
