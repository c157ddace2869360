//! `traces.h5` (rule 8.5): rank 0 lays the file out, every rank fills in its neurons.
//!
//! The datasets are contiguous and allocated when the file is made, so each is a run of bytes at a known place, and a
//! rank writes its neurons there with plain positioned writes: no rank waits for another.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::{File, H5Type};
use serde::{Deserialize, Serialize};

use super::{OutputError, partial};
use crate::pipeline::UnitOutput;
use crate::spikes;

/// A laid-out `traces.h5` under its temporary name, with the place of each dataset in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TracesFile {
    path: PathBuf,
    dff: u64,
    spike_rate: u64,
    spikes: u64,
    noise_level: u64,
    model_noise_level: u64,
}

impl TracesFile {
    /// Lays the file out for `N` neurons of `T` frames and writes what is known beforehand: positions, (N, 3), as read,
    /// and the row of `CellXYZ` of each neuron.
    ///
    /// # Errors
    /// HDF5's reason.
    pub fn create(
        path: &Path,
        frames: usize,
        xyz: &[[f64; 3]],
        source_row: &[i64],
    ) -> Result<Self, OutputError> {
        let path = partial(path);
        Self::lay_out(path.clone(), frames, xyz, source_row)
            .map_err(OutputError::hdf5(&path, "cannot be created"))
    }

    fn lay_out(
        path: PathBuf,
        frames: usize,
        xyz: &[[f64; 3]],
        source_row: &[i64],
    ) -> hdf5::Result<Self> {
        fn allocate<T: H5Type>(file: &File, name: &str, shape: &[usize]) -> hdf5::Result<u64> {
            let dataset = file
                .new_dataset::<T>()
                .shape(shape)
                .no_chunk()
                .alloc_time(Some(AllocTime::Early))
                .fill_time(FillTime::Never)
                .create(name)?;
            dataset
                .offset()
                .ok_or_else(|| hdf5::Error::from(format!("{name} has no place in the file")))
        }
        let neurons = xyz.len();
        let file = File::create(&path)?;
        let traces = Self {
            dff: allocate::<f32>(&file, "dff", &[neurons, frames])?,
            spike_rate: allocate::<f32>(&file, "spike_rate", &[neurons, frames])?,
            spikes: allocate::<u8>(&file, "spikes", &[neurons, frames])?,
            noise_level: allocate::<f32>(&file, "noise_level", &[neurons])?,
            model_noise_level: allocate::<i32>(&file, "model_noise_level", &[neurons])?,
            path,
        };
        let positions = ndarray::ArrayView2::from(xyz);
        file.new_dataset_builder()
            .with_data(positions)
            .create("cell_xyz")?;
        file.new_dataset_builder()
            .with_data(source_row)
            .create("source_row")?;
        file.close()?;
        Ok(traces)
    }

    /// Fills in the neurons of a unit of `frames` frames.
    ///
    /// # Errors
    /// The system's reason.
    pub fn fill(&self, frames: usize, unit: &UnitOutput) -> Result<(), OutputError> {
        let file = OpenOptions::new().write(true).open(&self.path);
        let file = file.map_err(OutputError::io(&self.path, "cannot be opened"))?;
        let first = unit.neurons.start as u64;
        let trace = frames as u64;
        let mut unpacked = vec![0_u8; unit.neurons.len() * frames];
        let packed = unit.spikes.chunks_exact(spikes::row_bytes(frames));
        for (row, packed) in unpacked.chunks_exact_mut(frames).zip(packed) {
            spikes::unpack(packed, row);
        }
        let write = || {
            file.write_all_at(
                &bytes(&unit.dff, f32::to_ne_bytes),
                self.dff + first * trace * 4,
            )?;
            file.write_all_at(
                &bytes(&unit.rate, f32::to_ne_bytes),
                self.spike_rate + first * trace * 4,
            )?;
            file.write_all_at(&unpacked, self.spikes + first * trace)?;
            let summary = &unit.summary;
            file.write_all_at(
                &bytes(&summary.noise_level, f32::to_ne_bytes),
                self.noise_level + first * 4,
            )?;
            file.write_all_at(
                &bytes(&summary.model_noise_level, i32::to_ne_bytes),
                self.model_noise_level + first * 4,
            )
        };
        write().map_err(OutputError::io(&self.path, "cannot be written"))
    }
}

fn bytes<T: Copy>(values: &[T], to_bytes: impl Fn(T) -> [u8; 4]) -> Vec<u8> {
    values.iter().flat_map(|&value| to_bytes(value)).collect()
}
