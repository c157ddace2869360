//! A CASCADE model as plain data: what is read from a folder, and what ranks send each other.

use serde::{Deserialize, Serialize};

use super::benchmark::Benchmark;
use super::config::ModelConfig;
use super::weights::Weights;

/// A model folder in memory: configuration and an ensemble for each noise level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What `config.yaml` says.
    pub config: ModelConfig,
    /// In the order of the configuration's `noise_levels`; never empty.
    pub levels: Vec<Level>,
    /// Hexadecimal SHA-256 over `config.yaml` and the weight files: of the lines `name NUL sha256-of-the-file LF`, sorted by
    /// name.
    pub sha256: String,
    /// How well its rates agreed with known spikes; none where nobody has measured it.
    pub benchmark: Option<Benchmark>,
    /// What the user should know about the folder, one line each.
    pub warnings: Vec<String>,
}

/// The ensemble for one noise level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// One of the configuration's `noise_levels`.
    pub noise_level: i32,
    /// In the order of their numbers; never empty.
    pub members: Vec<Weights>,
}
