//! `metadata.h5` (rule 8.2): the split and the z-planes, for loaders that need no grids.

use std::path::Path;

use hdf5::{File, Group};

use super::{OutputError, partial};

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
            let file = File::create(&path)?;
            self.write_to(&file)?;
            file.close()
        };
        write().map_err(OutputError::hdf5(&path, "cannot be written"))
    }

    /// Writes the datasets into a file or group.
    ///
    /// # Errors
    /// HDF5's reason.
    pub fn write_to(&self, group: &Group) -> hdf5::Result<()> {
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
            let frames: Vec<i64> = (0_i64..)
                .zip(&self.is_train)
                .filter(|(_, train)| **train == kind)
                .map(|(frame, _)| frame)
                .collect();
            group
                .new_dataset_builder()
                .with_data(&frames)
                .create(name)?;
        }
        group
            .new_dataset_builder()
            .with_data(&self.is_train)
            .create("is_train")?;
        Ok(())
    }

    /// Reads the datasets that the others follow from.
    ///
    /// # Errors
    /// HDF5's reason, such as a dataset that is missing.
    pub fn read(path: &Path) -> Result<Self, OutputError> {
        let read = || {
            let file = File::open(path)?;
            Ok(Self {
                z_values: file.dataset("z_values")?.read_raw()?,
                is_train: file.dataset("is_train")?.read_raw()?,
            })
        };
        read().map_err(OutputError::hdf5(path, "cannot be read"))
    }
}
