//! `preaugmented_grids.h5` with `--compression none` (rule 8.8): every plane has its place in the file from the start.
//!
//! Rank 0 lays the file out and reserves its bytes on the disk before anything is computed. Every rank then opens the file for
//! itself and writes the planes that it rasterised, through parallel HDF5 where it can. No rank waits for another.

use std::fs::OpenOptions;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::{Dataset, File};
use ndarray::{ArrayView4, s};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use spikegrid_core::grid::{COLUMNS, PLANE_BYTES, ROWS};

use super::error::OutputError;
use super::grids::GRIDS;
use super::mpio;
use crate::hdf5_access::reason;
use crate::names::partial;

const CANNOT_BE_WRITTEN: &str = "cannot be written";

/// A contiguous grids file under its temporary name, laid out and closed. Serialisable: every rank gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContiguousGrids {
    path: PathBuf,
    planes: usize,
    /// Where the first plane begins.
    offset: u64,
}

impl ContiguousGrids {
    /// Lays out the grids of `frames` frames of `planes` planes, and reserves their bytes where the file system can.
    ///
    /// # Errors
    /// A disk without room for them; the reason of HDF5 or the system.
    pub fn create(path: &Path, frames: usize, planes: usize) -> Result<Self, OutputError> {
        let path = partial(path);
        let needed = bytes(frames, planes);
        check_room(&path, needed)?;
        let offset = lay_out(&path, frames, planes)
            .map_err(OutputError::hdf5(&path, "cannot be laid out"))?;
        let reserved = reserve(&path, offset, needed);
        reserved.map_err(OutputError::io(
            &path,
            "the bytes of its grids cannot be reserved",
        ))?;
        Ok(Self {
            path,
            planes,
            offset,
        })
    }

    /// Opens the file for this rank, to write some of the planes.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn open(&self) -> Result<ContiguousFile, OutputError> {
        let path = &self.path;
        let plain = OpenOptions::new().write(true).open(path);
        let plain = plain.map_err(OutputError::io(path, "cannot be opened"))?;
        let parallel = mpio::open(path).map(|file| {
            let file = file?;
            Ok((file.dataset(GRIDS)?, file))
        });
        let (parallel, refused) = match parallel {
            Some(Err(error)) => (None, Some(reason(&error))),
            opened => (opened.and_then(hdf5::Result::ok), None),
        };
        Ok(ContiguousFile {
            grids: self.clone(),
            parallel,
            refused,
            plain,
        })
    }

    /// The error of planes that come to the writer of the file, although each rank writes its own.
    #[must_use]
    pub fn unexpected(&self) -> OutputError {
        OutputError::Hdf5 {
            path: self.path.clone(),
            action: CANNOT_BE_WRITTEN,
            reason: "every rank writes its planes itself".into(),
        }
    }
}

/// The bytes of the grids of `frames` frames of `planes` planes.
#[must_use]
pub fn bytes(frames: usize, planes: usize) -> u64 {
    frames as u64 * (planes * PLANE_BYTES) as u64
}

/// Returns where the first plane begins: a multiple of the bytes of a plane, so that no plane lies across more pages or stripes of
/// the file system than it must.
fn lay_out(path: &Path, frames: usize, planes: usize) -> hdf5::Result<u64> {
    let plane = PLANE_BYTES as u64;
    let file = File::with_options()
        .with_fapl(|access| access.alignment(plane, plane))
        .create(path)?;
    let dataset = file
        .new_dataset::<u8>()
        .shape((frames, planes, ROWS, COLUMNS))
        .no_chunk()
        .alloc_time(Some(AllocTime::Early))
        .fill_time(FillTime::Never)
        .create(GRIDS)?;
    let offset = dataset.offset().ok_or("the grids have no place in it")?;
    drop(dataset);
    file.close()?;
    Ok(offset)
}

/// Compares what is needed with what is free: a file system might use up all that is free before it refuses to reserve more.
///
/// # Errors
/// The disk has no room for so many bytes.
fn check_room(path: &Path, needed: u64) -> Result<(), OutputError> {
    let Some(free) = path.parent().and_then(|folder| statvfs(folder).ok()) else {
        return Ok(());
    };
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    match needed > free {
        true => Err(OutputError::NoRoom {
            path: path.to_path_buf(),
            needed,
            free,
        }),
        false => Ok(()),
    }
}

/// Has the file system set bytes of a file aside; nothing is reserved where it cannot.
fn reserve(path: &Path, offset: u64, bytes: u64) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    match fallocate(file.as_fd(), FallocateFlags::empty(), offset, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        reserved => Ok(reserved?),
    }
}

/// A contiguous grids file as one rank has it open. What is written is on disk after [`close`](Self::close).
pub struct ContiguousFile {
    grids: ContiguousGrids,
    /// Through parallel HDF5, where the program was built with it and MPI runs.
    parallel: Option<(Dataset, File)>,
    /// Why parallel HDF5 does not open the file.
    refused: Option<String>,
    /// The same file without HDF5.
    plain: std::fs::File,
}

impl ContiguousFile {
    /// What the user should know: parallel HDF5 does not open the file. Open MPI, for one, refuses a file whose name another user of the
    /// node has open, in whatever folder. The planes are the same without it.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let reason = self.refused.as_ref()?;
        let path = self.grids.path.display();
        Some(format!(
            "{path} is written without parallel HDF5, which cannot open it ({reason}); the grids are the same"
        ))
    }

    /// Writes the pixels of some frames, (F, Z, 256, 128).
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn write(&self, frames: &Range<usize>, pixels: &[u8]) -> Result<(), OutputError> {
        let Some((dataset, _)) = &self.parallel else {
            return self.write_plainly(frames, pixels);
        };
        self.write_through_hdf5(dataset, frames, pixels)
            .map_err(|error| {
                // The system says why it refuses to write, which HDF5 does not always tell.
                let plain = self.write_plainly(frames, pixels);
                let hdf5 = OutputError::hdf5(&self.grids.path, CANNOT_BE_WRITTEN)(error);
                plain.err().unwrap_or(hdf5)
            })
    }

    fn write_through_hdf5(
        &self,
        dataset: &Dataset,
        frames: &Range<usize>,
        pixels: &[u8],
    ) -> hdf5::Result<()> {
        let shape = (frames.len(), self.grids.planes, ROWS, COLUMNS);
        let pixels = ArrayView4::from_shape(shape, pixels)
            .map_err(|_| "another number of pixels than the frames have")?;
        dataset.write_slice(pixels, s![frames.clone(), .., .., ..])
    }

    fn write_plainly(&self, frames: &Range<usize>, pixels: &[u8]) -> Result<(), OutputError> {
        let before = bytes(frames.start, self.grids.planes);
        self.plain
            .write_all_at(pixels, self.grids.offset + before)
            .map_err(OutputError::io(&self.grids.path, CANNOT_BE_WRITTEN))
    }

    /// Closes the file and brings what this rank wrote to disk.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn close(self) -> Result<(), OutputError> {
        let path = &self.grids.path;
        let closed = self.parallel.map_or(Ok(()), |(dataset, file)| {
            drop(dataset);
            file.close()
        });
        // The system says more than HDF5 where both fail.
        let synced = self.plain.sync_all();
        synced.map_err(OutputError::io(path, "cannot be brought to disk"))?;
        closed.map_err(OutputError::hdf5(path, "cannot be closed"))
    }
}

#[cfg(test)]
mod tests;
