//! The raw calcium traces of a subject (rule 2.2).

mod chunks;
mod huge_pages;
mod hyperslab;
mod probe;
mod samples;

use std::fs;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5::{Dataset, File};
use rustix::fs::{Advice, fadvise};
use serde::{Deserialize, Serialize};

use super::error::InputError;
use crate::hdf5_access::{self, NumberKind};
use chunks::{Chunks, Coding};
use hyperslab::Reader;
use probe::hdf5_error;
pub(super) use probe::{AbsIx, Found, require_file};
pub use samples::Samples;
use samples::{Block, Number, overlap};

/// What the two axes of the dataset are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Orientation {
    /// (T, N), as rule 2.2 has it.
    #[default]
    FramesByNeurons,
    /// (N, T), recognised when only it fits the number of cells.
    NeuronsByFrames,
}

impl Orientation {
    /// Rows and columns of the dataset.
    fn axes(self, piece: &Piece) -> [Range<usize>; 2] {
        let (neurons, frames) = (piece.neurons.clone(), piece.frames.clone());
        match self {
            Orientation::FramesByNeurons => [frames, neurons],
            Orientation::NeuronsByFrames => [neurons, frames],
        }
    }

    /// The piece of these rows and columns of the dataset.
    fn piece(self, [rows, columns]: [Range<usize>; 2]) -> Piece {
        let (neurons, frames) = match self {
            Orientation::FramesByNeurons => (columns, rows),
            Orientation::NeuronsByFrames => (rows, columns),
        };
        Piece { neurons, frames }
    }
}

/// Names the type that holds numbers of a kind.
macro_rules! with_type {
    ($kind:expr, $N:ident => $body:expr) => {
        with_type!(@ $kind, $N => $body, F32 f32, F64 f64, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
    (@ $kind:expr, $N:ident => $body:expr, $($Kind:ident $type:ty),+) => {
        match $kind {
            $(NumberKind::$Kind => {
                type $N = $type;
                $body
            })+
        }
    };
}

/// Reads what there is to read before the samples, the index of chunks and the first and last samples, whatever comes
/// of it.
pub(crate) fn try_out(time_series: &Path, dataset: &str) {
    const CORNER: usize = 8;
    let Ok(found) = Found::probe(time_series, dataset) else {
        return;
    };
    let orientation = Orientation::NeuronsByFrames;
    let Ok(traces) = Traces::open_found(time_series, dataset, orientation, &found) else {
        return;
    };
    let _ = traces.dataset.storage_size();
    let first = found.shape.map(|extent| 0..extent.min(CORNER));
    let last = found
        .shape
        .map(|extent| extent.saturating_sub(CORNER)..extent);
    for corner in [first, last] {
        let _ = with_type!(traces.kind, N => traces.read_as::<N>(corner, &mut []));
    }
}

/// Numbers that are read from the file at a time: 1 MiB of f32, which stays in a cache until it is put where it belongs.
const BLOCK: usize = 1 << 18;
/// A size of which there is one chunk to a rectangle or block.
const ONE_CHUNK: usize = 1;
/// Bytes of chunks that HDF5 keeps, at least.
const CACHE: usize = 1 << 20;
/// Numbers that one rank reads at a time for all: 8 MiB of f32.
const PIECE: usize = 2 << 20;

/// How a dataset of traces lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    pub orientation: Orientation,
    pub shape: [usize; 2],
    /// Extents of a chunk, if it is stored in chunks.
    pub chunk: Option<[usize; 2]>,
    pub value_bytes: usize,
}

/// A part of a dataset that is read at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub neurons: Range<usize>,
    pub frames: Range<usize>,
}

impl Piece {
    /// The number of its samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.neurons.len() * self.frames.len()
    }

    /// The part of it that belongs to some neurons, if there is any.
    #[must_use]
    pub fn of(&self, neurons: &Range<usize>) -> Option<Piece> {
        Some(Piece {
            neurons: overlap(&self.neurons, neurons)?,
            frames: self.frames.clone(),
        })
    }
}

impl Storage {
    /// A dataset (T, N) of f32, stored in one piece.
    #[must_use]
    pub fn contiguous(frames: usize, neurons: usize) -> Self {
        Self {
            orientation: Orientation::FramesByNeurons,
            shape: [frames, neurons],
            chunk: None,
            value_bytes: 4,
        }
    }

