//! Training of CASCADE models on ground truth.
//!
//! ```text
//! ground truth (CAttached) ─ ground_truth ─▶ trials ─ recording ─▶ ΔF/F, smoothed spike rate at the model's frame rate
//!    ─ material ─▶ steps of noisy segments, as one trace each ─ fit ─▶ a member's weights
//! ```
//!
//! - [`recipe`]: the keys of `config.yaml` that say how to train
//! - [`ground_truth`]: simultaneous recordings of calcium and spikes; [`recording`]: as the network sees them, with noise
//! - [`simulated`]: recordings of made-up indicators beside them
//! - [`material`]: what the network sees in a step
//! - [`fit`]: one member's training, of the [`Network`](spikegrid_inference::network::Network) that inference evaluates too
//! - [`run`], `coordinator`: the members over ranks; [`evaluate`]: how good a model is
//!
//! After Rupprecht et al. 2021 (see [`cascade`](spikegrid_core::cascade)); what differs is said where it is done.

mod coordinator;
pub mod evaluate;
pub mod fit;
pub mod ground_truth;
pub mod material;
pub mod recipe;
pub mod recording;
pub mod run;
pub mod simulated;

use std::path::PathBuf;

use ground_truth::GroundTruthError;
use spikegrid_files::models::ModelError;
use thiserror::Error;

use crate::settings::ConfigError;

/// Why a model can't be trained or evaluated.
#[derive(Debug, Error)]
pub enum TrainingError {
    #[error(transparent)]
    GroundTruth(#[from] GroundTruthError),
    #[error(transparent)]
    NoModel(#[from] ConfigError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "noise level {level}: no recording of the datasets is at least {windowsize} frames long and quiet enough"
    )]
    NothingToTrain { level: i32, windowsize: usize },
    #[error(
        "{}: expected a member trained by this configuration on this ground truth, found another; \
         give another --output, or remove the file to train the member again", path.display()
    )]
    OtherRecipe { path: PathBuf },
    #[error(
        "{}: expected nothing but members of {levels:?} numbered below {ensemble_size} as .safetensors, found this file; \
         give another --output", path.display()
    )]
    ForeignMember {
        path: PathBuf,
        levels: Vec<i32>,
        ensemble_size: usize,
    },
    #[error("{}: expected checksum {expected} (SHA256SUMS), found {found}; remove the file to train the member again", path.display())]
    Damaged {
        path: PathBuf,
        expected: String,
        found: String,
    },
    #[error("--output {}: expected a path in UTF-8", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("the loss became {loss} after {seen} frames; try a smaller learning_rate")]
    Diverged { loss: f32, seen: u64 },
    #[error("there are no spikes in the recordings of this noise level")]
    NoSpikes,
    #[error(
        "{networks} networks learnt no more than the mean rate; try a smaller learning_rate or more training_frames"
    )]
    LearntNothing { networks: usize },
    // candle adds a backtrace
    #[error("training: {}", .0.to_string().lines().next().unwrap_or_default())]
    Computation(#[from] candle_core::Error),
}

#[cfg(test)]
mod tests;
