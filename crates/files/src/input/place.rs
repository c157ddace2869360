//! The kinds of files in which a matrix of fluorescence can lie. A further kind is a file beside this one and an arm in each match.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::InputError;
use super::flat_matrix::{self, FlatPlace};
use super::hdf5_matrix;
use super::samples::Samples;
use super::storage::{Missing, Orientation, Piece, Storage};
use super::stream_matrix::{self, StreamPlace};
use super::text_matrix::{self, TextPlace};
use super::zarr;

/// Where a matrix lies: what a rank needs to open it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Place {
    /// A dataset of an HDF5 file.
    Hdf5 { path: PathBuf, dataset: String },
    /// Numbers that follow each other in a file.
    Flat(FlatPlace),
    /// A Zarr array with two axes.
    Zarr { folder: PathBuf },
    /// Numbers that are compressed as one stream.
    Stream(StreamPlace),
    /// A table of numbers in text.
    Text(TextPlace),
}

impl Place {
    /// A dataset of an HDF5 file.
    pub(super) fn hdf5(path: &Path, dataset: &str) -> Self {
        Self::Hdf5 {
            path: path.to_owned(),
            dataset: dataset.to_owned(),
        }
    }

    /// The file, or the folder of a Zarr array.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Hdf5 { path, .. } => path,
            Self::Flat(place) => &place.path,
            Self::Zarr { folder } => folder,
            Self::Stream(place) => &place.path,
            Self::Text(place) => &place.path,
        }
    }

    /// For messages: the dataset, where the file has names for them.
    pub(super) fn dataset(&self) -> &str {
        match self {
            Self::Hdf5 { dataset, .. } => dataset,
            _ => "numbers",
        }
    }

    /// Opens the matrix for reading (read-only, without MPI). Samples that were never stored are missing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn open(
        &self,
        orientation: Orientation,
        missing: &Missing,
    ) -> Result<Matrix, InputError> {
        match self {
            Self::Hdf5 { path, dataset } => {
                let matrix = hdf5_matrix::Matrix::open(path, dataset, orientation)?;
                Ok(Matrix::Hdf5(matrix.without(missing.clone())))
            }
            Self::Flat(place) => flat_matrix::Matrix::open(place, orientation).map(Matrix::Flat),
            Self::Zarr { folder } => {
                let matrix = zarr::Matrix::open(folder, orientation)?;
                Ok(Matrix::Zarr(Box::new(matrix)))
            }
            Self::Stream(place) => {
                let matrix = stream_matrix::Matrix::open(place, orientation)?;
                Ok(Matrix::Stream(Box::new(matrix)))
            }
            Self::Text(place) => text_matrix::Matrix::open(place, orientation).map(Matrix::Text),
        }
    }

    /// Reads the first and last samples, for a crash trial: errors do not matter.
    pub(super) fn read_corners(&self) {
        match self {
            Self::Hdf5 { path, dataset } => hdf5_matrix::Matrix::read_corners(path, dataset),
            Self::Flat(_) | Self::Zarr { .. } | Self::Stream(_) | Self::Text(_) => {}
        }
    }
}

/// An open matrix, of which pieces are read.
#[derive(Debug)]
pub(super) enum Matrix {
    Hdf5(hdf5_matrix::Matrix),
    Flat(flat_matrix::Matrix),
    Zarr(Box<zarr::Matrix>),
    Stream(Box<stream_matrix::Matrix>),
    Text(text_matrix::Matrix),
}

impl Matrix {
    /// How it lies in its file.
    pub(super) fn storage(&self) -> Storage {
        match self {
            Self::Hdf5(matrix) => matrix.storage(),
            Self::Flat(matrix) => matrix.storage(),
            Self::Zarr(matrix) => matrix.storage(),
            Self::Stream(matrix) => matrix.storage(),
            Self::Text(matrix) => matrix.storage(),
        }
    }

    /// Rows and columns of a chunk, where a part of a chunk takes as long to read as all of it.
    pub(super) fn whole_chunk(&self) -> Option<[usize; 2]> {
        match self {
            Self::Hdf5(matrix) => matrix.whole_chunk(),
            Self::Flat(_) => None,
            Self::Zarr(matrix) => matrix.whole_chunk(),
            Self::Stream(matrix) => matrix.whole_chunk(),
            Self::Text(matrix) => matrix.whole_chunk(),
        }
    }

    /// Reads a piece that the matrix has, with one sample or more, and copies to each of `parts`, which have no sample in common, what
    /// belongs to it: in the file's units, rounded to f32.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(&self, piece: &Piece, parts: &mut [&mut Samples]) -> Result<(), InputError> {
        match self {
            Self::Hdf5(matrix) => matrix.read(piece, parts),
            Self::Flat(matrix) => matrix.read(piece, parts),
            Self::Zarr(matrix) => matrix.read(piece, parts),
            Self::Stream(matrix) => matrix.read(piece, parts),
            Self::Text(matrix) => matrix.read(piece, parts),
        }
    }
}