    /// Number of frames, T.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.shape[self.frame_axis()]
    }

    /// Number of neurons, N.
    #[must_use]
    pub fn neurons(&self) -> usize {
        self.shape[1 - self.frame_axis()]
    }

    /// Bytes of one chunk of the file, 0 if it is not stored in chunks.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        self.chunk.map_or(0, |[rows, columns]| {
            rows.saturating_mul(columns)
                .saturating_mul(self.value_bytes)
        })
    }

    /// Neurons that a chunk of the file reaches over, 0 if it is not stored in chunks.
    #[must_use]
    pub fn chunk_neurons(&self) -> usize {
        let axis = 1 - self.frame_axis();
        self.chunk
            .map_or(0, |chunk| chunk[axis].min(self.shape[axis]))
    }

    /// Cuts all frames of some neurons into pieces of about 2 million samples that are whole chunks of the file, or whole stretches of rows where
    /// there are none, so that none is read or inflated again for other neurons of these.
    #[must_use]
    pub fn pieces(&self, neurons: Range<usize>) -> Vec<Piece> {
        let [rows, columns] = self.orientation.axes(&self.all_frames(neurons));
        // Chunks across the edge come last: where an array was written at once, HDF5 has put them elsewhere in the file, and going there
        // and back for each row of chunks takes half as long again.
        let edge = self.chunk.map_or(columns.end, |[_, wide]| {
            (self.shape[1] / wide.max(1) * wide).clamp(columns.start, columns.end)
        });
        [columns.start..edge, edge..columns.end]
            .into_iter()
            .flat_map(|columns| rectangles(rows.clone(), columns, self.chunk, PIECE))
            .map(|part| self.orientation.piece(part))
            .collect()
    }

    /// All frames of some neurons.
    #[must_use]
    pub fn all_frames(&self, neurons: Range<usize>) -> Piece {
        let frames = 0..self.frames();
        Piece { neurons, frames }
    }

    /// Samples in a piece, at most.
    #[must_use]
    pub fn largest_piece(&self) -> usize {
        PIECE.max(self.indivisible())
    }

    /// Bytes of the file's numbers that are held as they are read, at most, in the widest type.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        let row = if self.chunk.is_none() {
            self.shape[1]
        } else {
            0
        };
        8 * BLOCK.max(row)
    }

    /// Columns that are read for these where chunks are plain: those of whole chunks, which lie in one piece and go through no cache,
    /// while HDF5 reads parts of their rows one by one; the same where chunks are larger than a block.
    fn whole_chunks(&self, columns: Range<usize>) -> Range<usize> {
        match self.chunk {
            Some([high, wide]) if high.saturating_mul(wide) <= BLOCK => {
                // A damaged file may say any extents.
                let wide = wide.max(1);
                let end = columns.end.div_ceil(wide).saturating_mul(wide);
                columns.start / wide * wide..end.min(self.shape[1])
            }
            _ => columns,
        }
    }

    /// Rows and columns that lie together in memory, as they do in the file: those of a chunk, or of as many below each other as make turning
    /// them worth its while; all where there are no chunks, or none beside another.
    fn tile(&self) -> [usize; 2] {
        const HIGH: usize = 64;
        match self.chunk {
            Some([high, wide]) if wide < self.shape[1] => {
                let high = high.max(1);
                [high.saturating_mul(HIGH.div_ceil(high)), wide.max(1)]
            }
            _ => [usize::MAX, self.shape[1].max(1)],
        }
    }

    /// Samples that are always read together: those of a chunk, or of a row where there are no chunks.
    fn indivisible(&self) -> usize {
        let [rows, columns] = self.shape;
        let [high, wide] = self.chunk.unwrap_or([1, columns]);
        high.min(rows) * wide.min(columns)
    }

    fn frame_axis(&self) -> usize {
        match self.orientation {
            Orientation::FramesByNeurons => 0,
            Orientation::NeuronsByFrames => 1,
        }
    }
}

/// The open dataset of raw fluorescence.
#[derive(Debug)]
pub struct Traces {
    path: PathBuf,
    name: String,
    dataset: Dataset,
    _file: File,
    /// Where a dataset begins that is stored in one piece, for advice alone: it may lie in a file that this one links to.
    stored: Option<(fs::File, u64)>,
    kind: NumberKind,
    /// Is it stored in chunks without filters?
    plain_chunks: bool,
    /// Of chunks that are not left to HDF5.
    coding: Option<Coding>,
    storage: Storage,
}

impl Traces {
    /// Opens `dataset` of the file `time_series` (read-only, without MPI).
    ///
    /// # Errors
    /// If the file or dataset is missing or damaged, or is not a non-empty two-dimensional dataset of numbers.
    pub fn open(
        time_series: &Path,
        dataset: &str,
        orientation: Orientation,
    ) -> Result<Traces, InputError> {
        Traces::open_found(
            time_series,
            dataset,
            orientation,
            &Found::probe(time_series, dataset)?,
        )
    }

