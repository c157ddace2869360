//! Parts of a dataset that its writer declared and never stored. HDF5 gives a fill value for them, mostly 0, which would pass for
//! samples.

use std::ops::Range;

use hdf5::plist::dataset_create::Layout;
use hdf5::{Dataset, h5check};
use hdf5_sys::h5::{herr_t, hsize_t};
use hdf5_sys::h5i::hid_t;
use spikegrid_core::findings::{Code, Finding};

use crate::input::storage::{Orientation, Storage};

/// Chunks of a dataset that are looked at one by one, at most; of larger datasets the share of the samples is that of the chunks.
const LOOKED_AT: usize = 1 << 16;

unsafe extern "C" {
    // Of HDF5 1.10.2 and later; hdf5-sys does not have it.
    fn H5Dget_chunk_storage_size(
        dataset: hid_t,
        start: *const hsize_t,
        bytes: *mut hsize_t,
    ) -> herr_t;
}

/// What of a dataset was never stored.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::input) struct Unwritten {
    /// Chunks that are not there, and all chunks; none where the dataset lies in one piece.
    chunks: Option<[usize; 2]>,
    /// Samples that are not there, of all.
    share: f64,
    /// Rows and columns that lack a sample: how many, and the first.
    rows: Touched,
    columns: Touched,
}

/// Rows or columns.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Touched {
    count: usize,
    first: usize,
}

impl Unwritten {
    /// What of a dataset with this storage was never stored; nothing where it is complete.
    ///
    /// # Errors
    /// If the index of its chunks cannot be read.
    pub(in crate::input) fn of(
        dataset: &Dataset,
        storage: &Storage,
    ) -> Result<Option<Self>, hdf5::Error> {
        let [rows, columns] = storage.shape;
        let Some(chunk) = storage.chunk else {
            let settings = dataset.dcpl()?;
            let nowhere = settings.get_layout()? == Layout::Contiguous
                && settings.get_external()?.is_empty()
                && dataset.offset().is_none();
            let all = |count| Touched { count, first: 0 };
            return Ok(nowhere.then(|| Self {
                chunks: None,
                share: 1.0,
                rows: all(rows),
                columns: all(columns),
            }));
        };
        let grid = [
            rows.div_ceil(chunk[0].max(1)),
            columns.div_ceil(chunk[1].max(1)),
        ];
        let all = grid[0].saturating_mul(grid[1]);
        let there = dataset.num_chunks().ok_or("unable to count its chunks")?;
        if there >= all {
            return Ok(None);
        }
        if all > LOOKED_AT {
            let share = (all - there) as f64 / all as f64;
            let any = Touched { count: 0, first: 0 };
            let chunks = Some([all - there, all]);
            return Ok(Some(Self {
                chunks,
                share,
                rows: any,
                columns: any,
            }));
        }
        Self::look(dataset, storage.shape, chunk, grid)
    }

    /// Looks at each chunk.
    fn look(
        dataset: &Dataset,
        shape: [usize; 2],
        chunk: [usize; 2],
        grid: [usize; 2],
    ) -> Result<Option<Self>, hdf5::Error> {
        let extent = |axis: usize, place: usize| {
            let start = place * chunk[axis];
            start..start.saturating_add(chunk[axis]).min(shape[axis])
        };
        let (mut rows, mut columns) = (vec![false; grid[0]], vec![false; grid[1]]);
        let (mut chunks, mut samples) = (0, 0_usize);
        for (row, row_touched) in rows.iter_mut().enumerate() {
            for (column, column_touched) in columns.iter_mut().enumerate() {
                let [down, across] = [extent(0, row), extent(1, column)];
                if stored_bytes(dataset, [down.start, across.start])? == 0 {
                    chunks += 1;
                    samples += down.len() * across.len();
                    (*row_touched, *column_touched) = (true, true);
                }
            }
        }
        let touched = |places: &[bool], axis: usize| {
            let places = places.iter().enumerate().filter(|(_, touched)| **touched);
            let mut extents = places.map(|(place, _)| extent(axis, place)).peekable();
            let first = extents
                .peek()
                .map_or(0, |extent: &Range<usize>| extent.start);
            let count = extents.map(|extent| extent.len()).sum();
            Touched { count, first }
        };
        Ok((chunks > 0).then(|| Self {
            chunks: Some([chunks, grid[0] * grid[1]]),
            share: samples as f64 / (shape[0] as f64 * shape[1] as f64),
            rows: touched(&rows, 0),
            columns: touched(&columns, 1),
        }))
    }

    /// The finding of rule 9.3 about a dataset of this name.
    pub(in crate::input) fn finding(&self, dataset: &str, orientation: Orientation) -> Finding {
        let what = match self.chunks {
            Some([missing, all]) => format!(
                "{missing} of {all} chunks of {dataset} were never stored ({} of the samples)",
                percent(self.share)
            ),
            None => format!("{dataset} was declared and never stored (all of the samples)"),
        };
        let (frames, neurons) = match orientation {
            Orientation::FramesByNeurons => (self.rows, self.columns),
            Orientation::NeuronsByFrames => (self.columns, self.rows),
        };
        Finding {
            neurons: neurons.count as u64,
            frames: frames.count as u64,
            share: self.share,
            first_neuron: (neurons.count > 0).then_some(neurons.first as u64),
            ..Finding::new(
                Code::UnwrittenChunks,
                format!("{what}: these samples count as missing."),
                "Write the file again: its writer was stopped before it was done, or never gave these samples.",
            )
        }
    }
}

/// A share in per cent, with at least one digit that is not 0.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        1.0.. => format!("{percent:.1} %"),
        _ => format!("{percent:.1e} %"),
    }
}

/// The bytes that a chunk takes in the file; 0 where it was never stored.
///
/// # Errors
/// If the dataset has no chunk that begins at this row and column, or the index of chunks cannot be read.
pub(super) fn stored_bytes(dataset: &Dataset, start: [usize; 2]) -> Result<usize, hdf5::Error> {
    let start = start.map(|place| place as hsize_t);
    if dataset.ndim() != start.len() {
        return Err("a dataset that has not two axes".into());
    }
    let mut bytes = 0;
    // SAFETY: the dataset is open, and has two axes, as `start` has.
    let found = hdf5::sync::sync(|| {
        h5check(unsafe { H5Dget_chunk_storage_size(dataset.id(), start.as_ptr(), &mut bytes) })
    });
    match found {
        Ok(_) => Ok(bytes as usize),
        Err(error) if says_absent(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Whether an error says that a chunk is not there: HDF5 1.10 has no other answer.
fn says_absent(error: &hdf5::Error) -> bool {
    let reason = error
        .stack()
        .and_then(|stack| stack.last().map(|last| last.desc().to_owned()));
    reason
        .is_some_and(|reason| reason.contains("not allocated") || reason.contains("isn't defined"))
}
