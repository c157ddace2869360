//! What can be wrong with a model folder.

use std::path::PathBuf;

use thiserror::Error;

/// Why a model folder was refused: which file, what was expected, what was found.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The folder or its `config.yaml` is not there, or a file can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// `config.yaml` is not the YAML mapping that CASCADE writes.
    #[error("{}: not a CASCADE configuration: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A value of `config.yaml` that no CASCADE network can have.
    #[error("{}: {key}: expected {expected}, found {found}", path.display())]
    ConfigValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// `config.yaml` lists a noise level that has no weight file.
    #[error(
        "{}: noise level {level}: expected Model_NoiseLevel_{level}_Ensemble_<k> as .h5, .pth or .safetensors, found none",
        folder.display()
    )]
    NoMember {
        /// The model folder.
        folder: PathBuf,
        /// The noise level.
        level: i32,
    },
    /// Two files claim to be the same member of an ensemble.
    #[error(
        "{}: noise level {level}, member {member}: expected one file, found {first} and {second}",
        folder.display()
    )]
    MemberTwice {
        /// The model folder.
        folder: PathBuf,
        /// The noise level.
        level: i32,
        /// The number in the ensemble, from 0.
        member: u32,
        /// The one file.
        first: String,
        /// The other file.
        second: String,
    },
    /// A weight file is not the one that the checksums were made of.
    #[error(
        "{}: damaged or replaced: expected checksum {expected} (SHA256SUMS), found {found}; copy the model again",
        path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// What SHA256SUMS says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// `benchmark.tsv` is not the table that it should be.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Benchmark {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// A file is larger than that of any CASCADE network.
    #[error("{}: expected a file of at most {limit} bytes, found {found}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes that are read.
        limit: u64,
        /// Its bytes.
        found: u64,
    },
    /// A weight file is damaged or not of the format that its name says.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A layer has no weights in the file.
    #[error("{}: expected a tensor {tensor} of shape {expected:?}, found none", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// The shape that `config.yaml` implies.
        expected: Vec<usize>,
    },
    /// Weights contradict `config.yaml`.
    #[error("{}: {tensor}: expected shape {expected:?} (from config.yaml), found {found:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// The shape that `config.yaml` implies.
        expected: Vec<usize>,
        /// What it is.
        found: Vec<usize>,
    },
    /// Weights are not 32-bit floats.
    #[error("{}: {tensor}: expected 32-bit floats, found {found}", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// What it is.
        found: String,
    },
    /// A weight is NaN or infinite.
    #[error("{}: {tensor}: expected finite weights, found {found} at index {index}", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// What it is.
        found: f32,
        /// Its place among the weights, row-major.
        index: usize,
    },
}
