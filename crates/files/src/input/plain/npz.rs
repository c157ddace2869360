//! The arrays of NumPy's archives (`np.savez`, `np.savez_compressed`).

use std::fs::File;
use std::path::Path;

use super::array::{Array, Lies};
use super::listing::of_npy;
use crate::input::error::InputError;
use crate::input::npy::NpyHeader;
use crate::input::stream_matrix::{Coding, Inflated, Section, StreamPlace};
use crate::regular;
use crate::signature::instead_at;
use crate::zip::{self, Entry, Method};

/// The arrays of an archive.
///
/// # Errors
/// If the file cannot be read, or is damaged.
pub(super) fn arrays(path: &Path) -> Result<Vec<Array>, InputError> {
    let wrong = |found: String| InputError::File {
        path: path.to_owned(),
        what: "an archive of NumPy's arrays",
        found,
    };
    let file = regular::open(path).map_err(|error| wrong(error.to_string()))?;
    let entries = zip::directory(&file).map_err(|found| {
        let other = instead_at(path).filter(|other| !other.contains("zip"));
        wrong(other.unwrap_or(found))
    })?;
    let arrays = entries.iter().filter_map(|entry| {
        let name = entry.name.strip_suffix(".npy")?;
        Some(array(&file, path, entry, name))
    });
    arrays.collect::<Result<_, _>>().map_err(wrong)
}

/// The array that a member is.
fn array(file: &File, path: &Path, entry: &Entry, name: &str) -> Result<Array, String> {
    let start = entry.start(file)?;
    let stored = start..start + entry.stored;
    let section = Section::new(
        file.try_clone().map_err(|error| error.to_string())?,
        stored.clone(),
    );
    let coding = Coding::Deflate {
        length: entry.length,
        crc: entry.crc,
    };
    let header = match entry.method {
        Method::Stored => NpyHeader::read(section),
        Method::Deflated => NpyHeader::read(Inflated::new(section, coding)),
    };
    let header = header.map_err(|found| format!("{found} as {name}"))?;
    let skipped = header.start;
    let mut array = of_npy(header, path, name.to_owned(), start);
    if let Lies::Flat(place) = &array.lies {
        let [rows, columns] = place.shape;
        let bytes = rows.checked_mul(columns);
        let bytes = bytes.and_then(|count| count.checked_mul(place.numbers.bytes));
        if bytes.is_none_or(|bytes| skipped.checked_add(bytes as u64) != Some(entry.length)) {
            let shape = &array.shape;
            return Err(format!(
                "{} bytes of {name}, an array {shape:?}",
                entry.length
            ));
        }
        if entry.method == Method::Deflated {
            array.lies = Lies::Stream(StreamPlace {
                path: path.to_owned(),
                stored,
                coding,
                skipped,
                numbers: place.numbers,
                shape: place.shape,
            });
        }
    }
    Ok(array)
}
