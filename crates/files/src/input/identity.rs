//! Which files a recording consists of: what tells one version of them from another (rule 8.7).

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Serialize, Serializer};

use super::error::InputError;
use crate::hdf5_access::name_list;
use crate::regular::other_than_file;

/// The files of a recording, each under a name that its form gives it, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity(Vec<(String, FileIdentity)>);

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
    pub(super) fn of(files: &[(&str, &Path, &'static str)]) -> Result<Self, InputError> {
        let identities = files
            .iter()
            .map(|(name, path, what)| Ok(((*name).to_owned(), file_identity(path, what)?)));
        identities.collect::<Result<_, _>>().map(Self)
    }

    /// The files of several identities together.
    pub(super) fn joined(parts: Vec<Self>) -> Self {
        Self(parts.into_iter().flat_map(|part| part.0).collect())
    }

    /// When the last of the files was changed, in nanoseconds after 1970 began, UTC.
    pub(crate) fn latest_ns(&self) -> i64 {
        let times = self.0.iter().map(|(_, file)| file.modified_ns);
        times.max().unwrap_or_default()
    }

    /// Adds a file, or what many files are together.
    pub(super) fn add(&mut self, name: &str, file: FileIdentity) {
        self.0.push((name.to_owned(), file));
    }
}

impl FileIdentity {
    /// # Errors
    /// If the system keeps no time of modification.
    pub(super) fn of(metadata: &fs::Metadata) -> std::io::Result<Self> {
        let modified_ns = match metadata.modified()?.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        };
        Ok(Self {
            size: metadata.len(),
            modified_ns,
        })
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
    FileIdentity::of(&metadata).map_err(unreadable)
}

/// Checks that `path` is a readable file. `what` says in messages what it should hold.
///
/// # Errors
/// If it is missing, no file, or cannot be opened.
pub(super) fn require_file(path: &Path, what: &'static str) -> Result<(), InputError> {
    let wrong = |found: String| InputError::File {
        path: path.to_owned(),
        what,
        found,
    };
    match fs::metadata(path) {
        Ok(metadata) => match other_than_file(&metadata) {
            Some(kind) => Err(wrong(kind.to_owned())),
            None => File::open(path)
                .map(|_| ())
                .map_err(|error| wrong(error.to_string())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Err(wrong(missing(path))),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// What is there instead of a file that is missing: a link that leads nowhere, or files of similar names.
fn missing(path: &Path) -> String {
    if let Ok(target) = fs::read_link(path) {
        return format!("a link to {}, which is not there", target.display());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut similar: Vec<String> = names.filter(|other| is_similar(other, &name)).collect();
    similar.sort();
    if similar.is_empty() {
        return "no such file".to_owned();
    }
    let unfinished = |name: &String| UNFINISHED.iter().any(|end| name.ends_with(end));
    if let Some(unfinished) = similar.iter().find(|name| unfinished(name)) {
        return format!("no such file, but an unfinished download of it, {unfinished}");
    }
    let similar = name_list(similar.into_iter(), "");
    format!("no such file, but {similar} beside it; give the right one the name {name}")
}

/// With what the names of unfinished downloads end.
const UNFINISHED: [&str; 4] = [".part", ".crdownload", ".download", ".tmp"];

/// Whether a file could have been meant to have a name: it has the same extension, or the same name but for case and what follows.
fn is_similar(other: &str, name: &str) -> bool {
    let (other, name) = (other.to_lowercase(), name.to_lowercase());
    let extension = |name: &str| {
        name.rsplit_once('.')
            .map(|(_, extension)| extension.to_owned())
    };
    let stem = name.split('.').next().unwrap_or_default();
    let same_kind = match extension(&other).as_deref() {
        Some("h5" | "hdf5" | "hdf") => name.ends_with(".h5"),
        extension => extension == Some("mat") && name.ends_with(".mat"),
    };
    !other.starts_with('.') && (same_kind || other.starts_with(stem))
}
