//! What a crash trial reads of the files of a recording.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::form::{self, Request};
use super::hdf5_matrix::Matrix;
use super::matlab;
use super::time_series::abs_ix;

/// What is in a file of a recording.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Content {
    /// `TimeSeries.h5`, its fluorescence in this dataset.
    TimeSeries { dataset: String },
    /// `data_full.mat`.
    DataFull,
    /// A file of which the form is asked.
    Unknown,
    /// A recording of a form that lies in HDF5 files: the file or folder that was recognised, and how it is read.
    Recording { place: PathBuf, request: Request },
}

impl Content {
    /// The trial of a recording whose first HDF5 file is the one that was recognised.
    pub(super) fn recording(place: &Path, request: &Request) -> (PathBuf, Self) {
        let content = Self::Recording {
            place: place.to_owned(),
            request: request.clone(),
        };
        (place.to_owned(), content)
    }

    /// Reads all that a run reads of the file but most samples. What is wrong with the file is said by the process that needs
    /// it.
    pub(crate) fn read(&self, path: &Path) {
        match self {
            Content::TimeSeries { dataset } => {
                if abs_ix::is_readable(path, dataset) {
                    Matrix::read_corners(path, dataset);
                }
            }
            Content::DataFull => drop(matlab::read_anatomy(path)),
            Content::Unknown => drop(form::recognises(path)),
            Content::Recording { place, request } => form::try_out(place, request),
        }
    }
}