    /// Opens a dataset that was just looked at.
    pub(super) fn open_found(
        time_series: &Path,
        dataset: &str,
        orientation: Orientation,
        found: &Found,
    ) -> Result<Traces, InputError> {
        // The settings belong to the open file: it is opened again with those that suit the dataset.
        let storage = Storage {
            orientation,
            shape: found.shape,
            chunk: found.chunk,
            value_bytes: found.value_bytes,
        };
        let failed = |error: hdf5::Error| hdf5_error(time_series, dataset, &error);
        let row_bytes = storage.shape[1].saturating_mul(storage.value_bytes);
        // Where chunks have filters, HDF5 takes a whole one for each part of it that is read, so it keeps one.
        let cached = if found.plain_chunks {
            0
        } else {
            storage.chunk_bytes().max(CACHE)
        };
        let file = hdf5_access::open_tuned(time_series, row_bytes, cached).map_err(failed)?;
        let open = file.dataset(dataset).map_err(failed)?;
        Ok(Traces {
            path: time_series.to_owned(),
            name: dataset.to_owned(),
            plain_chunks: found.plain_chunks,
            coding: with_type!(found.kind, N => Coding::of::<N>(&open)),
            stored: open
                .offset()
                .and_then(|start| Some((fs::File::open(time_series).ok()?, start))),
            dataset: open,
            _file: file,
            kind: found.kind,
            storage,
        })
    }

    /// How the dataset lies in the file.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// Number of frames, T.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.storage.frames()
    }

    /// Number of neurons, N.
    #[must_use]
    pub fn neurons(&self) -> usize {
        self.storage.neurons()
    }

    /// Reads a piece and puts what belongs to each of `parts`, which have no sample in common, there, in the file's units, rounded to f32.
    ///
    /// Beside them, holds a block of a MiB or two, and a few chunks of the file. No chunk that is whole is inflated more than once.
    ///
    /// # Errors
    /// If the dataset does not have the piece, or the file cannot be read.
    pub fn read(&self, piece: &Piece, parts: &mut [&mut Samples]) -> Result<(), InputError> {
        let (neurons, frames) = (self.storage.neurons(), self.storage.frames());
        let within = |range: &Range<usize>, extent| range.start <= range.end && range.end <= extent;
        if !within(&piece.neurons, neurons) || !within(&piece.frames, frames) {
            return Err(InputError::Range {
                path: self.path.clone(),
                dataset: self.name.clone(),
                neurons,
                frames,
                piece: piece.clone(),
            });
        }
        if piece.samples() == 0 {
            return Ok(());
        }
        let piece = self.storage.orientation.axes(piece);
        self.announce(&piece);
        // In a type that holds every stored number exactly, then rounded to f32 once.
        let read = with_type!(self.kind, N => self.read_as::<N>(piece, parts));
        read.map_err(|e| hdf5_error(&self.path, &self.name, &e))
    }

    /// The samples of some neurons.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_neurons(&self, neurons: Range<usize>) -> Result<Samples, InputError> {
        let piece = self.storage.all_frames(neurons);
        let mut samples = Samples::new(&self.storage, piece.clone());
        self.read(&piece, &mut [&mut samples]).map(|()| samples)
    }

    /// Tells the system which parts of rows are read next, where they are too far from each other for it to read ahead by itself.
    fn announce(&self, [rows, columns]: &[Range<usize>; 2]) {
        /// What Linux reads ahead unless told otherwise.
        const NEAR: u64 = 128 << 10;
        /// Of two pages, one of which is not wanted, little is gained.
        const SHORT: u64 = 8 << 10;
        let Some((file, start)) = &self.stored else {
            return;
        };
        // A damaged file may say any extents.
        let bytes =
            |numbers: usize| (numbers as u64).saturating_mul(self.storage.value_bytes as u64);
        let (row_bytes, length) = (bytes(self.storage.shape[1]), bytes(columns.len()));
        if row_bytes - length < NEAR || length < SHORT {
            return;
        }
        let first = start.saturating_add(bytes(columns.start));
        for row in rows.clone() {
            let place = first.saturating_add(row_bytes.saturating_mul(row as u64));
            // It is no more than advice.
            let _ = fadvise(file, place, NonZero::new(length), Advice::WillNeed);
        }
    }

    fn read_as<N: Number>(
        &self,
        [rows, columns]: [Range<usize>; 2],
        parts: &mut [&mut Samples],
    ) -> Result<(), hdf5::Error> {
        let mut reader = Reader::<N>::new(&self.dataset)?;
        let Some(coding) = self.coding else {
            let (columns, size) = if self.plain_chunks {
                (self.storage.whole_chunks(columns), ONE_CHUNK)
            } else {
                (columns, BLOCK)
            };
            return blocks(rows, columns, self.storage.chunk, size)
                .try_for_each(|block| read_block(&mut reader, block, parts));
        };
        let extent = coding.extent;
        let mut chunks = Chunks::<N>::new(&self.dataset, coding);
        for [rows, columns] in rectangles(rows, columns, Some(extent), ONE_CHUNK) {
            let start = [
                rows.start / extent[0] * extent[0],
                columns.start / extent[1] * extent[1],
            ];
            let Some(values) = chunks.read(start) else {
                read_block(&mut reader, [rows, columns], parts)?;
                continue;
            };
            let skipped = (rows.start - start[0]) * extent[1] + columns.start - start[1];
            let block = Block {
                rows,
                columns,
                stride: extent[1],
                values: &values[skipped..],
            };
            parts.iter_mut().for_each(|part| part.put(&block));
        }
        Ok(())
    }
}

