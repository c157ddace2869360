//! What a recording is for the rest of the program, whatever files it lies in.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spikegrid_core::findings::Finding;

use super::error::InputError;
use super::hdf5_matrix::Header;
use super::identity::Identity;
use super::panel::{OpenPanel, Panel, Scratch};
use super::place::Place;
use super::samples::Samples;
use super::storage::{Orientation, Piece, Storage, within};

/// Names of arrays and attributes that hold the rate in Hz, where a form prescribes none; the first that is there first.
pub(super) const RATES: [&str; 14] = [
    "sampling_rate_hz",
    "sampling_rate",
    "fs",
    "frame_rate_hz",
    "frame_rate",
    "framerate",
    "fps",
    "volume_rate",
    "imaging_rate",
    "sampling_frequency",
    "sample_rate",
    "rate_hz",
    "rate",
    "fr",
];

/// A recording of `N` neurons in `T` frames that is ready to be processed.
#[derive(Debug)]
pub struct Source {
    /// Where its fluorescence lies.
    pub location: Location,
    /// Where its neurons are.
    pub positions: Positions,
    /// Which files these are (rule 8.7).
    pub identity: Identity,
    /// The name of its form (rule 2.6).
    pub format: &'static str,
    /// By what the form was recognised, for the user: a clause without full stop.
    pub reason: String,
    /// The dataset, series or array with the fluorescence.
    pub dataset: String,
    /// Its sampling rate in Hz, if it states one (rule 2.7).
    pub rate: Option<f64>,
    /// Whether the form says that its traces are ΔF/F (rule 2.6).
    pub is_dff: bool,
    /// What the user should know of its files.
    pub findings: Vec<Finding>,
}

impl Source {
    /// How the fluorescence lies in its file.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.location.storage()
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Positions {
    /// x, y, z of each neuron in the units of the recording, NaN kept (rule 2.5 counts it as 0 in the grid).
    pub xyz: Vec<[f64; 3]>,
    /// 0-based place of each neuron among all cells of the recording (`CellXYZ`), or of its imaging plane.
    pub source_row: Vec<i64>,
    /// The imaging plane of each neuron, where the recording has a table of cells for each.
    pub source_plane: Option<Vec<i64>>,
}

/// Where the fluorescence of a recording lies and how: what a rank needs to open it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Location {
    /// How its samples are held in memory: as they lie in its matrix, or as if its panels were one matrix.
    storage: Storage,
    /// Its neurons, panel after panel.
    panels: Vec<Panel>,
}

impl Location {
    /// A dataset of an HDF5 file whose rows and columns are these.
    ///
    /// # Errors
    /// If the file or dataset is missing or damaged, or is not a non-empty dataset of numbers with two axes.
    pub fn hdf5(path: &Path, dataset: &str, orientation: Orientation) -> Result<Self, InputError> {
        let (header, file) = Header::read(path, dataset)?;
        let (panel, _) = Panel::hdf5(path, (&header, &file), dataset, orientation)?;
        Ok(panel.into())
    }

    /// Panels side by side, cut to the frames of the shortest. Without panels it has no neurons.
    pub(super) fn of_panels(panels: Vec<Panel>) -> Self {
        let frames = panels.iter().map(Panel::frames).min().unwrap_or(0);
        let mut first = 0;
        let mut placed = Vec::new();
        for panel in panels {
            let neurons = panel.neurons();
            placed.push(panel.placed_at(first));
            first += neurons;
        }
        let storage = match &placed[..] {
            [] => Storage::contiguous(0, 0),
            [panel] if panel.is_plain() => panel.stored,
            [panel, ..] => {
                let storage = panel.stored.with_extents(frames, first);
                let chunk = largest_chunk(&placed, storage);
                Storage { chunk, ..storage }
            }
        };
        Self {
            storage,
            panels: placed,
        }
    }

    /// A recording without files, for forecasts and tests: it cannot be opened.
    #[must_use]
    pub fn made_up(storage: Storage) -> Self {
        Panel::new(Place::hdf5(Path::new(""), ""), storage).into()
    }

    /// How the samples are held in memory.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// For messages: the dataset with the fluorescence.
    fn dataset(&self) -> &str {
        let first = self.panels.first();
        first.map_or("", |panel| panel.place.dataset())
    }

