//! How a model is trained: the keys of `config.yaml` that inference passes over.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use spikegrid_core::cascade::ModelConfig;
use spikegrid_files::models::ModelError;
use spikegrid_files::models::folder::{hex, parse_yaml, read_config};

use super::ground_truth::Dataset;

/// Begins what is hashed into the identity of a member. Its number changes whenever the same recipe gives other weights.
const TRAINING: &[u8] = b"spikegrid-mpi training 2\0";

/// The recipe of a training. Without the last seven keys every dataset has the same share, all errors the same weight, and
/// recordings are used at their own speed, as in CASCADE. What differs from CASCADE in any case: a rate belongs to the frame
/// that rule 4.4 names; noise is new in every step and of a range of sizes (see
/// [`Recording::noise_range`](super::recording::Recording::noise_range)), where CASCADE makes replicas, more of quieter
/// recordings; short trials are joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Names of the folders of ground truth.
    pub training_datasets: Vec<String>,
    /// `Adagrad`, as in all of CASCADE's models.
    pub optimizer: String,
    /// `mean_squared_error`, likewise.
    pub loss_function: String,
    /// Frames that make a step; of some, near the seams of recordings, no rate is learnt.
    pub batch_size: usize,
    /// Largest step of a weight.
    #[serde(default = "cascades_learning_rate")]
    pub learning_rate: f64,
    /// Windows that a member sees before it is done.
    #[serde(default = "default_frames")]
    pub training_frames: u64,
    /// Member `k` has the random numbers of seed + `k`: compare trainings whose seeds lie further apart than an ensemble has
    /// members.
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
    /// Added noise is multiplied by random factors up to this much smaller and larger, as a logarithm.
    #[serde(default)]
    pub noise_spread: f32,
    /// Absolute errors count besides the squared ones, times this and the standard deviation of the recording's spike rate: the few
    /// large errors of bursts outweigh the rest less.
    #[serde(default)]
    pub absolute_error: f32,
    /// Recordings of at least this part of a dataset's length are [simulated](super::simulated) from its spikes, and count as a dataset of
    /// their own.
    #[serde(default)]
    pub simulated_part: f64,
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
        let recipe: Self = parse_yaml(text, path)?;
        match recipe.problem() {
            None => Ok(recipe),
            Some((key, expected, found)) => Err(ModelError::ConfigValue {
                path: path.into(),
                key,
                expected: expected.into(),
                found,
            }),
        }
    }

    /// The first value with which nothing can be trained: key, what was expected, what was found.
    fn problem(&self) -> Option<(&'static str, &'static str, String)> {
        let fraction = |value: f64| (0.0..=2.0).contains(&value);
        let names = &self.training_datasets;
        let distinct: BTreeSet<&String> = names.iter().collect();
        let folder =
            |name: &&String| matches!(name.as_str(), "" | "." | "..") || name.contains('/');
        let checks = [
            (
                "training_datasets",
                !names.is_empty()
                    && distinct.len() == names.len()
                    && !names.iter().any(|name| folder(&name)),
                "at least one name of a folder, each once",
                format!("{names:?}"),
            ),
            (
                "training_frames",
                self.training_frames > 0,
                "at least 1",
                self.training_frames.to_string(),
            ),
            (
                "optimizer",
                self.optimizer == "Adagrad",
                "Adagrad",
                self.optimizer.clone(),
            ),
            (
                "loss_function",
                self.loss_function == "mean_squared_error",
                "mean_squared_error",
                self.loss_function.clone(),
            ),
            (
                "batch_size",
                (1..=1 << 16).contains(&self.batch_size),
                "1 to 65536 frames",
                self.batch_size.to_string(),
            ),
            (
                "learning_rate",
                self.learning_rate > 0.0 && self.learning_rate <= 1.0,
                "a number above 0, at most 1",
                self.learning_rate.to_string(),
            ),
            (
                "time_stretch",
                (0.0..=1.0).contains(&self.time_stretch),
                "0 to 1",
                self.time_stretch.to_string(),
            ),
            (
                "amplitude_spread",
                (0.0..=1.0).contains(&self.amplitude_spread),
                "0 to 1",
                self.amplitude_spread.to_string(),
            ),
            (
                "dataset_balance",
                fraction(self.dataset_balance),
                "0 to 2",
                self.dataset_balance.to_string(),
            ),
            (
                "variance_weighting",
                fraction(self.variance_weighting),
                "0 to 2",
                self.variance_weighting.to_string(),
            ),
            (
                "noise_spread",
                (0.0..=1.0).contains(&self.noise_spread),
                "0 to 1",
                self.noise_spread.to_string(),
            ),
            (
                "absolute_error",
                (0.0..=100.0).contains(&self.absolute_error),
                "0 to 100",
                self.absolute_error.to_string(),
            ),
            (
                "simulated_part",
                (0.0..=1.0).contains(&self.simulated_part),
                "0 to 1",
                self.simulated_part.to_string(),
            ),
        ];
        let mut checks = checks.into_iter();
        let (key, _, expected, found) = checks.find(|(_, holds, ..)| !holds)?;
        Some((key, expected, found))
    }

    /// What the weights depend on, hashed: architecture, recipe, ground truth and the way of training, but not which noise
    /// levels and how many members are wanted, nor names.
    pub fn provenance(&self, config: &ModelConfig, datasets: &[Dataset]) -> String {
        let mut hash = Sha256::new();
        hash.update(TRAINING);
        let [size1, size2, size3] = config.filter_sizes;
        let [channels1, channels2, channels3] = config.filter_numbers;
        for number in [
            size1,
            size2,
            size3,
            channels1,
            channels2,
            channels3,
            config.dense_expansion,
            config.windowsize,
            self.batch_size,
        ] {
            hash.update((number as u64).to_le_bytes());
        }
        for number in [
            self.training_frames,
            self.seed,
            u64::from(config.causal_kernel != 0),
        ] {
            hash.update(number.to_le_bytes());
        }
        for number in [
            config.sampling_rate,
            config.smoothing,
            config.before_frac,
            self.learning_rate,
            self.time_stretch,
            f64::from(self.amplitude_spread),
            self.dataset_balance,
            self.variance_weighting,
            f64::from(self.noise_spread),
            f64::from(self.absolute_error),
        ] {
            hash.update(number.to_le_bytes());
        }
        // Members that were trained before there were simulated recordings keep their identity.
        if self.simulated_part > 0.0 {
            hash.update(self.simulated_part.to_le_bytes());
        }
        let mut count = |count: usize, values: &[f64]| {
            hash.update((count as u64).to_le_bytes());
            values
                .iter()
                .for_each(|value| hash.update(value.to_le_bytes()));
        };
        for dataset in datasets {
            count(dataset.neurons.len(), &[]);
            for neuron in &dataset.neurons {
                count(neuron.trials.len(), &[]);
                for trial in &neuron.trials {
                    count(trial.dff.len(), &trial.dff);
                    count(trial.spikes.len(), &trial.spikes);
                    count(1, &[trial.frame_rate]);
                }
            }
        }
        hex(&hash.finalize())
    }
}

/// The datasets that the `config.yaml` of the model folder `dir` names; None without such a list.
pub fn training_datasets(dir: &Path) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Datasets {
        training_datasets: Vec<String>,
    }
    let path = dir.join("config.yaml");
    let datasets: Datasets = parse_yaml(&read_config(&path).ok()?, &path).ok()?;
    Some(datasets.training_datasets)
}
