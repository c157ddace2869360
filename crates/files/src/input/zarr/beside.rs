//! Positions of neurons in a file beside an array: `positions.npy`, (N, 3) or (3, N), or `positions.csv` with columns x, y, z.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::input::error::InputError;
use crate::input::npy::NpyArray;
use crate::regular;

/// The names of such files, the first that is there first.
const NAMES: [&str; 2] = ["positions.npy", "positions.csv"];
/// What such a file should hold, for messages.
const WHAT: &str = "positions of neurons, with columns x, y, z";
/// Bytes of a file with lines, and numbers of an array, at most.
const LARGEST: u64 = 1 << 30;
const LARGEST_ARRAY: usize = 1 << 27;

/// The file with positions in a folder, if there is one.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    let mut paths = NAMES.iter().map(|name| folder.join(name));
    paths.find(|path| path.exists())
}

/// Reads the x, y, z of each neuron.
///
/// # Errors
/// If the file is damaged, or does not have three columns of numbers.
pub(super) fn read(path: &Path) -> Result<Vec<[f64; 3]>, InputError> {
    if path.extension().is_none_or(|extension| extension != "csv") {
        return read_npy(path);
    }
    let file = regular::open(path).map_err(|error| wrong(path, error.to_string()))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    match size {
        ..=LARGEST => read_csv(BufReader::new(file)).map_err(|found| wrong(path, found)),
        _ => Err(wrong(path, format!("{size} bytes"))),
    }
}

fn wrong(path: &Path, found: String) -> InputError {
    InputError::File {
        path: path.to_owned(),
        what: WHAT,
        found,
    }
}

/// Reads lines of numbers. Where the first line names columns, those called x, y and z are taken, else the first three.
fn read_csv(file: impl BufRead) -> Result<Vec<[f64; 3]>, String> {
    let mut columns = None;
    let mut positions = Vec::new();
    for (place, line) in file.lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        let cells = line.split([',', ';', '\t']);
        let cells: Vec<&str> = cells.map(|cell| cell.trim_matches(['"', ' '])).collect();
        let named = ["x", "y", "z"].map(|axis| {
            let mut cells = cells.iter();
            cells.position(|cell| cell.eq_ignore_ascii_case(axis))
        });
        if let (None, [Some(x), Some(y), Some(z)]) = (columns, named) {
            columns = Some([x, y, z]);
            continue;
        }
        let position = columns.get_or_insert([0, 1, 2]).map(|column| {
            let cell = cells.get(column)?;
            match cell.is_empty() {
                true => Some(f64::NAN),
                false => cell.parse::<f64>().ok(),
            }
        });
        match position {
            [Some(x), Some(y), Some(z)] => positions.push([x, y, z]),
            _ => return Err(format!("{line:?} in line {}", place + 1)),
        }
    }
    Ok(positions)
}

/// Reads an array of NumPy, (N, 3) or (3, N).
fn read_npy(path: &Path) -> Result<Vec<[f64; 3]>, InputError> {
    let array = NpyArray::open(path, WHAT)?;
    let values = array.values(LARGEST_ARRAY)?;
    match array.shape() {
        [_, 3] => Ok(values.as_chunks().0.to_vec()),
        [3, columns] => Ok((0..columns)
            .map(|n| [0, 1, 2].map(|axis| values[axis * columns + n]))
            .collect()),
        [rows, columns] => Err(wrong(path, format!("an array ({rows}, {columns})"))),
    }
}