    /// Cuts all frames of some neurons into pieces, as [`Storage::pieces`] does, so that no chunk is read twice.
    #[must_use]
    pub fn pieces(&self, neurons: &Range<usize>) -> Vec<Piece> {
        let frames = self.storage.frames();
        let pieces = self.panels.iter();
        pieces
            .flat_map(|panel| panel.pieces(neurons, frames))
            .collect()
    }

    /// Bytes that a rank takes to read, at most, beside the samples and a block of each matrix.
    #[must_use]
    pub fn scratch_bytes(&self) -> u64 {
        let panels = self.panels.iter().map(Panel::scratch_bytes);
        panels.max().unwrap_or(0)
    }

    /// Frames of the shortest and of the longest panel.
    pub(super) fn panel_frames(&self) -> [usize; 2] {
        let frames = || self.panels.iter().map(Panel::frames);
        [frames().min().unwrap_or(0), frames().max().unwrap_or(0)]
    }

    /// Reads the first and last samples of its matrices, for a crash trial: errors do not matter.
    pub(super) fn read_corners(&self) {
        for panel in &self.panels {
            panel.read_corners();
        }
    }

    /// Opens the fluorescence for reading (read-only, without MPI).
    ///
    /// # Errors
    /// If it cannot be read, or lies otherwise than when the recording was opened.
    pub fn open(&self) -> Result<Reader, InputError> {
        let panels = self.panels.iter().map(Panel::open);
        Ok(Reader {
            location: self.clone(),
            panels: panels.collect::<Result<_, _>>()?,
            scratch: RefCell::default(),
        })
    }
}

/// Extents of the largest chunk of any panel, as far as the recording reaches.
fn largest_chunk(panels: &[Panel], storage: Storage) -> Option<[usize; 2]> {
    let chunks = panels.iter().filter_map(|panel| panel.stored.chunk);
    let largest = chunks.max_by_key(|[rows, columns]| rows.saturating_mul(*columns))?;
    let [rows, columns] = storage.shape;
    Some([largest[0].min(rows).max(1), largest[1].min(columns).max(1)])
}

impl From<Panel> for Location {
    fn from(panel: Panel) -> Self {
        Self::of_panels(vec![panel])
    }
}

/// For messages: the file with the fluorescence, or the first of them.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let first = self.panels.first();
        first.map_or(Ok(()), |panel| panel.place.path().display().fmt(f))
    }
}

/// Open fluorescence, of which pieces are read.
#[derive(Debug)]
pub struct Reader {
    location: Location,
    panels: Vec<OpenPanel>,
    scratch: RefCell<Scratch>,
}

impl Reader {
    /// How the samples are held in memory.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.location.storage
    }

    /// As [`Location::pieces`].
    #[must_use]
    pub fn pieces(&self, neurons: &Range<usize>) -> Vec<Piece> {
        self.location.pieces(neurons)
    }

    /// Rows and columns of a chunk of the file, where a part of a chunk takes as long to read as all of it.
    pub(super) fn whole_chunk(&self) -> Option<[usize; 2]> {
        let chunks = self.panels.iter();
        chunks
            .filter_map(|panel| panel.matrix.whole_chunk())
            .max_by_key(|[rows, columns]| rows.saturating_mul(*columns))
    }

    /// Reads a piece and copies to each of `parts`, which have no sample in common, what belongs to it: in the file's units,
    /// rounded to f32.
    ///
    /// # Errors
    /// If the recording does not have the piece, or the file cannot be read.
    pub fn read(&self, piece: &Piece, parts: &mut [&mut Samples]) -> Result<(), InputError> {
        let (neurons, frames) = (self.storage().neurons(), self.storage().frames());
        if !within(&piece.neurons, neurons) || !within(&piece.frames, frames) {
            return Err(InputError::Range {
                path: PathBuf::from(self.location.to_string()),
                dataset: self.location.dataset().to_owned(),
                neurons,
                frames,
                piece: piece.clone(),
            });
        }
        if piece.samples() == 0 {
            return Ok(());
        }
        if let [only] = &self.panels[..]
            && only.panel.is_plain()
        {
            return only.matrix.read(piece, parts);
        }
        let mut scratch = self.scratch.borrow_mut();
        let mut panels = self.panels.iter();
        panels.try_for_each(|panel| panel.read(piece, parts, &mut scratch))
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
