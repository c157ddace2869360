//! Which models `doctor` judges recordings by: what a run would make of `--cascade_model`.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use spikegrid_core::cascade::ModelConfig;
use spikegrid_core::cascade::choice::InstalledModel;
use spikegrid_core::findings::{self, Code, Finding};

use crate::run::setup::load_model;
use crate::settings::model_search::{find_general_models, installed_models, rated_models};
use crate::settings::{AUTO_MODEL, ConfigError, DEFAULT_MODEL, NoChoice, check_model_name};

/// The installed models, and what a run would make of `--cascade_model`.
pub(super) struct Models {
    /// Those among which `--cascade_model auto` chooses (rule 4.9).
    pub(super) general: Result<Vec<InstalledModel>, NoChoice>,
    /// All of them.
    rated: Vec<InstalledModel>,
    pub(super) asked: Asked,
    model_dir: Option<PathBuf>,
    /// Of the models that `--cascade_model auto` took, by name: frames of the window, or why the model cannot be read.
    taken: HashMap<String, Result<usize, String>>,
}

/// The model that the user wants to have checked.
pub(super) enum Asked {
    Nothing,
    Auto,
    Named {
        model: InstalledModel,
        /// Frames of the network's window.
        windowsize: usize,
    },
    /// It is not there or cannot be read: why.
    Unusable(String),
}

impl Models {
    /// Finds the models, and reads the one that is named.
    ///
    /// # Errors
    /// What is named cannot be a model's name.
    pub(super) fn find(
        cascade_model: Option<&str>,
        model_dir: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let asked = match cascade_model {
            None => Asked::Nothing,
            Some(AUTO_MODEL) => Asked::Auto,
            Some(name) => {
                check_model_name(name)?;
                match read_config_of(name, model_dir) {
                    Ok(config) => Asked::Named {
                        windowsize: config.windowsize,
                        model: InstalledModel::new(name, &config),
                    },
                    Err(error) => Asked::Unusable(error.to_string()),
                }
            }
        };
        Ok(Self {
            general: find_general_models(model_dir),
            rated: rated_models(&installed_models(model_dir)),
            asked,
            model_dir: model_dir.map(Path::to_path_buf),
            taken: HashMap::new(),
        })
    }

    /// What is to be said of a recording's frames with the model that `--cascade_model auto` takes for it, if the user asked for that.
    ///
    /// # Errors
    /// The model cannot be read.
    pub(super) fn take(&mut self, name: &str, frames: usize) -> Result<Option<Finding>, String> {
        if !matches!(self.asked, Asked::Auto) {
            return Ok(None);
        }
        let taken = self.taken.entry(name.to_owned()).or_insert_with(|| {
            let config = read_config_of(name, self.model_dir.as_deref());
            config
                .map(|config| config.windowsize)
                .map_err(|error| error.to_string())
        });
        taken
            .clone()
            .map(|windowsize| findings::of_length(frames, windowsize))
    }

    /// Why a run could not start.
    pub(super) fn error(&self) -> Option<String> {
        match (&self.asked, &self.general) {
            (Asked::Unusable(reason), _) => Some(reason.clone()),
            (Asked::Auto, Err(reason)) => Some(format!("--cascade_model {AUTO_MODEL}: {reason}")),
            _ => None,
        }
    }

    /// Whether a run without `--cascade_model` could not start: the default model is not there, or its configuration cannot be read.
    pub(super) fn lack_default(&self) -> bool {
        let has_default = self.rated.iter().any(|model| model.name == DEFAULT_MODEL);
        matches!(self.asked, Asked::Nothing) && !has_default
    }

    /// The rate of the named model in Hz.
    pub(super) fn named_rate(&self) -> Option<f64> {
        match &self.asked {
            Asked::Named { model, .. } => Some(model.rate_hz),
            _ => None,
        }
    }

    /// What is to be said of a recording's rate in Hz and its frames.
    pub(super) fn findings(&self, rate_hz: Option<f64>, frames: usize) -> Vec<Finding> {
        let of_rate = match &self.asked {
            Asked::Named { model, .. } => findings::of_rate(rate_hz, model, || self.rated.clone()),
            // To choose a model without a rate is a failure.
            Asked::Auto => None,
            Asked::Nothing | Asked::Unusable(_) if rate_hz.is_none() => Some(Finding::new(
                Code::UnknownRate,
                "Neither the recording nor --sampling_rate says the sampling rate.",
                "A run takes the model's rate. Say the recording's with --sampling_rate.",
            )),
            Asked::Nothing => {
                let default = self.rated.iter().find(|model| model.name == DEFAULT_MODEL);
                default.and_then(|model| findings::of_rate(rate_hz, model, || self.rated.clone()))
            }
            Asked::Unusable(_) => None,
        };
        let of_length = match &self.asked {
            Asked::Named { windowsize, .. } => findings::of_length(frames, *windowsize),
            _ => None,
        };
        of_rate.into_iter().chain(of_length).collect()
    }
}

/// The configuration of a model, all of which is read as a run reads it; prints the warnings.
fn read_config_of(name: &str, model_dir: Option<&Path>) -> Result<ModelConfig, Box<dyn Error>> {
    let model = load_model(name, model_dir)?;
    for warning in &model.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(model.config)
}
