//! How files get their final names: only when they are complete (rule 8.7).

use std::fs::{File, OpenOptions};
use std::path::Path;

use super::error::OutputError;
use super::subject_files::check_irregular;
use crate::names::partial;
use crate::regular::irregular;

/// Waits until no other run writes the files of the output folder itself; the lock ends when dropped.
///
/// # Errors
/// The folder cannot be opened. On file systems without locks nothing is waited for.
pub fn lock_folder(output_dir: &Path) -> Result<File, OutputError> {
    let folder = File::open(output_dir);
    let folder = folder.map_err(OutputError::io(output_dir, "cannot be opened"))?;
    let _ = folder.lock();
    Ok(folder)
}

/// Removes a file that need not be there, and gives its space back even where HDF5 could not close it.
pub(super) fn discard(path: &Path) {
    if irregular(path).is_none() {
        let _ = OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(0));
    }
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
    check_irregular(partial.clone())?;
    let written = write(&partial).and_then(|()| finish(path));
    if written.is_err() {
        discard(&partial);
    }
    written
}
