//! Neighbouring neurons of a recording whose fluorescence lies in one matrix. Most recordings are one panel with all neurons of its
//! matrix; those of several imaging planes have a panel for each.

use std::ops::Range;
use std::path::Path;

use hdf5::File;
use serde::{Deserialize, Serialize};
use spikegrid_core::findings::Finding;

use super::error::InputError;
use super::hdf5_matrix::Header;
use super::place::{Matrix, Place};
use super::samples::Samples;
use super::storage::{BLOCK, Missing, Orientation, PIECE, Piece, Storage, overlap, rectangles};

/// Parts of a row that are at most this many bytes apart are read together: the system reads whole pages anyway.
pub(super) const PAGE: usize = 4096;

/// Some or all neurons of a matrix, and what is computed of its numbers: gain · number + offset + factor · number of another
/// matrix of the same shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Panel {
    pub(super) place: Place,
    /// How the matrix lies in its file.
    pub(super) stored: Storage,
    /// What of the matrix has no samples.
    missing: Missing,
    /// Frames of the matrix before the first of the recording.
    skipped: usize,
    /// Which neurons of the matrix these are, in the order of the recording.
    runs: Vec<Run>,
    gain: f64,
    offset: f64,
    other: Option<(Place, f64)>,
}

/// Neurons that follow each other in the matrix and in the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    /// Their places in the matrix.
    stored: Range<usize>,
    /// The place of the first in the recording.
    first: usize,
}

impl Run {
    fn neurons(&self) -> Range<usize> {
        self.first..self.first + self.stored.len()
    }

    /// The part of it that has some neurons of the recording.
    fn of(&self, neurons: &Range<usize>) -> Option<Self> {
        let neurons = overlap(&self.neurons(), neurons)?;
        let start = self.stored.start + neurons.start - self.first;
        Some(Self {
            stored: start..start + neurons.len(),
            first: neurons.start,
        })
    }

    /// The part of it that has some neurons of the matrix.
    fn within(&self, stored: &Range<usize>) -> Option<Self> {
        let stored = overlap(&self.stored, stored)?;
        Some(Self {
            first: self.first + stored.start - self.stored.start,
            stored,
        })
    }
}

impl Panel {
    /// All neurons of a matrix that lies like this.
    pub(super) fn new(place: Place, stored: Storage) -> Self {
        Self {
            place,
            stored,
            missing: Missing::Nothing,
            skipped: 0,
            runs: runs(0..stored.neurons()),
            gain: 1.0,
            offset: 0.0,
            other: None,
        }
    }

    /// All neurons of a dataset of an HDF5 file, and what is to be said of samples that were never stored.
    ///
    /// # Errors
    /// If a file that the dataset refers to is lost, or the index of its chunks cannot be read.
    pub(super) fn hdf5(
        path: &Path,
        (header, file): (&Header, &File),
        dataset: &str,
        orientation: Orientation,
    ) -> Result<(Self, Option<Finding>), InputError> {
        let (missing, unwritten) = header.missing(file, path, dataset)?;
        let place = Place::hdf5(path, dataset);
        let panel = Self::new(place, header.storage(orientation)).without(missing);
        let finding = unwritten.map(|unwritten| unwritten.finding(dataset, orientation));
        Ok((panel, finding))
    }

