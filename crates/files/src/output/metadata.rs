//! `metadata.h5` (rule 8.2): the split and the z-planes, for loaders that need no grids.

use std::path::Path;

use hdf5::{File, Group, H5Type};

use super::error::OutputError;
use crate::hdf5_access::{self, elements};
use crate::names::partial;
use crate::regular;

/// The datasets of rule 8.2.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// z of each plane, ascending, (Z,).
    pub z_values: Vec<f64>,
    /// 1 where a frame trains, 0 where it tests, (T,).
    pub is_train: Vec<u8>,
}

impl Metadata {
    /// Writes the file under its temporary name.
    ///
    /// # Errors
    /// HDF5's reason.
    pub fn write(&self, path: &Path) -> Result<(), OutputError> {
        let path = partial(path);
        let write = || {
            let file = hdf5_access::writing().create(&path)?;
            self.write_to(&file)?;
            file.close()
        };
        write().map_err(OutputError::hdf5(&path, "cannot be written"))
    }

    /// Writes the datasets into a file or group.
    ///
    /// # Errors
    /// HDF5's reason.
    pub(crate) fn write_to(&self, group: &Group) -> hdf5::Result<()> {
        let scalar = |name, value: usize| {
            group
                .new_dataset::<i64>()
                .create(name)?
                .write_scalar(&(value as i64))
        };
        scalar("num_timepoints", self.is_train.len())?;
        scalar("num_z_planes", self.z_values.len())?;
        group
            .new_dataset_builder()
            .with_data(&self.z_values)
            .create("z_values")?;
        for (name, kind) in [("train_timepoints", 1), ("test_timepoints", 0)] {
            group
                .new_dataset_builder()
                .with_data(&self.timepoints(kind))
                .create(name)?;
        }
        group
            .new_dataset_builder()
            .with_data(&self.is_train)
            .create("is_train")?;
        Ok(())
    }

    /// The frames that train (1) or test (0).
    fn timepoints(&self, kind: u8) -> Vec<i64> {
        let frames = (0_i64..).zip(&self.is_train);
        let chosen = frames.filter(|(_, train)| **train == kind);
        chosen.map(|(frame, _)| frame).collect()
    }

    /// Reads the datasets that the others follow from.
    ///
    /// # Errors
    /// HDF5's reason, such as a dataset that is missing.
    pub fn read(path: &Path) -> Result<Self, OutputError> {
        let read = || {
            let file = regular::open_hdf5(path)?;
            Ok(Self {
                z_values: read_some(&file, "z_values", 1 << 24)?,
                is_train: read_some(&file, "is_train", i32::MAX as usize)?,
            })
        };
        read().map_err(OutputError::hdf5(path, "cannot be read"))
    }

    /// Whether a file holds just this.
    pub fn is_in(&self, path: &Path) -> bool {
        let compare = || -> hdf5::Result<bool> {
            let file = regular::open_hdf5(path)?;
            let (frames, planes) = (self.is_train.len(), self.z_values.len());
            let scalar = |name| file.dataset(name)?.read_scalar::<i64>();
            let timepoints = |name| read_some::<i64>(&file, name, frames);
            Ok(scalar("num_timepoints")? == frames as i64
                && scalar("num_z_planes")? == planes as i64
                && read_some::<f64>(&file, "z_values", planes)? == self.z_values
                && read_some::<u8>(&file, "is_train", frames)? == self.is_train
                && timepoints("train_timepoints")? == self.timepoints(1)
                && timepoints("test_timepoints")? == self.timepoints(0))
        };
        compare().unwrap_or(false)
    }
}

/// Reads a dataset of at most `most` elements.
fn read_some<T: H5Type>(file: &File, name: &str, most: usize) -> hdf5::Result<Vec<T>> {
    let dataset = file.dataset(name)?;
    match elements(&dataset) {
        size if size > most => Err(format!("{name} has {size} elements").into()),
        _ => dataset.read_raw(),
    }
}
