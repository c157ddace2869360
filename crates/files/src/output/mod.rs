//! The files of a subject and of a run (rules 8.1 to 8.7). Names and types of everything written stand here or in the
//! file's own module; a file has its final name only when it is complete.

mod chunk;
pub mod combined;
pub mod grids;
pub mod journal;
pub mod metadata;
pub mod provenance;
pub mod traces;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use crate::names::partial;

/// Why a file could not be written or read.
#[derive(Debug, Error)]
pub enum OutputError {
    #[error("{path}: {action}: {source}")]
    Io {
        path: PathBuf,
        action: &'static str,
        source: io::Error,
    },
    #[error("{path}: {action}: {reason}")]
    Hdf5 {
        path: PathBuf,
        action: &'static str,
        reason: String,
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
    #[error(
        "{folder} is being written by another run; wait until that ends, or use another --output_dir"
    )]
    Busy { folder: PathBuf },
    #[error("{path} is a folder, where a file is to be written; move it away")]
    Folder { path: PathBuf },
    #[error("{path}: {source}")]
    Plot {
        path: PathBuf,
        source: crate::figures::PlotError,
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
        move |error| Self::Hdf5 {
            path,
            action,
            reason: crate::hdf5_access::reason_and_locks(&error),
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

    /// # Errors
    /// A folder has the name of one of the files.
    pub fn check_names(&self) -> Result<(), OutputError> {
        let names = self.all().map(|path| [path.to_path_buf(), partial(path)]);
        match names.into_iter().flatten().find(|path| path.is_dir()) {
            Some(path) => Err(OutputError::Folder { path }),
            None => Ok(()),
        }
    }

    /// Makes the folder, keeps other runs out of it, and clears away what an interrupted run left, but for what the
    /// subject may go on from: its [journal] and its unfinished traces.
    ///
    /// # Errors
    /// The system's reason, or that another run has the folder.
    pub fn claim(self) -> Result<Claim, OutputError> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder).map_err(OutputError::io(folder, "cannot be made"))?;
        let lock = File::open(folder).map_err(OutputError::io(folder, "cannot be opened"))?;
        // File systems without locks are taken at their word.
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(OutputError::Busy {
                folder: folder.clone(),
            });
        }
        self.remove_partial();
        Ok(Claim {
            files: self,
            resumable: false,
            _lock: lock,
        })
    }

    fn remove_partial(&self) {
        for path in [&self.grids, &self.metadata, &self.figures] {
            discard(&partial(path));
        }
    }
}

/// A subject's files while this run works on them. In the end nothing is left under temporary names, and no folder
/// that is empty, unless the subject is to go on from there.
#[derive(Debug)]
pub struct Claim {
    pub files: SubjectFiles,
    resumable: bool,
    _lock: File,
}

impl Claim {
    /// Leaves the journal for another run.
    pub fn keep_journal(&mut self) {
        self.resumable = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.files.remove_partial();
        if !self.resumable {
            journal::remove(&self.files.folder);
            discard(&partial(&self.files.traces));
        }
        let _ = std::fs::remove_dir(&self.files.folder);
    }
}

/// Waits until no other run writes the files of the output folder itself; the lock ends when dropped.
///
/// # Errors
/// The folder cannot be opened. File systems without locks are taken at their word.
pub fn lock_folder(output_dir: &Path) -> Result<File, OutputError> {
    let folder = File::open(output_dir);
    let folder = folder.map_err(OutputError::io(output_dir, "cannot be opened"))?;
    let _ = folder.lock();
    Ok(folder)
}

/// Removes a file that need not be there, and gives its space back even where HDF5 could not close it.
fn discard(path: &Path) {
    let _ = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(0));
    let _ = std::fs::remove_file(path);
}

/// Gives a complete file its final name, once its bytes are on disk.
///
/// # Errors
/// The system's reason.
pub fn finish(path: &Path) -> Result<(), OutputError> {
    let partial = partial(path);
    let synced = File::open(&partial).and_then(|file| file.sync_all());
    synced.map_err(OutputError::io(&partial, "cannot be brought to disk"))?;
    std::fs::rename(&partial, path).map_err(OutputError::io(path, "cannot be given its final name"))
}

/// Writes a file of the output folder itself under its temporary name, which goes if that fails, and finishes it.
///
/// # Errors
/// That of `write`, or the system's reason.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), OutputError>,
) -> Result<(), OutputError> {
    let partial = partial(path);
    let written = write(&partial).and_then(|()| finish(path));
    if written.is_err() {
        discard(&partial);
    }
    written
}
