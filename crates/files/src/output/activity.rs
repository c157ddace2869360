//! `activity.h5` (rule 8.9): the spike rates of all neurons frame by frame, for networks that need no grids.
//!
//! Rank 0 lays the file out. The rank that has computed a work unit compresses the chunks of its neurons and writes them behind the end
//! of the file, at an address that rank 0 chooses. At the end rank 0 puts the places of all chunks into the index of the dataset, as
//! [grids](super::grids) do it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use flate2::Crc;
use half::f16;
use hdf5::plist::dataset_create::FillTime;
use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, File, H5Type};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use spikegrid_core::activity::{Chunks, PackedRates, Precision, StoredRates};
use spikegrid_core::slab::GZIP_LEVEL;

use super::chunk::write_packed;
use super::error::OutputError;
use super::index::{self, FixedArray, StoredChunk};
use crate::hdf5_access::{self, reason};
use crate::names::partial;
use crate::{raw_chunk, regular};

/// The dataset of the rates, f32 or f16 (T, N).
pub const VALUES: &str = "neuron_values";
const UNIT: &str = "spikes per frame, not clipped; NaN where there is no rate";
/// A recording of a year at 2 Hz has fewer frames. A crash trial reads no more: a damaged file may say any number.
const MOST_FRAMES: usize = 1 << 26;

/// What `activity.h5` holds beside the rates.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// x, y, z of each neuron as they were read, (N, 3).
    pub xyz: &'a [[f64; 3]],
    /// 1 where a frame trains, 0 where it tests, (T,).
    pub is_train: &'a [u8],
    /// Frames per second of the recording.
    pub sampling_rate_hz: f64,
}

/// What a finished `activity.h5` must hold, as far as a run knows it before it computes.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The number of neurons, N.
    pub neurons: usize,
    /// The numbers in which the rates are stored.
    pub precision: Precision,
    /// 1 where a frame trains, 0 where it tests, (T,).
    pub is_train: &'a [u8],
    /// Frames per second of the recording.
    pub sampling_rate_hz: f64,
}

/// A laid-out `activity.h5` under its temporary name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivityFile {
    path: PathBuf,
    chunks: Chunks,
}

impl ActivityFile {
    /// Lays the file out, and writes what is known beforehand.
    ///
    /// # Errors
    /// The reason of HDF5 or the system; an HDF5 library whose index of chunks this program does not know.
    pub fn create(path: &Path, chunks: Chunks, beside: &Beside) -> Result<Self, OutputError> {
        let path = partial(path);
        lay_out(&path, &chunks, beside).map_err(OutputError::hdf5(&path, "cannot be laid out"))?;
        let file = Self { path, chunks };
        if !file.is_one_chunk() {
            file.index().map_err(file.fail("cannot be laid out"))?;
        }
        // If this run is interrupted, the next one adds the units that are missing.
        let synced = std::fs::File::open(&file.path).and_then(|file| file.sync_all());
        synced.map_err(OutputError::io(&file.path, "cannot be brought to disk"))?;
        Ok(file)
    }

    /// The unfinished file that an interrupted run laid out, if it is as it should be.
    pub fn open(path: &Path, chunks: Chunks) -> Option<Self> {
        let file = regular::open_hdf5(path).ok()?;
        let dataset = file.dataset(VALUES).ok()?;
        let is_ours = dataset.shape() == [chunks.frames, chunks.neurons]
            && dataset.chunk()? == chunks.extents()
            && precision_of(&dataset)? == chunks.precision;
        let file = Self {
            path: path.to_path_buf(),
            chunks,
        };
        (is_ours && (file.is_one_chunk() || file.index().is_ok())).then_some(file)
    }

    /// Whether a finished file has the rates of `N` neurons in `T` frames as these numbers, HDF5 finds all chunks of them, and what
    /// lies beside them is as it should be.
    pub fn is_complete(path: &Path, expected: &Expected) -> bool {
        let check = || -> hdf5::Result<bool> {
            let file = regular::open_hdf5(path)?;
            let values = file.dataset(VALUES)?;
            if values.shape() != [expected.is_train.len(), expected.neurons] {
                return Ok(false);
            }
            let (is_train, sampling_rate_hz) = read_beside(&file, &values)?;
            Ok(precision_of(&values) == Some(expected.precision)
                && raw_chunk::has_all(&values) == Some(true)
                && is_train == expected.is_train
                && sampling_rate_hz == expected.sampling_rate_hz)
        };
        check().unwrap_or(false)
    }

