//! Why a file cannot be written, or what is there cannot be taken as complete.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file could not be written or read.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The system refused it.
    #[error("{path}: {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What cannot be done with it.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The HDF5 library refused it.
    #[error("{path}: {action}: {reason}")]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// What cannot be done with it.
        action: &'static str,
        /// The library's reason in a few words.
        reason: String,
    },
    /// The disk is too full for a file whose size is known beforehand.
    #[error(
        "{path} takes {}, and its disk has {} free; free some, use another --output_dir, or write the grids with \
         --compression gzip, which take about a fortieth",
        size(*.needed),
        size(*.free)
    )]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Grids of another program are there (rule 8.7).
    #[error(
        "{path} was not written by this program (it has no attribute \"{missing}\"); \
         move it away, or write over it with --overwrite"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The attribute that it lacks.
        missing: &'static str,
    },
    /// Complete files of another configuration are there (rule 8.7).
    #[error(
        "{path} was made with {differences}; use another --output_dir, or write over it with --overwrite"
    )]
    Different {
        /// The file.
        path: PathBuf,
        /// Name and both values of each difference.
        differences: String,
    },
    /// Another run works on the subject.
    #[error(
        "{folder} is being written by another run; wait until that ends, or use another --output_dir"
    )]
    Busy {
        /// The subject's folder.
        folder: PathBuf,
    },
    /// Something that is no file has the name of a file.
    #[error("{path} is {found}, where a file is to be written; move it away")]
    Irregular {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The figures cannot be plotted or written.
    #[error("{path}: {source}")]
    Plot {
        /// The PDF.
        path: PathBuf,
        /// Why.
        source: crate::figures::PlotError,
    },
}

/// Bytes in a unit that leaves few digits.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

impl OutputError {
    /// Makes an error of the system's about `path`; `action` says what cannot be done.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }

    /// Makes an error of the HDF5 library's about `path`; `action` says what cannot be done.
    pub(crate) fn hdf5(path: &Path, action: &'static str) -> impl FnOnce(hdf5::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Hdf5 {
            path,
            action,
            reason: crate::hdf5_access::reason_and_locks(&error),
        }
    }
}
