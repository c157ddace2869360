//! Which files of an array are there: what tells one version of it from another, and whether its metadata can be believed.

use std::fs;
use std::io;
use std::path::Path;

use super::metadata::{ArrayHeader, damaged};
use crate::input::error::InputError;
use crate::input::identity::FileIdentity;

/// Chunks that an array may have beside those that are there, and for each that is there. Metadata that say more are damaged: nobody
/// writes a recording of which not one chunk in a thousand is there.
const UNSTORED: usize = 1000;

/// The files of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Files of chunks.
    pub chunks: usize,
    /// Bytes of all files, and the time of the last change.
    pub identity: FileIdentity,
}

impl Stored {
    /// Looks at each file of an array, without opening it.
    ///
    /// # Errors
    /// If a folder cannot be read, if no chunk is there, or far fewer than the shape of the array needs.
    pub(super) fn of(array: &ArrayHeader) -> Result<Self, InputError> {
        let mut stored = Self {
            chunks: 0,
            identity: FileIdentity {
                size: 0,
                modified_ns: i64::MIN,
            },
        };
        let grid: Vec<usize> = array.grid().collect();
        let unreadable = |error: io::Error| damaged(&array.path, error.to_string());
        for file in &array.files {
            stored
                .add(&fs::metadata(file).map_err(unreadable)?)
                .map_err(unreadable)?;
        }
        let prefixed = array.path.join("c");
        let nested = array.keys.separator == '/';
        let folder = match array.keys.prefix && nested && !grid.is_empty() {
            true => &prefixed,
            false => &array.path,
        };
        let found = match nested {
            true => stored.add_nested(folder, &grid),
            false => stored.add_flat(folder, array, &grid),
        };
        match found {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unreadable(error)),
            _ => {}
        }
        let all = grid
            .iter()
            .fold(1, |all: usize, count| all.saturating_mul(*count));
        let believed = stored
            .chunks
            .saturating_mul(UNSTORED)
            .saturating_add(UNSTORED);
        if stored.chunks > 0 && all <= believed || all == 0 {
            return Ok(stored);
        }
        let first = array.keys.file(Path::new(""), &vec![0; grid.len()]);
        Err(damaged(
            &array.path,
            format!(
                "the shape {:?} in chunks {:?}, of which {} of {all} are there (the first would be the file {})",
                array.shape,
                array.chunk,
                stored.chunks,
                first.display()
            ),
        ))
    }

    fn add(&mut self, file: &fs::Metadata) -> io::Result<()> {
        let found = FileIdentity::of(file)?;
        self.identity.size = self.identity.size.saturating_add(found.size);
        self.identity.modified_ns = self.identity.modified_ns.max(found.modified_ns);
        Ok(())
    }

    fn add_chunk(&mut self, file: &fs::Metadata) -> io::Result<()> {
        self.chunks += usize::from(file.is_file());
        self.add(file)
    }

    /// Adds the chunks of a folder whose keys are `grid.len()` numbers, each a folder but the last.
    fn add_nested(&mut self, folder: &Path, grid: &[usize]) -> io::Result<()> {
        let Some((count, rest)) = grid.split_first() else {
            return self.add_if_there(&folder.join("c"));
        };
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| is_place(name, *count)) {
                continue;
            }
            match rest.is_empty() {
                true => self.add_chunk(&fs::metadata(entry.path())?)?,
                false => self.add_nested(&entry.path(), rest)?,
            }
        }
        Ok(())
    }

    /// Adds the chunks of a folder whose keys are numbers between dots.
    fn add_flat(&mut self, folder: &Path, array: &ArrayHeader, grid: &[usize]) -> io::Result<()> {
        if grid.is_empty() {
            return self.add_if_there(&array.keys.file(folder, &[]));
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let key = match array.keys.prefix {
                true => name.strip_prefix("c."),
                false => Some(name),
            };
            let Some(key) = key else { continue };
            let is_key = key.split('.').count() == grid.len()
                && key
                    .split('.')
                    .zip(grid)
                    .all(|(place, count)| is_place(place, *count));
            if is_key {
                self.add_chunk(&fs::metadata(entry.path())?)?;
            }
        }
        Ok(())
    }

    fn add_if_there(&mut self, path: &Path) -> io::Result<()> {
        self.add_chunk(&fs::metadata(path)?)
    }
}

/// Whether a part of a key is a place along an axis of so many chunks.
fn is_place(text: &str, count: usize) -> bool {
    text.parse::<usize>()
        .is_ok_and(|place| place < count && place.to_string() == text)
}