/// Reads a block straight to where it belongs, if that is one place in one part, or by way of the reader's memory.
fn read_block<N: Number>(
    reader: &mut Reader<N>,
    [rows, columns]: [Range<usize>; 2],
    parts: &mut [&mut Samples],
) -> Result<(), hdf5::Error> {
    let mut places = parts
        .iter_mut()
        .filter_map(|part| part.place(&rows, &columns));
    if let Some(place) = places.next().and_then(N::of_samples) {
        return reader.read_into(&rows, &columns, place);
    }
    let values = reader.read(&rows, &columns)?;
    let block = Block {
        rows,
        stride: columns.len(),
        columns,
        values,
    };
    parts.iter_mut().for_each(|part| part.put(&block));
    Ok(())
}

/// Cuts a part of a dataset into blocks of about `size` numbers, [`BLOCK`] at most. No chunk lies in two blocks unless it is larger than
/// that, and then its blocks follow each other.
fn blocks(
    rows: Range<usize>,
    columns: Range<usize>,
    chunk: Option<[usize; 2]>,
    size: usize,
) -> impl Iterator<Item = [Range<usize>; 2]> {
    rectangles(rows, columns, chunk, size).flat_map(|[rows, columns]| {
        let step = (BLOCK / columns.len()).max(1);
        let start = rows.start;
        cuts(rows, step, start).map(move |rows| [rows, columns.clone()])
    })
}

/// Cuts a part of a dataset into rectangles of about `size` numbers, each of whole chunks, or of whole rows where there are none.
fn rectangles(
    rows: Range<usize>,
    columns: Range<usize>,
    chunk: Option<[usize; 2]>,
    size: usize,
) -> impl Iterator<Item = [Range<usize>; 2]> {
    let [chunk_rows, chunk_columns] = chunk
        .unwrap_or([1, columns.len()])
        .map(|extent| extent.max(1));
    // As many whole chunks side by side as there is room for, then as many below each other; of a chunk only what is asked for
    // counts.
    let used_rows = chunk_rows.min(rows.len()).max(1);
    let across = (size / (used_rows * chunk_columns.min(columns.len()).max(1))).max(1);
    let wide = chunk_columns.saturating_mul(across);
    let used_columns = wide.min(columns.len()).max(1);
    let high = chunk_rows.saturating_mul((size / (used_rows * used_columns)).max(1));
    // Without chunks any column may begin a rectangle.
    let origin = if chunk.is_some() { 0 } else { columns.start };
    tiles(rows, columns, [high, wide], origin)
}

/// Cuts rows at every multiple of the height of a tile, and columns at `origin` plus every multiple of its width.
fn tiles(
    rows: Range<usize>,
    columns: Range<usize>,
    [high, wide]: [usize; 2],
    origin: usize,
) -> impl Iterator<Item = [Range<usize>; 2]> {
    cuts(rows, high, 0).flat_map(move |rows| {
        cuts(columns.clone(), wide, origin).map(move |columns| [rows.clone(), columns])
    })
}

/// Cuts a range at `origin` plus every multiple of `step`.
fn cuts(range: Range<usize>, step: usize, origin: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        if start >= range.end {
            return None;
        }
        let next = (start - origin) / step;
        let end = origin
            .saturating_add((next + 1).saturating_mul(step))
            .min(range.end);
        let cut = start..end;
        start = end;
        Some(cut)
    })
}

#[cfg(test)]
pub(crate) mod tests;
