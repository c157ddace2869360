//! Which files of a folder may hold a matrix, and which arrays are in them.

use std::path::{Path, PathBuf};

use super::array::{Array, Lies};
use super::{hdf5_arrays, npz, pickled};
use crate::input::error::InputError;
use crate::input::flat_matrix::FlatPlace;
use crate::input::form::{entries, file_name};
use crate::input::matlab::{self, Variable};
use crate::input::npy::{NpyArray, NpyHeader};
use crate::input::positions_beside::{is_table, rank_of_name};
use crate::input::stream_matrix::{Coding, StreamPlace};
use crate::regular;
use crate::signature::{instead_at, is_hdf5};

/// A kind of file with arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Npy,
    Npz,
    Mat,
    Hdf5,
    Text,
}

impl Kind {
    /// The kind of a file by its extension, unless its name says that it holds positions alone or belongs to another form.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_lowercase();
        let stem = path.file_stem()?.to_string_lossy().into_owned();
        let is_positions = rank_of_name(&stem).is_some();
        match &*extension {
            "npy" if !is_positions => Some(Self::Npy),
            "csv" if !is_positions => Some(Self::Text),
            "npz" => Some(Self::Npz),
            "mat" => Some(Self::Mat),
            "h5" | "hdf5" if !stem.to_lowercase().starts_with("timeseries") => Some(Self::Hdf5),
            _ => None,
        }
    }
}

/// The files that may hold a matrix: those directly in a folder, or the file itself.
pub(super) fn files(place: &Path) -> Vec<PathBuf> {
    let files = match place.is_dir() {
        true => entries(place),
        false => vec![place.to_owned()],
    };
    let mut files = files.into_iter();
    files
        .by_ref()
        .filter(|file| Kind::of(file).is_some() && !file.is_dir())
        .collect()
}

/// The arrays of a recording.
#[derive(Debug)]
pub(super) struct Listing {
    /// The folder with the files.
    pub(super) folder: PathBuf,
    pub(super) arrays: Vec<Array>,
    /// Texts that are tables of positions by their first line.
    pub(super) tables: Vec<PathBuf>,
    /// Files that cannot be read.
    pub(super) failed: Vec<(PathBuf, InputError)>,
}

impl Listing {
    /// Lists the arrays of the files of a folder, or of one file and of nothing beside it.
    pub(super) fn of(place: &Path) -> Self {
        let folder = match place.is_dir() {
            true => place,
            false => place.parent().unwrap_or(place),
        };
        let mut listing = Self {
            folder: folder.to_owned(),
            arrays: Vec::new(),
            tables: Vec::new(),
            failed: Vec::new(),
        };
        for file in files(place) {
            let arrays = match Kind::of(&file) {
                Some(Kind::Npy) => npy(&file),
                Some(Kind::Npz) => npz::arrays(&file),
                Some(Kind::Mat) => mat(&file),
                Some(Kind::Hdf5) => hdf5_arrays::arrays(&file),
                Some(Kind::Text) if is_table(&file) => {
                    listing.tables.push(file);
                    continue;
                }
                Some(Kind::Text) => Ok(vec![text(&file)]),
                None => continue,
            };
            match arrays {
                Ok(arrays) => listing.arrays.extend(arrays),
                Err(error) => listing.failed.push((file, error)),
            }
        }
        listing
    }
}

/// The name of an array that is alone in its file.
pub(super) fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn text(path: &Path) -> Array {
    Array {
        path: path.to_owned(),
        name: stem(path),
        shape: Vec::new(),
        is_reversed: false,
        lies: Lies::Text(None),
    }
}

fn npy(path: &Path) -> Result<Vec<Array>, InputError> {
    let wrong = |found: String| InputError::File {
        path: path.to_owned(),
        what: "an array of NumPy",
        found,
    };
    let file = regular::open(path).map_err(|error| wrong(error.to_string()))?;
    let header = NpyHeader::read(std::io::BufReader::new(file));
    let header = header.map_err(|found| {
        let other = instead_at(path).filter(|other| !other.contains("NumPy"));
        wrong(other.unwrap_or(found))
    })?;
    match header.shape.is_empty() && header.descr == "|O" {
        true => pickled::arrays(path),
        false => Ok(vec![of_npy(header, path, stem(path), 0)]),
    }
}

/// The array with a header of NumPy that begins at a byte of a file.
pub(super) fn of_npy(header: NpyHeader, path: &Path, name: String, first: u64) -> Array {
    let (shape, is_reversed) = (header.shape.clone(), header.fortran);
    let of_two_axes = NpyHeader {
        shape: match shape.is_empty() {
            true => vec![1],
            false => shape.clone(),
        },
        ..header
    };
    let lies = match NpyArray::of(of_two_axes, path, first) {
        Ok(array) => Lies::Flat(array.place),
        Err(found) => Lies::Otherwise(found),
    };
    Array {
        path: path.to_owned(),
        name,
        shape,
        is_reversed,
        lies,
    }
}

/// The arrays of a MAT-file of version 5 or 7.3.
fn mat(path: &Path) -> Result<Vec<Array>, InputError> {
    if is_hdf5(path) {
        return hdf5_arrays::arrays(path);
    }
    if !matlab::is_mat5(path) {
        return Err(InputError::File {
            path: path.to_owned(),
            what: "a MAT-file of version 5 or 7.3",
            found: instead_at(path).unwrap_or_else(|| "one that cannot be read".to_owned()),
        });
    }
    let variables = matlab::variables(path).map_err(|error| InputError::Mat {
        path: path.to_owned(),
        error,
    })?;
    let arrays = variables.into_iter();
    Ok(arrays.map(|variable| of_variable(variable, path)).collect())
}

fn of_variable(variable: Variable, path: &Path) -> Array {
    let (dims, path) = (variable.dims, path.to_owned());
    let lies = match (variable.numbers, &dims[..]) {
        (Err(kind), _) => Lies::Otherwise(format!("a {kind} array")),
        (Ok(numbers), [rows, columns]) => {
            let shape = [*columns, *rows];
            match numbers.stream {
                None => Lies::Flat(FlatPlace {
                    path: path.clone(),
                    start: numbers.start,
                    numbers: numbers.kind,
                    shape,
                }),
                Some(stored) => Lies::Stream(StreamPlace {
                    path: path.clone(),
                    stored,
                    coding: Coding::Zlib,
                    skipped: numbers.start,
                    numbers: numbers.kind,
                    shape,
                }),
            }
        }
        (Ok(_), dims) => Lies::Otherwise(format!("an array with {} axes", dims.len())),
    };
    Array {
        path,
        name: variable.name,
        shape: dims,
        is_reversed: true,
        lies,
    }
}

/// The names of the files of some arrays, each once.
pub(super) fn file_names<'a>(arrays: impl IntoIterator<Item = &'a Array>) -> Vec<String> {
    let mut names: Vec<String> = arrays
        .into_iter()
        .map(|array| file_name(&array.path))
        .collect();
    names.dedup();
    names
}