    /// The numbers in which a finished file has its rates, if there is one.
    #[must_use]
    pub fn precision(path: &Path) -> Option<Precision> {
        precision_of(&regular::open_hdf5(path).ok()?.dataset(VALUES).ok()?)
    }

    /// Reads what [`open`](Self::open) and [`is_complete`](Self::is_complete) read, for a crash trial: errors do not matter.
    pub(crate) fn read_for_trial(path: &Path) {
        let Ok(file) = regular::open_hdf5(path) else {
            return;
        };
        if let Ok(values) = file.dataset(VALUES) {
            let _ = (precision_of(&values), raw_chunk::has_all(&values));
            let frames = values.shape().first().copied();
            if frames.is_some_and(|frames| frames <= MOST_FRAMES) {
                let _ = read_beside(&file, &values);
            }
        }
    }

    /// Compresses the rates of a unit, (n, T).
    #[must_use]
    pub fn pack(&self, rates: &[f32]) -> PackedRates {
        self.chunks.pack(rates)
    }

    /// The address at which the first unit may be stored that is not stored yet.
    ///
    /// # Errors
    /// The system's reason.
    pub fn end(&self) -> Result<u64, OutputError> {
        let metadata = std::fs::metadata(&self.path);
        let metadata = metadata.map_err(OutputError::io(&self.path, "cannot be read"))?;
        Ok(metadata.len())
    }

    /// Writes the chunks of a unit.
    ///
    /// # Errors
    /// The system's reason.
    pub fn write(&self, address: u64, packed: PackedRates) -> Result<StoredRates, OutputError> {
        let file = OpenOptions::new().write(true).open(&self.path);
        let file = file.map_err(OutputError::io(&self.path, "cannot be opened"))?;
        file.write_all_at(&packed.bytes, address)
            .map_err(OutputError::io(&self.path, "cannot be written"))?;
        let mut crc = Crc::new();
        crc.update(&packed.bytes);
        Ok(StoredRates {
            address,
            lengths: packed.lengths,
            checksum: crc.sum(),
        })
    }

    /// Whether the bytes of a unit are those that [`write`](Self::write) wrote.
    #[must_use]
    pub fn holds(&self, stored: &StoredRates) -> bool {
        let range = stored.range();
        let read = || {
            let file = regular::open(&self.path).ok()?;
            let length = file.metadata().ok()?.len();
            let bytes = range
                .end
                .checked_sub(range.start)
                .filter(|_| range.end <= length)?;
            let mut bytes = vec![0; usize::try_from(bytes).ok()?];
            file.read_exact_at(&mut bytes, range.start).ok()?;
            let mut crc = Crc::new();
            crc.update(&bytes);
            Some(crc.sum())
        };
        stored.lengths.len() == self.chunks.counts()[0] && read() == Some(stored.checksum)
    }

    /// Puts the places of all units into the index, and reads the file again.
    ///
    /// # Errors
    /// The reason of HDF5 or the system; a unit that is not there; what is wrong with the file.
    pub fn finish(&self, units: &[Option<StoredRates>]) -> Result<(), OutputError> {
        let [blocks, columns] = self.chunks.counts();
        let are_all = units.len() == columns
            && units.iter().flatten().count() == columns
            && units
                .iter()
                .flatten()
                .all(|unit| unit.lengths.len() == blocks);
        if !are_all {
            return Err(self.fail("cannot be completed")(
                "a work unit is missing".into(),
            ));
        }
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = file.map_err(OutputError::io(&self.path, "cannot be opened"))?;
        if let [Some(unit)] = units
            && self.is_one_chunk()
        {
            return self.write_one_chunk(&file, unit);
        }
        let mut chunks = vec![StoredChunk::default(); blocks * columns];
        let mut end = 0;
        for (column, unit) in units.iter().flatten().enumerate() {
            for (block, (address, length)) in unit.places().enumerate() {
                let chunk = &mut chunks[block * columns + column];
                (chunk.address, chunk.bytes) = (address, length.into());
            }
            end = end.max(unit.range().end);
        }
        let index = self.index().map_err(self.fail("cannot be completed"))?;
        index::write(&file, &index, &chunks, end)
            .and_then(|()| file.set_len(end))
            .and_then(|()| file.sync_all())
            .map_err(OutputError::io(&self.path, "cannot be written"))?;
        self.check(&file, &chunks, end)
            .map_err(self.fail("is not as it was written"))
    }

