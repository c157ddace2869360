//! Positions of neurons in a file beside an array: `positions.npy`, (N, 3) or (3, N), or `positions.csv` with columns x, y, z.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::numbers::Numbers;
use crate::input::error::InputError;
use crate::regular;

/// The names of such files, the first that is there first.
const NAMES: [&str; 2] = ["positions.npy", "positions.csv"];
/// Bytes of such a file, at most.
const LARGEST: u64 = 1 << 30;

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
    let wrong = |found: String| InputError::File {
        path: path.to_owned(),
        what: "positions of neurons, with columns x, y, z",
        found,
    };
    let file = regular::open(path).map_err(|error| wrong(error.to_string()))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size > LARGEST {
        return Err(wrong(format!("{size} bytes")));
    }
    let file = BufReader::new(file);
    match path.extension().is_some_and(|extension| extension == "csv") {
        true => read_csv(file).map_err(wrong),
        false => read_npy(file, size).map_err(wrong),
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

/// Reads an array of NumPy, (N, 3) or (3, N), of a plain numeric type.
fn read_npy(mut file: impl Read, size: u64) -> Result<Vec<[f64; 3]>, String> {
    /// Bytes before the length of the header.
    const START: usize = 8;
    let failed = |error: std::io::Error| error.to_string();
    let mut start = [0; START];
    file.read_exact(&mut start).map_err(failed)?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err("no array of NumPy".to_owned());
    }
    let mut length = [0; 4];
    let length_bytes = if start[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut length[..length_bytes])
        .map_err(failed)?;
    let length = u64::from(u32::from_le_bytes(length));
    let mut header = Vec::new();
    file.by_ref()
        .take(length)
        .read_to_end(&mut header)
        .map_err(failed)?;
    let header = String::from_utf8_lossy(&header);
    let unread = || format!("an array {}", header.trim());
    let (dtype, columns_first, shape) = npy_header(&header).ok_or_else(unread)?;
    let (numbers, big_endian) = Numbers::of_version_2(&Value::from(dtype))?;
    let count = shape[0].checked_mul(shape[1]);
    let bytes = count.and_then(|count| count.checked_mul(numbers.bytes));
    let bytes = bytes.filter(|bytes| *bytes as u64 <= size);
    let mut data = vec![0; bytes.ok_or_else(|| format!("{size} bytes of an array {shape:?}"))?];
    file.read_exact(&mut data).map_err(failed)?;
    let values = numbers.values(&mut data, big_endian);
    let at = |row: usize, column: usize| match columns_first {
        true => values[column * shape[0] + row],
        false => values[row * shape[1] + column],
    };
    match shape {
        [rows, 3] => Ok((0..rows).map(|n| [at(n, 0), at(n, 1), at(n, 2)]).collect()),
        [3, columns] => Ok((0..columns)
            .map(|n| [at(0, n), at(1, n), at(2, n)])
            .collect()),
        _ => Err(unread()),
    }
}

/// Type, whether columns follow each other, and shape of an array with two axes.
fn npy_header(header: &str) -> Option<(&str, bool, [usize; 2])> {
    let after = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}':"))?;
        Some(rest.trim_start())
    };
    let (dtype, _) = after("descr")?.strip_prefix('\'')?.split_once('\'')?;
    let columns_first = after("fortran_order")?.starts_with("True");
    let (shape, _) = after("shape")?.strip_prefix('(')?.split_once(')')?;
    let extents = shape
        .split(',')
        .map(str::trim)
        .filter(|extent| !extent.is_empty());
    let extents: Option<Vec<usize>> = extents.map(|extent| extent.parse().ok()).collect();
    Some((dtype, columns_first, extents?.try_into().ok()?))
}
