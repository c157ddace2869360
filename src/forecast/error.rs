//! What can be wrong with a forecast.

use std::path::PathBuf;

use spikegrid_core::grid::PlaneError;
use spikegrid_files::crash_trial::CrashingFile;
use spikegrid_files::input::InputError;
use thiserror::Error;

use crate::settings::ConfigError;

/// Why there is no forecast.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Flags that make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A recording that cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Positions that make no planes.
    #[error(transparent)]
    Planes(#[from] PlaneError),
    /// A file that the HDF5 library does not survive.
    #[error(transparent)]
    CrashingFile(#[from] CrashingFile),
    /// A flag of this command whose value makes no sense.
    #[error("--{flag}: expected {expected}, found {found}")]
    Flag {
        /// Its name without dashes.
        flag: &'static str,
        /// Values that make sense.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// A report of an earlier run that does not tell what work costs.
    #[error(
        "{path}: {reason}; expected the report.json of a run in which a subject was processed from its beginning"
    )]
    Report {
        /// The report.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The run that measures costs failed.
    #[error(
        "costs cannot be measured here: {reason}; give the report of an earlier run with --from_run"
    )]
    Trial {
        /// Why it failed.
        reason: String,
    },
}
