//! Which models `doctor` judges recordings by: what a run would make of `--cascade_model`.

use std::path::Path;

use spikegrid_core::cascade::choice::InstalledModel;
use spikegrid_core::findings::{self, Code, Finding};

use crate::run::setup::load_model;
use crate::settings::model_search::{find_general_models, installed_models, rated_models};
use crate::settings::{AUTO_MODEL, ConfigError, NoChoice, check_model_name};

/// The installed models, and what a run would make of `--cascade_model`.
pub(super) struct Models {
    /// Those among which `--cascade_model auto` chooses (rule 4.9).
    pub(super) general: Result<Vec<InstalledModel>, NoChoice>,
    /// All of them.
    rated: Vec<InstalledModel>,
    pub(super) asked: Asked,
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
                match load_model(name, model_dir) {
                    Ok(model) => {
                        for warning in &model.warnings {
                            eprintln!("warning: {warning}");
                        }
                        Asked::Named {
                            windowsize: model.config.windowsize,
                            model: InstalledModel::new(name, &model.config),
                        }
                    }
                    Err(error) => Asked::Unusable(error.to_string()),
                }
            }
        };
        Ok(Self {
            general: find_general_models(model_dir),
            rated: rated_models(&installed_models(model_dir)),
            asked,
        })
    }

    /// Why a run could not start.
    pub(super) fn error(&self) -> Option<String> {
        match (&self.asked, &self.general) {
            (Asked::Unusable(reason), _) => Some(reason.clone()),
            (Asked::Auto, Err(reason)) => Some(format!("--cascade_model {AUTO_MODEL}: {reason}")),
            _ => None,
        }
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
            _ => rate_hz.is_none().then(|| {
                Finding::new(
                    Code::UnknownRate,
                    "Neither the recording nor --sampling_rate says the sampling rate.",
                    "A run takes the model's rate. Say the recording's with --sampling_rate.",
                )
            }),
        };
        let of_length = match &self.asked {
            Asked::Named { windowsize, .. } => findings::of_length(frames, *windowsize),
            _ => None,
        };
        of_rate.into_iter().chain(of_length).collect()
    }
}