    /// Makes samples missing ones that were never stored.
    pub(super) fn without(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// Takes these neurons of the matrix, in this order; each lies in the matrix.
    pub(super) fn of_neurons(self, neurons: impl IntoIterator<Item = usize>) -> Self {
        Self {
            runs: runs(neurons),
            ..self
        }
    }

    /// Leaves the first frames of the matrix out.
    pub(super) fn skipping(self, skipped: usize) -> Self {
        Self { skipped, ..self }
    }

    /// Multiplies each number by `gain` and adds `offset`.
    pub(super) fn scaled(self, gain: f64, offset: f64) -> Self {
        Self {
            gain,
            offset,
            ..self
        }
    }

    /// Adds `factor` times the number of another matrix, which lies like this one.
    pub(super) fn plus(self, factor: f64, other: Place) -> Self {
        Self {
            other: Some((other, factor)),
            ..self
        }
    }

    /// Gives the neurons their places in the recording, from `first` on.
    pub(super) fn placed_at(mut self, first: usize) -> Self {
        let before = self.runs.first().map_or(0, |run| run.first);
        for run in &mut self.runs {
            run.first = run.first - before + first;
        }
        self
    }

    /// Number of neurons.
    pub(super) fn neurons(&self) -> usize {
        self.runs.iter().map(|run| run.stored.len()).sum()
    }

    /// Number of frames that it has from the first of the recording on.
    pub(super) fn frames(&self) -> usize {
        self.stored.frames().saturating_sub(self.skipped)
    }

    /// Whether its samples are the numbers of the matrix at the same places.
    pub(super) fn is_plain(&self) -> bool {
        let all = 0..self.stored.neurons();
        let computed = self.gain != 1.0 || self.offset != 0.0 || self.other.is_some();
        let whole = matches!(&self.runs[..], [run] if run.first == 0 && run.stored == all);
        whole && self.skipped == 0 && !computed
    }

    /// Bytes that reading takes beside the samples, at most, without what its matrices take themselves.
    pub(super) fn scratch_bytes(&self) -> u64 {
        if self.is_plain() {
            return 0;
        }
        let block = self.stored.chunk_samples().max(PIECE) as u64;
        let matrices = if self.other.is_some() { 2 } else { 1 };
        4 * block * matrices
    }

    /// The runs that have some neurons of the recording, cut to them.
    fn runs_of(&self, neurons: &Range<usize>) -> Vec<Run> {
        self.runs.iter().filter_map(|run| run.of(neurons)).collect()
    }

    /// Cuts the first `frames` frames of some neurons of the recording into pieces, as [`Storage::pieces`] does.
    pub(super) fn pieces(&self, neurons: &Range<usize>, frames: usize) -> Vec<Piece> {
        let runs = self.runs_of(neurons);
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
            return Vec::new();
        };
        let own = first.first..last.neurons().end;
        let is_ascending = runs.is_sorted_by(|a, b| a.stored.end <= b.stored.start);
        if !is_ascending {
            let unordered = Storage {
                chunk: None,
                ..self.stored
            };
            let pieces = unordered.with_extents(frames, own.end).pieces(own);
            return pieces;
        }
        let stored = self.stored.pieces(first.stored.start..last.stored.end);
        let pieces = stored.into_iter().filter_map(|piece| {
            let mut inside = runs.iter().filter_map(|run| run.within(&piece.neurons));
            let first = inside.next()?;
            let last = inside.next_back().unwrap_or_else(|| first.clone());
            let end = last.neurons().end;
            let frames = overlap(&piece.frames, &(self.skipped..self.skipped + frames))?;
            Some(Piece {
                neurons: first.first..end,
                frames: frames.start - self.skipped..frames.end - self.skipped,
            })
        });
        pieces.collect()
    }

    /// Reads the first and last samples of its matrices, for a crash trial: errors do not matter.
    pub(super) fn read_corners(&self) {
        self.place.read_corners();
        if let Some((other, _)) = &self.other {
            other.read_corners();
        }
    }

    /// Opens its matrices.
    ///
    /// # Errors
    /// If one cannot be read, or lies otherwise than when the recording was opened.
    pub(super) fn open(&self) -> Result<OpenPanel, InputError> {
        let open = |place: &Place, missing: &Missing| {
            let matrix = place.open(self.stored.orientation, missing)?;
            let (before, now) = (self.stored, matrix.storage());
            if (now.shape, now.orientation) == (before.shape, before.orientation) {
                return Ok(matrix);
            }
            Err(InputError::Changed {
                path: place.path().to_owned(),
                frames: before.frames(),
                neurons: before.neurons(),
                frames_now: now.frames(),
                neurons_now: now.neurons(),
            })
        };
        let other = self.other.as_ref();
        Ok(OpenPanel {
            panel: self.clone(),
            matrix: open(&self.place, &self.missing)?,
            other: other
                .map(|(place, factor)| Ok((open(place, &Missing::Nothing)?, *factor)))
                .transpose()?,
        })
    }
}

