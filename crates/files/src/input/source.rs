//! What a recording is for the rest of the program, whatever files it lies in.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spikegrid_core::findings::Finding;

use super::error::InputError;
use super::hdf5_matrix::{Header, Matrix};
use super::identity::Identity;
use super::samples::Samples;
use super::storage::{Missing, Orientation, Piece, Storage};

/// A recording of `N` neurons in `T` frames that is ready to be processed.
#[derive(Debug)]
pub struct Source {
    /// Where its fluorescence lies.
    pub location: Location,
    /// Where its neurons are.
    pub positions: Positions,
    /// Which files these are (rule 8.7).
    pub identity: Identity,
    /// Its sampling rate in Hz, if it states one (rule 2.7).
    pub rate: Option<f64>,
    /// What the user should know of its files.
    pub findings: Vec<Finding>,
}

impl Source {
    /// How the fluorescence lies in its file.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.location.storage
    }

    /// Number of frames, T.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.location.storage.frames()
    }

    /// Number of neurons, N.
    #[must_use]
    pub fn neurons(&self) -> usize {
        self.location.storage.neurons()
    }
}

/// Positions of the neurons, in the order of the traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Positions {
    /// x, y, z of each neuron in the units of the recording, NaN kept (rule 2.5 counts it as 0 in the grid).
    pub xyz: Vec<[f64; 3]>,
    /// 0-based place of each neuron among all cells of the recording (`CellXYZ`).
    pub source_row: Vec<i64>,
}

/// Where the fluorescence of a recording lies and how: what a rank needs to open it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Location {
    place: Place,
    storage: Storage,
    /// What of the fluorescence has no samples.
    missing: Missing,
}

/// The kinds of places that have a [`Reader`].
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Place {
    /// A dataset of an HDF5 file.
    Hdf5 { path: PathBuf, dataset: String },
}

impl Location {
    /// A dataset of an HDF5 file whose rows and columns are these.
    ///
    /// # Errors
    /// If the file or dataset is missing or damaged, or is not a non-empty dataset of numbers with two axes.
    pub fn hdf5(path: &Path, dataset: &str, orientation: Orientation) -> Result<Self, InputError> {
        let (header, file) = Header::read(path, dataset)?;
        let storage = header.storage(orientation);
        let (missing, _) = header.missing(&file, path, dataset)?;
        Ok(Self::in_hdf5(path, dataset, storage, missing))
    }

    /// A dataset of an HDF5 file that was found to lie like this and to lack this.
    pub(super) fn in_hdf5(path: &Path, dataset: &str, storage: Storage, missing: Missing) -> Self {
        let place = Place::Hdf5 {
            path: path.to_owned(),
            dataset: dataset.to_owned(),
        };
        Self {
            place,
            storage,
            missing,
        }
    }

    /// A recording without files, for forecasts and tests: it cannot be opened.
    #[must_use]
    pub fn made_up(storage: Storage) -> Self {
        Self::in_hdf5(Path::new(""), "", storage, Missing::Nothing)
    }

    /// Opens the fluorescence for reading (read-only, without MPI).
    ///
    /// # Errors
    /// If it cannot be read, or lies otherwise than when the recording was opened.
    pub fn open(&self) -> Result<Reader, InputError> {
        let (path, reader) = match &self.place {
            Place::Hdf5 { path, dataset } => {
                let matrix = Matrix::open(path, dataset, self.storage.orientation)?;
                let matrix = matrix.without(self.missing.clone());
                (path, Reader(Kind::Hdf5(matrix)))
            }
        };
        let (before, now) = (self.storage, reader.storage());
        if now != before {
            return Err(InputError::Changed {
                path: path.clone(),
                frames: before.frames(),
                neurons: before.neurons(),
                frames_now: now.frames(),
                neurons_now: now.neurons(),
            });
        }
        Ok(reader)
    }
}

/// For messages: the file with the fluorescence.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.place {
            Place::Hdf5 { path, .. } => path.display().fmt(f),
        }
    }
}

/// Open fluorescence, of which pieces are read.
#[derive(Debug)]
pub struct Reader(Kind);

#[derive(Debug)]
enum Kind {
    Hdf5(Matrix),
}

impl Reader {
    /// How the fluorescence lies in its file.
    #[must_use]
    pub fn storage(&self) -> Storage {
        match &self.0 {
            Kind::Hdf5(matrix) => matrix.storage(),
        }
    }

    /// Rows and columns of a chunk of the file, where a part of a chunk takes as long to read as all of it.
    pub(super) fn whole_chunk(&self) -> Option<[usize; 2]> {
        match &self.0 {
            Kind::Hdf5(matrix) => matrix.whole_chunk(),
        }
    }

    /// Reads a piece and copies to each of `parts`, which have no sample in common, what belongs to it: in the file's units,
    /// rounded to f32.
    ///
    /// # Errors
    /// If the recording does not have the piece, or the file cannot be read.
    pub fn read(&self, piece: &Piece, parts: &mut [&mut Samples]) -> Result<(), InputError> {
        match &self.0 {
            Kind::Hdf5(matrix) => matrix.read(piece, parts),
        }
    }

    /// The samples of all frames of some neurons.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_neurons(&self, neurons: Range<usize>) -> Result<Samples, InputError> {
        let storage = self.storage();
        let piece = storage.all_frames(neurons);
        let mut samples = Samples::new(&storage, piece.clone());
        self.read(&piece, &mut [&mut samples]).map(|()| samples)
    }
}
