//! The raw calcium traces of a subject (rule 2.2).

mod probe;

use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5::{Dataset, File, H5Type};
use rustix::fs::{Advice, fadvise};
use serde::{Deserialize, Serialize};

use super::error::InputError;
use super::hdf5_access::{self, NumberKind};
use probe::hdf5_error;
pub(super) use probe::{AbsIx, Found, require_file};

/// What the two axes of the dataset are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Orientation {
    /// (T, N), as rule 2.2 has it.
    FramesByNeurons,
    /// (N, T), recognised when only it fits the number of cells.
    NeuronsByFrames,
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
    for [rows, columns] in [first, last] {
        let place = (rows, columns);
        match traces.kind {
            NumberKind::F32 => drop(traces.dataset.read_slice_2d::<f32, _>(place)),
            NumberKind::F64 => drop(traces.dataset.read_slice_2d::<f64, _>(place)),
            NumberKind::I64 => drop(traces.dataset.read_slice_2d::<i64, _>(place)),
            NumberKind::U64 => drop(traces.dataset.read_slice_2d::<u64, _>(place)),
        }
    }
}

/// Numbers held at a time while a block is turned from the file's order into neuron-major order: 4 MiB of f32.
const BLOCK: usize = 1 << 20;
/// Blocks that the system is told of before they are read.
const BLOCKS_AHEAD: usize = 4;

/// The open dataset of raw fluorescence.
#[derive(Debug)]
pub struct Traces {
    path: PathBuf,
    name: String,
    dataset: Dataset,
    _file: File,
    kind: NumberKind,
    shape: [usize; 2],
    chunk: Option<[usize; 2]>,
    chunk_bytes: usize,
    read_ahead: Option<ReadAhead>,
    orientation: Orientation,
}

/// Tells the system which pieces of the rows of a contiguous dataset are read next. Its own read-ahead knows only whole
/// stretches, and a disk or a server that is asked for one piece at a time spends most of the time on the way.
#[derive(Debug)]
struct ReadAhead {
    file: std::fs::File,
    /// Where the dataset begins in the file.
    offset: u64,
    row_bytes: u64,
    value_bytes: u64,
}

impl ReadAhead {
    /// Shorter pieces are not worth a call.
    const PIECE: u64 = 2048;

    /// None where the dataset is not stored in one piece.
    fn new(path: &Path, dataset: &Dataset, found: &Found) -> Option<Self> {
        let offset = found.chunk.is_none().then(|| dataset.offset()).flatten()?;
        let value_bytes = found.value_bytes as u64;
        Some(Self {
            file: std::fs::File::open(path).ok()?,
            offset,
            row_bytes: found.shape[1] as u64 * value_bytes,
            value_bytes,
        })
    }

    fn announce(&self, rows: &Range<usize>, columns: &Range<usize>) {
        let length = columns.len() as u64 * self.value_bytes;
        let Some(length) = NonZeroU64::new(length).filter(|length| length.get() >= Self::PIECE)
        else {
            return;
        };
        for row in rows.clone() {
            let start = row as u64 * self.row_bytes + columns.start as u64 * self.value_bytes;
            // Only advice: reading works without.
            let _ = fadvise(
                &self.file,
                self.offset + start,
                Some(length),
                Advice::WillNeed,
            );
        }
    }
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
        let row_bytes = found.shape[1].saturating_mul(found.value_bytes);
        let chunk_bytes = found
            .chunk
            .map(|[a, b]| a.saturating_mul(b).saturating_mul(found.value_bytes));
        let failed = |error: hdf5::Error| hdf5_error(time_series, dataset, &error);
        let file = hdf5_access::open_tuned(time_series, row_bytes, chunk_bytes).map_err(failed)?;
        let open = file.dataset(dataset).map_err(failed)?;
        Ok(Traces {
            path: time_series.to_owned(),
            name: dataset.to_owned(),
            read_ahead: ReadAhead::new(time_series, &open, found),
            dataset: open,
            _file: file,
            kind: found.kind,
            shape: found.shape,
            chunk: found.chunk,
            chunk_bytes: chunk_bytes.unwrap_or(0),
            orientation,
        })
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

    /// What the two axes of the dataset are.
    #[must_use]
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Neurons in one chunk of the file, if it is stored in chunks: work units that begin at multiples of it read no chunk
    /// twice.
    #[must_use]
    pub fn chunk_width(&self) -> Option<usize> {
        self.chunk
            .map(|chunk| chunk[1 - self.frame_axis()].min(self.neurons()).max(1))
    }