/// Cuts neurons of a matrix, in the order of the recording, into runs of neighbours.
fn runs(neurons: impl IntoIterator<Item = usize>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (first, stored) in neurons.into_iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.stored.end == stored => run.stored.end += 1,
            _ => runs.push(Run {
                stored: stored..stored + 1,
                first,
            }),
        }
    }
    runs
}

/// A panel whose matrices are open.
#[derive(Debug)]
pub(super) struct OpenPanel {
    pub(super) panel: Panel,
    pub(super) matrix: Matrix,
    other: Option<(Matrix, f64)>,
}

/// Memory for what is read of the matrices of a panel before it is copied to its place, kept from block to block.
#[derive(Debug, Default)]
pub(super) struct Scratch([Samples; 2]);

impl OpenPanel {
    /// Reads what it has of a piece of the recording, and copies to each of `parts` what belongs to it.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn read(
        &self,
        piece: &Piece,
        parts: &mut [&mut Samples],
        scratch: &mut Scratch,
    ) -> Result<(), InputError> {
        let stored = self.panel.stored;
        let skipped = self.panel.skipped;
        let frames = piece.frames.start + skipped..piece.frames.end + skipped;
        let runs = self.panel.runs_of(&piece.neurons);
        for runs in self.clusters(&runs) {
            let start = runs.iter().map(|run| run.stored.start).min().unwrap_or(0);
            let end = runs.iter().map(|run| run.stored.end).max().unwrap_or(0);
            let whole = Piece {
                neurons: start..end,
                frames: frames.clone(),
            };
            let [rows, columns] = stored.orientation.axes(&whole);
            let size = if stored.chunk.is_some() { PIECE } else { BLOCK };
            for block in rectangles(rows, columns, stored.chunk, size) {
                let block = stored.orientation.piece(block);
                let read = self.block(&block, scratch)?;
                for run in runs.iter().filter_map(|run| run.within(&block.neurons)) {
                    for part in parts.iter_mut() {
                        part.take_moved(read, &run.stored, run.first, skipped);
                    }
                }
            }
        }
        Ok(())
    }

    /// Samples of a block of the matrix, computed.
    fn block<'a>(
        &self,
        block: &Piece,
        Scratch([first, second]): &'a mut Scratch,
    ) -> Result<&'a Samples, InputError> {
        let Panel {
            stored,
            gain,
            offset,
            ..
        } = self.panel;
        first.renew(&stored, block.clone());
        self.matrix.read(block, &mut [first])?;
        match &self.other {
            Some((other, factor)) => {
                second.renew(&stored, block.clone());
                other.read(block, &mut [second])?;
                first.combine(second, |number, other| {
                    (gain * f64::from(number) + offset + factor * f64::from(other)) as f32
                });
            }
            None if gain != 1.0 || offset != 0.0 => {
                first.compute(|number| (gain * f64::from(number) + offset) as f32);
            }
            None => {}
        }
        Ok(first)
    }

    /// Runs that are read together, with what lies between them: all, but where neurons are rows that can be read alone.
    fn clusters<'a>(&self, runs: &'a [Run]) -> impl Iterator<Item = &'a [Run]> {
        let stored = self.panel.stored;
        let row_bytes = stored.shape[1].saturating_mul(stored.value_bytes);
        let alone = stored.chunk.is_none() && stored.orientation == Orientation::NeuronsByFrames;
        runs.chunk_by(move |a, b| {
            !alone
                || b.stored.start >= a.stored.end
                    && (b.stored.start - a.stored.end).saturating_mul(row_bytes) <= PAGE
        })
    }
}

#[cfg(test)]
mod tests;
