//! `preaugmented_grids.h5` (rule 8.1): planes that any rank has compressed, written by one.
//!
//! The planes of a subject compress to a fortieth of their size, and one rank writes them faster than thirty ranks make them. So a
//! file has one writer, for which no other rank waits, and each rank can be the writer of another subject. Collective filtered
//! writes of all ranks reached 0.65 and 0.58 of zlib's speed on 1 and 2 ranks, made ranks wait, and hung on full disks.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use hdf5::plist::dataset_create::FillTime;
use hdf5::{Dataset, File};
use serde::Serialize;
use spikegrid_core::findings::Finding;
use spikegrid_core::grid::{COLUMNS, ROWS};
use spikegrid_core::slab::{GZIP_LEVEL, Planes};

use super::chunk::write_packed;
use super::error::OutputError;
use super::provenance::{self, Provenance};
use crate::names::partial;

/// The dataset of the grids, u8 (T, Z, 256, 128), one chunk per frame and plane.
pub const GRIDS: &str = "grids";

/// A grids file under its temporary name, while its planes are written.
pub struct GridsFile {
    path: PathBuf,
    planes: usize,
    dataset: Dataset,
    file: File,
}

impl GridsFile {
    /// Lays out the dataset for `frames` frames of `planes` planes.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn create(path: &Path, frames: usize, planes: usize) -> Result<Self, OutputError> {
        let path = partial(path);
        let create = || {
            let file = File::create(&path)?;
            let dataset = file
                .new_dataset::<u8>()
                .shape((frames, planes, ROWS, COLUMNS))
                .chunk((1, 1, ROWS, COLUMNS))
                .deflate(GZIP_LEVEL)
                .fill_time(FillTime::Never)
                .create(GRIDS)?;
            Ok((file, dataset))
        };
        let (file, dataset) =
            create().map_err(|error| write_error(&path, "cannot be laid out", error))?;
        Ok(Self {
            path,
            planes,
            dataset,
            file,
        })
    }

    /// Writes the compressed planes of some frames.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn write(&self, planes: &Planes) -> Result<(), OutputError> {
        let write = || -> hdf5::Result<()> {
            let mut rest = &planes.bytes[..];
            let frames = planes.frames.clone().flat_map(|frame| {
                (0..self.planes).map(move |plane| [frame as u64, plane as u64, 0, 0])
            });
            for (start, &length) in frames.zip(&planes.lengths) {
                let (packed, after) = rest
                    .split_at_checked(length as usize)
                    .ok_or("fewer bytes than planes")?;
                write_packed(&self.dataset, start, packed)?;
                rest = after;
            }
            Ok(())
        };
        write().map_err(|error| write_error(&self.path, "cannot be written", error))
    }

    /// Closes the file and brings it to disk.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn close(self) -> Result<(), OutputError> {
        let closed = self.dataset.flush().and_then(|()| {
            drop(self.dataset);
            self.file.close()
        });
        closed.map_err(|error| write_error(&self.path, "cannot be closed", error))?;
        let synced = std::fs::File::open(&self.path).and_then(|file| file.sync_all());
        synced.map_err(OutputError::io(&self.path, "cannot be brought to disk"))
    }
}

const TRIAL_BYTES: usize = 4 << 20;

/// HDF5 does not always report why the system refused to write, so some bytes are written without it to find out.
fn write_error(path: &Path, action: &'static str, error: hdf5::Error) -> OutputError {
    let trial = OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| {
            file.write_all(&vec![0; TRIAL_BYTES])?;
            file.sync_all()
        });
    match trial {
        Ok(()) => OutputError::hdf5(path, action)(error),
        Err(reason) => OutputError::io(path, action)(reason),
    }
}

/// Adds everything but the grids to the file of the temporary name. After [`GridsFile::close`].
///
/// # Errors
/// HDF5's reason.
pub fn complete(
    path: &Path,
    subject: &str,
    planes: usize,
    is_train: &[u8],
    provenance: &Provenance,
    findings: &[Finding],
    config: &impl Serialize,
) -> Result<(), OutputError> {
    let path = partial(path);
    let add = || {
        let file = File::open_rw(&path)?;
        let frames = is_train.len();
        let timepoints: Vec<i32> = (0..frames as i32).collect();
        file.new_dataset_builder()
            .with_data(&timepoints)
            .create("timepoint_indices")?;
        file.new_dataset_builder()
            .with_data(is_train)
            .create("is_train")?;
        provenance::write(&file, subject, frames, planes, provenance, findings, config)?;
        file.close()
    };
    add().map_err(OutputError::hdf5(&path, "cannot be completed"))
}
