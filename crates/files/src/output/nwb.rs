//! `<subject>.nwb` (rule 8.10): ΔF/F, spike rates in Hz and the places of all neurons in the format Neurodata Without Borders.
//!
//! Rank 0 lays the file out. A chunk of a matrix, (T, N), holds up to 1,000 frames of the neurons of one work unit. Chunks are not
//! compressed and have their places from the start, one after the other, so the rank that has computed a work unit writes its chunks
//! with plain positioned writes, as it does with [traces](super::traces).

mod document;

use std::fs::OpenOptions;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::Crc;
use hdf5::{Dataset, File};
use serde::{Deserialize, Serialize};
use spikegrid_core::activity::{Chunks, Precision};
use spikegrid_core::unit::{UnitOutput, Units};

use super::error::OutputError;
use crate::names::partial;
use crate::raw_chunk;
use crate::regular;
pub use document::{Document, Voxel};

/// ΔF/F, f32 (T, N).
pub const DFF: &str = "processing/ophys/DfOverF/DfOverF/data";
/// Spike rates in Hz, f32 (T, N).
pub const RATES: &str = "processing/ophys/SpikeRates/SpikeRates/data";

/// The table of neurons, a row for each.
pub const TABLE: &str = "processing/ophys/ImageSegmentation/PlaneSegmentation";

/// A laid-out NWB file under its temporary name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NwbFile {
    path: PathBuf,
    chunks: Chunks,
    /// Where the first chunk of ΔF/F lies.
    dff: u64,
    /// Where the first chunk of the rates lies.
    rates: u64,
    /// Frames per second of the recording.
    sampling_rate_hz: f64,
}

impl NwbFile {
    /// Lays the file out, and writes what is known beforehand.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn create(path: &Path, units: Units, document: &Document) -> Result<Self, OutputError> {
        let path = partial(path);
        let laid_out = document
            .write(&path, &Chunks::of(units, Precision::F32))
            .and_then(|()| Self::find(&path, units, document.provenance.sampling_rate));
        let laid_out = laid_out.map_err(OutputError::hdf5(&path, "cannot be laid out"))?;
        // If this run is interrupted, the next one adds the units that are missing.
        let synced = std::fs::File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(OutputError::io(&path, "cannot be brought to disk"))?;
        Ok(laid_out)
    }

    /// The unfinished file that an interrupted run laid out, if it is as it should be.
    pub fn open(path: &Path, units: Units, sampling_rate_hz: f64) -> Option<Self> {
        Self::find(path, units, sampling_rate_hz).ok()
    }

    /// Whether a finished file has the rates of `N` neurons in `T` frames.
    pub fn is_complete(path: &Path, frames: usize, neurons: usize) -> bool {
        let dataset = regular::open_hdf5(path).and_then(|file| file.dataset(RATES));
        dataset.is_ok_and(|dataset| dataset.shape() == [frames, neurons])
    }

    /// Reads what [`open`](Self::open) reads, for a crash trial: errors do not matter.
    pub(crate) fn read_for_trial(path: &Path) {
        let Ok(file) = regular::open_hdf5(path) else {
            return;
        };
        for name in [DFF, RATES] {
            if let Ok(dataset) = file.dataset(name) {
                let _ = (dataset.chunk(), dataset.num_chunks(), dataset.chunk_info(0));
            }
        }
    }

    /// Finds the places of the chunks.
    fn find(path: &Path, units: Units, sampling_rate_hz: f64) -> hdf5::Result<Self> {
        let file = regular::open_hdf5(path)?;
        let chunks = Chunks::of(units, Precision::F32);
        Ok(Self {
            path: path.to_path_buf(),
            chunks,
            dff: first_chunk(&file, DFF, &chunks)?,
            rates: first_chunk(&file, RATES, &chunks)?,
            sampling_rate_hz,
        })
    }

    /// Where the chunks of a unit lie in a matrix, in the order of frames.
    fn places(&self, first_chunk: u64, neurons: &Range<usize>) -> impl Iterator<Item = u64> {
        let [blocks, columns] = self.chunks.counts();
        let column = neurons.start / self.chunks.chunk_neurons;
        let bytes = self.chunks.chunk_bytes() as u64;
        (0..blocks).map(move |block| first_chunk + (block * columns + column) as u64 * bytes)
    }

    /// Writes the neurons of a unit, whose rates are in spikes per frame, and adds their bytes to a checksum.
    ///
    /// # Errors
    /// The system's reason.
    pub fn fill(&self, unit: &UnitOutput, crc: &mut Crc) -> Result<(), OutputError> {
        let file = OpenOptions::new().write(true).open(&self.path);
        let file = file.map_err(OutputError::io(&self.path, "cannot be opened"))?;
        let hertz = |&rate: &f32| (f64::from(rate) * self.sampling_rate_hz) as f32;
        let rates: Vec<f32> = unit.rate.iter().map(hertz).collect();
        for (first_chunk, values) in [(self.dff, &unit.dff), (self.rates, &rates)] {
            let mut places = self.places(first_chunk, &unit.neurons);
            self.chunks
                .try_for_each(values, |chunk| {
                    crc.update(chunk);
                    file.write_all_at(chunk, places.next().unwrap_or_default())
                })
                .map_err(OutputError::io(&self.path, "cannot be written"))?;
        }
        Ok(())
    }

    /// Adds the bytes that the file has of a unit to a checksum, as [`fill`](Self::fill) does; returns whether the file has them.
    pub fn add_to(&self, neurons: &Range<usize>, crc: &mut Crc) -> bool {
        let Ok(file) = regular::open(&self.path) else {
            return false;
        };
        let mut chunk = vec![0; self.chunks.chunk_bytes()];
        [self.dff, self.rates].into_iter().all(|first_chunk| {
            self.places(first_chunk, neurons).all(|place| {
                let is_read = file.read_exact_at(&mut chunk, place).is_ok();
                crc.update(&chunk);
                is_read
            })
        })
    }
}

/// Where the first chunk of a matrix lies, if the others follow it in their order.
fn first_chunk(file: &File, name: &str, chunks: &Chunks) -> hdf5::Result<u64> {
    let dataset = file.dataset(name)?;
    let [blocks, columns] = chunks.counts();
    let count = blocks * columns;
    let address = |dataset: &Dataset, number: usize| {
        let chunk = dataset.chunk_info(number);
        chunk.map(|chunk| chunk.addr)
    };
    let is_ours = dataset.shape() == [chunks.frames, chunks.neurons]
        && dataset
            .chunk()
            .is_some_and(|chunk| chunk == chunks.extents())
        && dataset.dtype()?.size() == chunks.precision.bytes()
        && dataset.filters().is_empty()
        && raw_chunk::count(&dataset)? == count;
    match (address(&dataset, 0), address(&dataset, count - 1)) {
        (Some(first), Some(last))
            if is_ours && last == first + ((count - 1) * chunks.chunk_bytes()) as u64 =>
        {
            Ok(first)
        }
        _ => Err(format!("the chunks of {name} lie elsewhere than this program expects").into()),
    }
}

#[cfg(test)]
mod tests;