    /// HDF5 has no index for one chunk: it writes that chunk.
    fn write_one_chunk(&self, file: &std::fs::File, unit: &StoredRates) -> Result<(), OutputError> {
        let range = unit.range();
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut bytes, range.start)
            .map_err(OutputError::io(&self.path, "cannot be read"))?;
        let written = hdf5_access::writing().open_rw(&self.path).and_then(|file| {
            write_packed(&file.dataset(VALUES)?, &[0, 0], &bytes)?;
            file.close()
        });
        written.map_err(OutputError::hdf5(&self.path, "cannot be written"))
    }

    /// Reads every entry of the index without HDF5, and lets HDF5 count chunks and their bytes.
    fn check(&self, file: &std::fs::File, chunks: &[StoredChunk], end: u64) -> Result<(), String> {
        index::check(file, VALUES, chunks, end)?;
        let open = File::open(&self.path).and_then(|file| file.dataset(VALUES));
        index::check_counts(&open.map_err(|error| reason(&error))?, chunks)
    }

    fn is_one_chunk(&self) -> bool {
        self.chunks.counts() == [1, 1]
    }

    /// The index that HDF5 has laid out, if it is one that this program can write.
    fn index(&self) -> Result<FixedArray, String> {
        let file = regular::open(&self.path).map_err(|error| error.to_string())?;
        let index = FixedArray::find(&file, VALUES)?;
        let [frames, neurons] = self.chunks.extents().map(|extent| extent as u64);
        let [blocks, columns] = self.chunks.counts();
        let is_ours = index.chunk == [frames, neurons, self.chunks.precision.bytes() as u64]
            && index.chunks == blocks * columns;
        match is_ours {
            true => Ok(index),
            false => Err("an index of other chunks".into()),
        }
    }

    fn fail(&self, action: &'static str) -> impl Fn(String) -> OutputError {
        move |reason| OutputError::Hdf5 {
            path: self.path.clone(),
            action,
            reason,
        }
    }
}

/// The numbers of a dataset.
fn precision_of(dataset: &Dataset) -> Option<Precision> {
    let found = dataset.dtype().ok()?.to_descriptor().ok()?;
    [
        (Precision::F32, f32::type_descriptor()),
        (Precision::F16, f16::type_descriptor()),
    ]
    .into_iter()
    .find_map(|(precision, written)| (written == found).then_some(precision))
}

/// Reads what lies beside rates, (T, N): 1 where a frame trains and 0 where it tests, (T,), and the frames per second.
///
/// # Errors
/// HDF5's reason, or what is not as it is beside rates of this shape.
fn read_beside(file: &File, values: &Dataset) -> hdf5::Result<(Vec<u8>, f64)> {
    let shape = values.shape();
    let [frames, neurons] = shape[..] else {
        return Err(format!("{VALUES} has other axes").into());
    };
    let positions = dataset_of::<f32>(file, "cell_positions", &[neurons, 3])?;
    let timepoints = dataset_of::<i32>(file, "timepoint_indices", &[frames])?;
    let is_train = dataset_of::<u8>(file, "is_train", &[frames])?;
    let rate = dataset_of::<f64>(file, "original_sampling_rate_hz", &[])?;
    let count = |name| dataset_of::<i64>(file, name, &[])?.read_scalar::<i64>();
    let is_ours = timepoints
        .read_raw::<i32>()?
        .into_iter()
        .eq(0..frames as i32)
        && count("num_timepoints")? == frames as i64
        && count("num_neurons")? == neurons as i64
        && positions.attr("positions_min")?.shape() == [3]
        && positions.attr("positions_max")?.shape() == [3]
        && values
            .attr("unit")?
            .read_scalar::<VarLenUnicode>()?
            .as_str()
            == UNIT;
    match is_ours {
        true => Ok((is_train.read_raw()?, rate.read_scalar()?)),
        false => Err(format!("what lies beside {VALUES} is not as it should be").into()),
    }
}

