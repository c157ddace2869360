//! What can be wrong with a model folder.

use std::path::PathBuf;

use thiserror::Error;

/// Why a model folder was refused: which file, what was expected, what was found.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The folder or its `config.yaml` is not there, or a file can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// `config.yaml` is not the YAML mapping that CASCADE writes.
    #[error("{}: not a CASCADE configuration: {reason}", path.display())]
    Config { path: PathBuf, reason: String },
    /// A value of `config.yaml` that no CASCADE network can have.
    #[error("{}: {key}: expected {expected}, found {found}", path.display())]
    ConfigValue {
        path: PathBuf,
        key: &'static str,
        expected: String,
        found: String,
    },
    /// `config.yaml` lists a noise level that has no weight file.
    #[error(
        "{}: noise level {level}: expected Model_NoiseLevel_{level}_Ensemble_<k> as .h5, .pth or .safetensors, found none",
        folder.display()
    )]
    NoMember { folder: PathBuf, level: i32 },
    /// Two files claim to be the same member of an ensemble.
    #[error(
        "{}: noise level {level}, member {member}: expected one file, found {first} and {second}",
        folder.display()
    )]
    MemberTwice {
        folder: PathBuf,
        level: i32,
        member: u32,
        first: String,
        second: String,
    },
    /// A file is larger than that of any CASCADE network.
    #[error("{}: expected a file of at most {limit} bytes, found {found}", path.display())]
    TooLarge {
        path: PathBuf,
        limit: u64,
        found: u64,
    },
    /// A weight file is damaged or not of the format that its name says.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Format {
        path: PathBuf,
        expected: &'static str,
        found: String,
    },
    /// A layer has no weights in the file.
    #[error("{}: expected a tensor {tensor} of shape {expected:?}, found none", path.display())]
    Missing {
        path: PathBuf,
        tensor: String,
        expected: Vec<usize>,
    },
    /// Weights contradict `config.yaml`.
    #[error("{}: {tensor}: expected shape {expected:?} (from config.yaml), found {found:?}", path.display())]
    Shape {
        path: PathBuf,
        tensor: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    /// Weights are not 32-bit floats.
    #[error("{}: {tensor}: expected 32-bit floats, found {found}", path.display())]
    Dtype {
        path: PathBuf,
        tensor: String,
        found: String,
    },
    /// A weight is NaN or infinite.
    #[error("{}: {tensor}: expected finite weights, found {found} at index {index}", path.display())]
    NotFinite {
        path: PathBuf,
        tensor: String,
        found: f32,
        index: usize,
    },
}
