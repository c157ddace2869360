//! `traces.h5` (rule 8.5): rank 0 lays the file out, every rank fills in its neurons.
//!
//! The datasets are contiguous and allocated when the file is made, so each is a run of bytes at a known place, and a
//! rank writes its neurons there with plain positioned writes: no rank waits for another.

use std::fs::OpenOptions;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::Crc;
use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::{File, H5Type};
use serde::{Deserialize, Serialize};
use spikegrid_core::spikes;
use spikegrid_core::unit::UnitOutput;

use super::error::OutputError;
use crate::hdf5_access;
use crate::input::Positions;
use crate::names::partial;
use crate::regular;

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
    /// the place of each neuron in the recording's table of cells, (N,), and, where each imaging plane has such a table, its plane, (N,).
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn create(path: &Path, frames: usize, positions: &Positions) -> Result<Self, OutputError> {
        let path = partial(path);
        let traces = Self::lay_out(path.clone(), frames, positions)
            .map_err(OutputError::hdf5(&path, "cannot be created"))?;
        // If this run is interrupted, the next one fills in the neurons that are missing, in this layout.
        let synced = std::fs::File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(OutputError::io(&path, "cannot be brought to disk"))?;
        Ok(traces)
    }

    fn lay_out(path: PathBuf, frames: usize, positions: &Positions) -> hdf5::Result<Self> {
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
        let neurons = positions.xyz.len();
        let file = hdf5_access::writing().create(&path)?;
        let traces = Self {
            dff: allocate::<f32>(&file, "dff", &[neurons, frames])?,
            spike_rate: allocate::<f32>(&file, "spike_rate", &[neurons, frames])?,
            spikes: allocate::<u8>(&file, "spikes", &[neurons, frames])?,
            noise_level: allocate::<f32>(&file, "noise_level", &[neurons])?,
            model_noise_level: allocate::<i32>(&file, "model_noise_level", &[neurons])?,
            path,
        };
        file.new_dataset_builder()
            .with_data(ndarray::ArrayView2::from(&positions.xyz[..]))
            .create("cell_xyz")?;
        file.new_dataset_builder()
            .with_data(&positions.source_row)
            .create("source_row")?;
        if let Some(planes) = &positions.source_plane {
            file.new_dataset_builder()
                .with_data(planes)
                .create("source_plane")?;
        }
        file.close()?;
        Ok(traces)
    }

    /// The file that an earlier run laid out for `N` neurons of `T` frames, if it is as it should be.
    pub fn open(path: &Path, frames: usize, neurons: usize) -> Option<Self> {
        let file = regular::open_hdf5(path).ok()?;
        let offset = |name: &str, shape: &[usize]| {
            let dataset = file.dataset(name).ok()?;
            (dataset.shape() == shape).then(|| dataset.offset())?
        };
        let traces = Self {
            dff: offset("dff", &[neurons, frames])?,
            spike_rate: offset("spike_rate", &[neurons, frames])?,
            spikes: offset("spikes", &[neurons, frames])?,
            noise_level: offset("noise_level", &[neurons])?,
            model_noise_level: offset("model_noise_level", &[neurons])?,
            path: path.to_path_buf(),
        };
        let known = ["cell_xyz", "source_row"].map(|name| file.dataset(name).is_ok());
        (known == [true; 2]).then_some(traces)
    }

    /// Reads what [`open`](Self::open) reads, for a crash trial: errors do not matter.
    pub(crate) fn read_for_trial(path: &Path) {
        if let Ok(file) = regular::open_hdf5(path) {
            for name in file.member_names().unwrap_or_default() {
                let _ = file.dataset(&name).map(|dataset| dataset.offset());
            }
        }
    }

    /// Where the bytes of some neurons are: first byte and number of bytes in each dataset.
    fn places(&self, frames: usize, neurons: &Range<usize>) -> [(u64, usize); 5] {
        let place = |dataset: u64, bytes: usize| {
            let first = (neurons.start * bytes) as u64;
            (dataset + first, neurons.len() * bytes)
        };
        [
            place(self.dff, frames * 4),
            place(self.spike_rate, frames * 4),
            place(self.spikes, frames),
            place(self.noise_level, 4),
            place(self.model_noise_level, 4),
        ]
    }

    /// Fills in the neurons of a unit of `frames` frames, and adds their bytes to a checksum.
    ///
    /// # Errors
    /// The system's reason.
    pub fn fill(&self, frames: usize, unit: &UnitOutput, crc: &mut Crc) -> Result<(), OutputError> {
        let file = OpenOptions::new().write(true).open(&self.path);
        let file = file.map_err(OutputError::io(&self.path, "cannot be opened"))?;
        let mut unpacked = vec![0_u8; unit.neurons.len() * frames];
        let packed = unit.spikes.chunks_exact(spikes::row_bytes(frames));
        for (row, packed) in unpacked.chunks_exact_mut(frames).zip(packed) {
            spikes::unpack(packed, row);
        }
        let summary = &unit.summary;
        let contents = [
            bytes(&unit.dff, f32::to_ne_bytes),
            bytes(&unit.rate, f32::to_ne_bytes),
            unpacked,
            bytes(&summary.noise_level, f32::to_ne_bytes),
            bytes(&summary.model_noise_level, i32::to_ne_bytes),
        ];
        for ((offset, _), bytes) in self.places(frames, &unit.neurons).iter().zip(&contents) {
            crc.update(bytes);
            file.write_all_at(bytes, *offset)
                .map_err(OutputError::io(&self.path, "cannot be written"))?;
        }
        Ok(())
    }

    /// Adds the bytes that the file has of some neurons to a checksum, as [`fill`](Self::fill) does; returns whether the file has them.
    pub fn add_to(&self, frames: usize, neurons: &Range<usize>, crc: &mut Crc) -> bool {
        let Ok(file) = regular::open(&self.path) else {
            return false;
        };
        for (offset, length) in self.places(frames, neurons) {
            let mut bytes = vec![0; length];
            if file.read_exact_at(&mut bytes, offset).is_err() {
                return false;
            }
            crc.update(&bytes);
        }
        true
    }
}

fn bytes<T: Copy>(values: &[T], to_bytes: impl Fn(T) -> [u8; 4]) -> Vec<u8> {
    values.iter().flat_map(|&value| to_bytes(value)).collect()
}