/// Opens a dataset of numbers of this type and shape.
fn dataset_of<T: H5Type>(file: &File, name: &str, shape: &[usize]) -> hdf5::Result<Dataset> {
    let dataset = file.dataset(name)?;
    let is_ours =
        dataset.shape() == shape && dataset.dtype()?.to_descriptor()? == T::type_descriptor();
    match is_ours {
        true => Ok(dataset),
        false => Err(format!("{name} is of another type or shape").into()),
    }
}

/// Makes the file, in the format of HDF5 1.10.
fn lay_out(path: &Path, chunks: &Chunks, beside: &Beside) -> hdf5::Result<()> {
    let file = index::create_file(path)?;
    let values = match chunks.precision {
        Precision::F32 => matrix::<f32>(&file, chunks)?,
        Precision::F16 => matrix::<f16>(&file, chunks)?,
    };
    let unit = VarLenUnicode::from_str(UNIT);
    let unit = unit.map_err(|error| hdf5::Error::from(error.to_string()))?;
    values
        .new_attr::<VarLenUnicode>()
        .create("unit")?
        .write_scalar(&unit)?;
    write_positions(&file, beside.xyz)?;
    let timepoints: Vec<i32> = (0..chunks.frames as i32).collect();
    let builder = || file.new_dataset_builder();
    builder()
        .with_data(&timepoints)
        .create("timepoint_indices")?;
    builder().with_data(beside.is_train).create("is_train")?;
    for (name, value) in [
        ("num_timepoints", chunks.frames),
        ("num_neurons", chunks.neurons),
    ] {
        let number = file.new_dataset::<i64>().create(name)?;
        number.write_scalar(&(value as i64))?;
    }
    let rate = file
        .new_dataset::<f64>()
        .create("original_sampling_rate_hz")?;
    rate.write_scalar(&beside.sampling_rate_hz)?;
    if chunks.counts() != [1, 1] {
        index::make(&values)?;
    }
    drop((values, rate));
    file.close()
}

fn matrix<T: H5Type>(file: &File, chunks: &Chunks) -> hdf5::Result<Dataset> {
    file.new_dataset::<T>()
        .shape((chunks.frames, chunks.neurons))
        .chunk(chunks.extents())
        .deflate(GZIP_LEVEL)
        .fill_time(FillTime::Never)
        .create(VALUES)
}

/// Writes the positions, each axis from its least coordinate, 0, to its greatest, 1; NaN where they are not known.
fn write_positions(file: &File, xyz: &[[f64; 3]]) -> hdf5::Result<()> {
    let known = |axis: usize| {
        xyz.iter()
            .map(move |place| place[axis])
            .filter(|x| !x.is_nan())
    };
    let min = [0, 1, 2].map(|axis| known(axis).fold(f64::NAN, f64::min));
    let max = [0, 1, 2].map(|axis| known(axis).fold(f64::NAN, f64::max));
    let scaled = |place: &[f64; 3]| {
        [0, 1, 2].map(|axis| {
            let range = match max[axis] - min[axis] {
                0.0 => 1.0,
                range => range,
            };
            ((place[axis] - min[axis]) / range) as f32
        })
    };
    let positions: Vec<[f32; 3]> = xyz.iter().map(scaled).collect();
    let dataset = file
        .new_dataset_builder()
        .with_data(ArrayView2::from(&positions[..]))
        .create("cell_positions")?;
    for (name, values) in [("positions_min", min), ("positions_max", max)] {
        dataset.new_attr_builder().with_data(&values).create(name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