    /// Bytes of one chunk of the file, 0 if it is not stored in chunks.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Reads the traces of `neurons` into `out`, a row of T frames for each, in the file's units, rounded to f32.
    ///
    /// Beside `out`, holds a block of a few MiB, and one chunk of the file where that is larger. No chunk is inflated more
    /// than once.
    ///
    /// # Errors
    /// If the range or the rows do not fit, or the file cannot be read.
    pub fn read(&self, neurons: Range<usize>, out: &mut [&mut [f32]]) -> Result<(), InputError> {
        let frames = self.frames();
        let fits = neurons.start <= neurons.end && neurons.end <= self.neurons();
        if !fits || neurons.len() != out.len() || out.iter().any(|row| row.len() != frames) {
            return Err(InputError::Range {
                path: self.path.clone(),
                dataset: self.name.clone(),
                neurons: self.neurons(),
                frames,
                start: neurons.start,
                end: neurons.end,
                buffer: out.iter().map(|row| row.len()).sum(),
            });
        }
        if out.is_empty() {
            return Ok(());
        }
        let (first, second) = match self.orientation {
            Orientation::FramesByNeurons => (0..frames, neurons.clone()),
            Orientation::NeuronsByFrames => (neurons.clone(), 0..frames),
        };
        let mut target = Target {
            out,
            first_neuron: neurons.start,
            orientation: self.orientation,
        };
        let blocks = blocks(first, second, self.chunk);
        let mut unannounced = blocks.iter();
        for (place, [rows, columns]) in blocks.iter().enumerate() {
            if let Some(ahead) = &self.read_ahead {
                let count = if place == 0 { BLOCKS_AHEAD + 1 } else { 1 };
                for [rows, columns] in unannounced.by_ref().take(count) {
                    ahead.announce(rows, columns);
                }
            }
            self.read_block(rows, columns, &mut target)
                .map_err(|e| hdf5_error(&self.path, &self.name, &e))?;
        }
        Ok(())
    }

    /// Reads in a type that holds every stored value exactly, then rounds to f32 once.
    fn read_block(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        target: &mut Target,
    ) -> Result<(), hdf5::Error> {
        match self.kind {
            NumberKind::F32 => self.read_block_as(rows, columns, target, |v: f32| v),
            NumberKind::F64 => self.read_block_as(rows, columns, target, |v: f64| v as f32),
            NumberKind::I64 => self.read_block_as(rows, columns, target, |v: i64| v as f32),
            NumberKind::U64 => self.read_block_as(rows, columns, target, |v: u64| v as f32),
        }
    }

    fn read_block_as<V: H5Type + Copy>(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        target: &mut Target,
        round: impl Fn(V) -> f32,
    ) -> Result<(), hdf5::Error> {
        let block = self
            .dataset
            .read_slice_2d::<V, _>((rows.clone(), columns.clone()))?;
        let values = block
            .as_slice()
            .ok_or_else(|| hdf5::Error::from("a block that is not contiguous"))?;
        target.put(rows.start, columns, values, round);
        Ok(())
    }

    fn frame_axis(&self) -> usize {
        match self.orientation {
            Orientation::FramesByNeurons => 0,
            Orientation::NeuronsByFrames => 1,
        }
    }
}

/// The rows of the neurons that blocks are put into.
struct Target<'a, 'b> {
    out: &'a mut [&'b mut [f32]],
    first_neuron: usize,
    orientation: Orientation,
}

impl Target<'_, '_> {
    /// Puts a block, row-major as in the file, whose first row and columns are given in the file's indices.
    fn put<V: Copy>(
        &mut self,
        first_row: usize,
        columns: &Range<usize>,
        values: &[V],
        round: impl Fn(V) -> f32,
    ) {
        /// Frames and neurons turned together, so that the values of the one and the rows of the other stay in the cache.
        const TILE: usize = 32;
        let width = columns.len();
        match self.orientation {
            Orientation::NeuronsByFrames => {
                let rows = &mut self.out[first_row - self.first_neuron..];
                for (row, line) in rows.iter_mut().zip(values.chunks_exact(width)) {
                    for (to, &from) in row[columns.clone()].iter_mut().zip(line) {
                        *to = round(from);
                    }
                }
            }
            Orientation::FramesByNeurons => {
                let rows = &mut self.out[columns.start - self.first_neuron..][..width];
                for (tile, values) in values.chunks(TILE * width).enumerate() {
                    let first = first_row + tile * TILE;
                    for (column, row) in rows.iter_mut().enumerate() {
                        let column = values[column..].iter().step_by(width);
                        for (to, &from) in row[first..].iter_mut().zip(column) {
                            *to = round(from);
                        }
                    }
                }
            }
        }
    }
}

/// Cuts a part of a dataset into blocks of about [`BLOCK`] numbers. No chunk lies in two blocks unless it is larger than a
/// block, and then its blocks follow each other.
fn blocks(
    rows: Range<usize>,
    columns: Range<usize>,
    chunk: Option<[usize; 2]>,
) -> Vec<[Range<usize>; 2]> {
    let [chunk_rows, chunk_columns] = chunk
        .unwrap_or([1, columns.len()])
        .map(|extent| extent.max(1));
    // As many whole chunks side by side as a block holds, then as many below each other; of a chunk only what is asked for
    // counts.
    let used_rows = chunk_rows.min(rows.len());
    let across = (BLOCK / (used_rows * chunk_columns.min(columns.len()))).max(1);
    let wide = chunk_columns.saturating_mul(across);
    let used_columns = wide.min(columns.len());
    let high = chunk_rows.saturating_mul((BLOCK / (used_rows * used_columns)).max(1));
    // Without chunks any column may begin a block.
    let origin = if chunk.is_some() { 0 } else { columns.start };
    let mut blocks = Vec::new();
    for rows in cuts(rows, high, 0) {
        for columns in cuts(columns.clone(), wide, origin) {
            let step = (BLOCK / columns.len()).max(1);
            let start = rows.start;
            blocks.extend(cuts(rows.clone(), step, start).map(|rows| [rows, columns.clone()]));
        }
    }
    blocks
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
mod tests;
