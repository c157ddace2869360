//! How files are named while they are written.

use std::path::{Path, PathBuf};

/// The temporary name of a file that is not complete.
pub fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}
