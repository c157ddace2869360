//! The files of a subject and of a run (rules 8.1 to 8.7). Names and types of everything written stand here or in the
//! file's own module; a file has its final name only when it is complete.

pub mod collective;
pub mod combined;
pub mod grids;
pub mod metadata;
pub mod provenance;
pub mod traces;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file could not be written or read.
#[derive(Debug, Error)]
pub enum OutputError {
    #[error("{path}: {action}: {source}")]
    Io {
        path: PathBuf,
        action: &'static str,
        source: io::Error,
    },
    #[error("{path}: {action}: {source}")]
    Hdf5 {
        path: PathBuf,
        action: &'static str,
        source: hdf5::Error,
    },
    #[error(
        "{path} was not written by this program (it has no attribute \"{missing}\"); \
         move it away, or write over it with --overwrite"
    )]
    Foreign {
        path: PathBuf,
        missing: &'static str,
    },
    #[error(
        "{path} was made with {differences}; use another --output_dir, or write over it with --overwrite"
    )]
    Different { path: PathBuf, differences: String },
    #[error("{path}: {source}")]
    Plot {
        path: PathBuf,
        source: crate::plot::PlotError,
    },
}

impl OutputError {
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }

    pub fn hdf5(path: &Path, action: &'static str) -> impl FnOnce(hdf5::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Hdf5 {
            path,
            action,
            source,
        }
    }
}

/// The files of one subject, each with a temporary name beside the final one.
#[derive(Debug, Clone)]
pub struct SubjectFiles {
    pub folder: PathBuf,
    pub grids: PathBuf,
    pub metadata: PathBuf,
    pub figures: PathBuf,
    pub traces: PathBuf,
}

impl SubjectFiles {
    pub fn new(output_dir: &Path, subject: &str) -> Self {
        let folder = output_dir.join(subject);
        Self {
            grids: folder.join("preaugmented_grids.h5"),
            metadata: folder.join("metadata.h5"),
            figures: folder.join(format!("{subject}_visualization.pdf")),
            traces: folder.join("traces.h5"),
            folder,
        }
    }

    pub fn all(&self) -> [&Path; 4] {
        [&self.grids, &self.metadata, &self.figures, &self.traces]
    }

    /// Removes what an interrupted or failed run left under temporary names, and the folder if it then is empty.
    pub fn remove_partial(&self) {
        for path in self.all() {
            let _ = std::fs::remove_file(partial(path));
        }
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// The temporary name of a file that is not complete.
pub fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

/// Gives a complete file its final name, once its bytes are on disk.
///
/// # Errors
/// The system's reason.
pub fn finish(path: &Path) -> Result<(), OutputError> {
    let partial = partial(path);
    let synced = std::fs::File::open(&partial).and_then(|file| file.sync_all());
    synced.map_err(OutputError::io(&partial, "cannot be brought to disk"))?;
    std::fs::rename(&partial, path).map_err(OutputError::io(path, "cannot be given its final name"))
}
