//! Which files a recording consists of: what tells one version of them from another (rule 8.7).

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Serialize, Serializer};

use super::error::InputError;

/// The files of a recording, each under a name that its form gives it, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(Vec<(&'static str, FileIdentity)>);

/// Size and modification time of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FileIdentity {
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds after (before, if negative) 1970 began, UTC.
    pub modified_ns: i64,
}

impl Identity {
    /// The identity of these files: name, path and what the file should hold, for messages.
    ///
    /// # Errors
    /// If a file is missing or cannot be read.
    pub(super) fn of(files: &[(&'static str, &Path, &'static str)]) -> Result<Self, InputError> {
        let identities = files
            .iter()
            .map(|(name, path, what)| Ok((*name, file_identity(path, what)?)));
        identities.collect::<Result<_, _>>().map(Self)
    }
}

/// As a map from the files' names, so that messages name a file that changed: `input.time_series.size`.
impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, file)| (name, file)))
    }
}

fn file_identity(path: &Path, what: &'static str) -> Result<FileIdentity, InputError> {
    require_file(path, what)?;
    let unreadable = |error: std::io::Error| InputError::File {
        path: path.to_owned(),
        what,
        found: error.to_string(),
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    let modified = metadata.modified().map_err(unreadable)?;
    let modified_ns = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    };
    Ok(FileIdentity {
        size: metadata.len(),
        modified_ns,
    })
}

/// Checks that `path` is a readable file. `what` says in messages what it should hold.
///
/// # Errors
/// If it is missing, a folder, or cannot be opened.
pub(super) fn require_file(path: &Path, what: &'static str) -> Result<(), InputError> {
    let wrong = |found: String| InputError::File {
        path: path.to_owned(),
        what,
        found,
    };
    match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_dir() => Err(wrong("a folder".to_owned())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(wrong("no such file".to_owned()))
        }
        Err(error) => Err(wrong(error.to_string())),
    }
}
