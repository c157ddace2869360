//! How a model is trained: the keys of `config.yaml` that inference passes over.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ground_truth::Dataset;
use crate::cascade::{ModelConfig, ModelError};

/// The recipe of a training. CASCADE's own keys have CASCADE's meaning; the last five are this program's, and without
/// them the training is as published, but for the frame that a window's rate belongs to (rule 4.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Names of the folders of ground truth.
    pub training_datasets: Vec<String>,
    /// `Adagrad`, as in all of CASCADE's models.
    pub optimizer: String,
    /// `mean_squared_error`, likewise.
    pub loss_function: String,
    /// Windows and frames around them that make a step.
    pub batch_size: usize,
    /// Largest step of a weight.
    #[serde(default = "cascades_learning_rate")]
    pub learning_rate: f64,
    /// Windows that a member sees before it is done.
    #[serde(default = "default_frames")]
    pub training_frames: u64,
    #[serde(default)]
    pub seed: u64,
    /// Recordings are also used slower and faster by up to this factor, as a logarithm.
    #[serde(default)]
    pub time_stretch: f64,
    /// Fluorescence is scaled by random factors with this standard deviation of their logarithm.
    #[serde(default)]
    pub amplitude_spread: f32,
    /// `p`: a dataset's share of the frames grows with its length to this power; 0 for equal shares.
    #[serde(default)]
    pub dataset_balance: f64,
    /// `p`: squared errors are divided by the variance of the recording's spike rate to this power.
    #[serde(default)]
    pub variance_weighting: f64,
}

fn cascades_learning_rate() -> f64 {
    0.05
}

fn default_frames() -> u64 {
    10_000_000
}

impl Recipe {
    /// Reads and checks the recipe in the text of the configuration at `path`.
    ///
    /// # Errors
    /// Keys that are missing, of another type, or of a value with which nothing can be trained.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ModelError> {
        let recipe: Self = serde_saphyr::from_str(text).map_err(|error| ModelError::Config {
            path: path.into(),
            reason: error.to_string().lines().next().unwrap_or_default().into(),
        })?;
        let fraction = |value: f64| (0.0..=2.0).contains(&value);
        let checks = [
            (
                "training_datasets",
                !recipe.training_datasets.is_empty(),
                "at least one",
                format!("{:?}", recipe.training_datasets),
            ),
            (
                "optimizer",
                recipe.optimizer == "Adagrad",
                "Adagrad",
                recipe.optimizer.clone(),
            ),
            (
                "loss_function",
                recipe.loss_function == "mean_squared_error",
                "mean_squared_error",
                recipe.loss_function.clone(),
            ),
            (
                "batch_size",
                (1..=1 << 20).contains(&recipe.batch_size),
                "1 to 1048576 frames",
                recipe.batch_size.to_string(),
            ),
            (
                "learning_rate",
                recipe.learning_rate > 0.0 && recipe.learning_rate <= 1.0,
                "a number above 0, at most 1",
                recipe.learning_rate.to_string(),
            ),
            (
                "time_stretch",
                (0.0..=1.0).contains(&recipe.time_stretch),
                "0 to 1",
                recipe.time_stretch.to_string(),
            ),
            (
                "amplitude_spread",
                (0.0..=1.0).contains(&recipe.amplitude_spread),
                "0 to 1",
                recipe.amplitude_spread.to_string(),
            ),
            (
                "dataset_balance",
                fraction(recipe.dataset_balance),
                "0 to 2",
                recipe.dataset_balance.to_string(),
            ),
            (
                "variance_weighting",
                fraction(recipe.variance_weighting),
                "0 to 2",
                recipe.variance_weighting.to_string(),
            ),
        ];
        match checks.into_iter().find(|(_, fine, ..)| !fine) {
            None => Ok(recipe),
            Some((key, _, expected, found)) => Err(ModelError::ConfigValue {
                path: path.into(),
                key,
                expected: expected.into(),
                found,
            }),
        }
    }

    /// What the weights depend on, hashed: architecture, recipe and ground truth, but not which noise levels and how many
    /// members are wanted.
    pub fn provenance(&self, config: &ModelConfig, datasets: &[Dataset]) -> String {
        let config = ModelConfig {
            noise_levels: Vec::new(),
            ensemble_size: 0,
            ..config.clone()
        };
        let mut hash = Sha256::new();
        hash.update(format!("{config:?} {self:?}"));
        for neuron in datasets.iter().flat_map(|dataset| &dataset.neurons) {
            for trial in &neuron.trials {
                let values = trial
                    .dff
                    .iter()
                    .chain([&trial.frame_rate])
                    .chain(&trial.spikes);
                values.for_each(|value| hash.update(value.to_le_bytes()));
            }
        }
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
