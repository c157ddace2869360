//! `preaugmented_grids.h5` (rules 8.1 and 8.8): compressed planes that every rank writes into one file.
//!
//! HDF5 lays the file out and is closed. A rank that has rasterised a slab writes its planes behind the end of the file, at an address
//! that the writer of the subject has chosen: plain positioned writes, for which no rank waits. At the end the writer puts the
//! places of all planes into the index that HDF5 has laid out (`output::index`), and `check` reads the file again.
//!
//! Where the index is not one that `output::index` understands, or is too small to have pages, the writer puts all planes into the
//! file through HDF5, chunk by chunk, which takes it five times as long. Collective filtered writes of all ranks reached 0.65 and
//! 0.58 of zlib's speed on 1 and 2 ranks, made ranks wait, and hung on full disks.

mod check;

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hdf5::plist::dataset_create::FillTime;
use hdf5::{Dataset, File};
use serde::{Deserialize, Serialize};
use spikegrid_core::findings::Finding;
use spikegrid_core::grid::{COLUMNS, ROWS};
use spikegrid_core::slab::{GZIP_LEVEL, PlaneTable, Planes};

use super::chunk::write_packed;
use super::error::OutputError;
use super::grids_contiguous::ContiguousGrids;
use super::index::{self, FixedArray, StoredChunk};
use super::mpio;
use super::provenance::{self, Provenance};
use crate::hdf5_access;
use crate::names::partial;

/// The dataset of the grids, u8 (T, Z, 256, 128), one chunk per frame and plane.
pub const GRIDS: &str = "grids";

/// The planes of a slab begin at a multiple of this, so that two ranks never write to the same page of memory.
const ALIGNMENT: u64 = 4096;
/// Chunks in a page of the index of HDF5: with fewer, the index has no pages.
const PAGE: usize = 1024;

/// Who writes the planes of a subject into its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaneWriters {
    /// Each rank writes the planes that it has rasterised into this file ([`RankFile`]).
    EveryRank(PathBuf),
    /// Each rank writes those that it has rasterised; they are not compressed, and each has its place from the start.
    EachInItsPlace(ContiguousGrids),
    /// The writer of the subject, for this reason.
    OneRank(String),
}

impl PlaneWriters {
    /// Whether ranks write planes themselves, so that none come back to the writer.
    #[must_use]
    pub const fn are_ranks(&self) -> bool {
        !matches!(self, Self::OneRank(_))
    }
}

impl fmt::Display for PlaneWriters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryRank(_) => f.write_str("every rank"),
            Self::EachInItsPlace(_) => f.write_str(match mpio::is_running() {
                true => "every rank (parallel HDF5)",
                false => "every rank",
            }),
            Self::OneRank(reason) => write!(f, "one rank ({reason})"),
        }
    }
}

/// A grids file under its temporary name, as its writer holds it.
pub struct GridsFile {
    path: PathBuf,
    planes: usize,
    way: Way,
}

enum Way {
    EveryRank(Placed),
    OneRank {
        reason: String,
        dataset: Dataset,
        file: File,
    },
}

/// The places of planes that ranks write themselves.
struct Placed {
    index: FixedArray,
    /// By frame and plane; of 0 bytes where none has a place yet.
    chunks: Vec<StoredChunk>,
    /// By frame and plane: the Adler-32 of the pixels.
    checksums: Vec<u32>,
    /// The end of what has a place.
    end: u64,
}

impl GridsFile {
    /// Lays out the dataset for `frames` frames of `planes` planes.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn create(path: &Path, frames: usize, planes: usize) -> Result<Self, OutputError> {
        let partial = partial(path);
        let laid_out = Placed::lay_out(&partial, frames, planes);
        match laid_out.map_err(|error| write_error(&partial, "cannot be laid out", error))? {
            Ok(placed) => Ok(Self {
                path: partial,
                planes,
                way: Way::EveryRank(placed),
            }),
            Err(reason) => Self::create_for_one_rank(path, frames, planes, reason),
        }
    }

    /// Lays out the dataset for planes that the subject's writer writes, for this reason.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn create_for_one_rank(
        path: &Path,
        frames: usize,
        planes: usize,
        reason: String,
    ) -> Result<Self, OutputError> {
        let path = partial(path);
        let laid_out = lay_out(&path, frames, planes);
        let (file, dataset) =
            laid_out.map_err(|error| write_error(&path, "cannot be laid out", error))?;
        Ok(Self {
            path,
            planes,
            way: Way::OneRank {
                reason,
                dataset,
                file,
            },
        })
    }

    /// Who writes the planes.
    pub fn plane_writers(&self) -> PlaneWriters {
        match &self.way {
            Way::EveryRank(_) => PlaneWriters::EveryRank(self.path.clone()),
            Way::OneRank { reason, .. } => PlaneWriters::OneRank(reason.clone()),
        }
    }

    /// The address at which a rank writes these planes one after the other.
    ///
    /// # Errors
    /// Where ranks do not write planes themselves, or the planes are not those of whole frames.
    pub fn place(&mut self, table: &PlaneTable) -> Result<u64, OutputError> {
        let (first, count) = (
            table.frames.start * self.planes,
            table.frames.len() * self.planes,
        );
        let address = match &mut self.way {
            Way::EveryRank(placed) => placed.place(first, count, table),
            Way::OneRank { .. } => None,
        };
        address.ok_or_else(|| OutputError::Hdf5 {
            path: self.path.clone(),
            action: "cannot be written",
            reason: "other planes than those of the frames".into(),
        })
    }

    /// Writes the compressed planes of some frames, where ranks do not do so themselves.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn write(&self, planes: &Planes) -> Result<(), OutputError> {
        let write = || -> hdf5::Result<()> {
            let Way::OneRank { dataset, .. } = &self.way else {
                return Err("every rank writes its planes".into());
            };
            let mut rest = &planes.bytes[..];
            let frames = planes.table.frames.clone().flat_map(|frame| {
                (0..self.planes).map(move |plane| [frame as u64, plane as u64, 0, 0])
            });
            for (start, &length) in frames.zip(&planes.table.lengths) {
                let (packed, after) = rest
                    .split_at_checked(length as usize)
                    .ok_or("fewer bytes than planes")?;
                write_packed(dataset, &start, packed)?;
                rest = after;
            }
            Ok(())
        };
        write().map_err(|error| write_error(&self.path, "cannot be written", error))
    }

    /// Writes the index, closes the file, brings it to disk and reads it again.
    ///
    /// # Errors
    /// The reason of HDF5 or the system; or what is wrong with the file.
    pub fn close(self) -> Result<(), OutputError> {
        let path = &self.path;
        match self.way {
            Way::EveryRank(placed) => placed.close(path),
            Way::OneRank { dataset, file, .. } => {
                let closed = dataset.flush().and_then(|()| {
                    drop(dataset);
                    file.close()
                });
                closed.map_err(|error| write_error(path, "cannot be closed", error))?;
                let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
                synced.map_err(OutputError::io(path, "cannot be brought to disk"))
            }
        }
    }
}

/// Makes the file with the dataset of the grids, in the format of HDF5 1.10.
fn lay_out(path: &Path, frames: usize, planes: usize) -> hdf5::Result<(File, Dataset)> {
    let file = index::create_file(path)?;
    let dataset = file
        .new_dataset::<u8>()
        .shape((frames, planes, ROWS, COLUMNS))
        .chunk((1, 1, ROWS, COLUMNS))
        .deflate(GZIP_LEVEL)
        .fill_time(FillTime::Never)
        .create(GRIDS)?;
    Ok((file, dataset))
}

impl Placed {
    /// Makes the file with an index of chunks that are written later; or why this cannot be done.
    fn lay_out(path: &Path, frames: usize, planes: usize) -> hdf5::Result<Result<Self, String>> {
        let count = frames * planes;
        if count <= PAGE {
            return Ok(Err(format!(
                "{count} planes are too few for an index with pages"
            )));
        }
        let (file, dataset) = lay_out(path, frames, planes)?;
        index::make(&dataset)?;
        dataset.flush()?;
        drop(dataset);
        file.close()?;
        Ok(Self::recognise(path, count))
    }

    /// Reads what HDF5 has laid out.
    fn recognise(path: &Path, count: usize) -> Result<Self, String> {
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        let index = FixedArray::find(&file, GRIDS)?;
        let entries = index.entries(&file)?;
        let [Some(_), others @ ..] = &entries[..] else {
            return Err("an index without its first chunk".into());
        };
        if index.chunk != [1, 1, ROWS as u64, COLUMNS as u64, 1]
            || entries.len() != count
            || others.iter().any(Option::is_some)
        {
            return Err("an index of other chunks".into());
        }
        Ok(Self {
            end: index.end_of_file,
            index,
            chunks: vec![StoredChunk::default(); count],
            checksums: vec![0; count],
        })
    }

    /// Gives these `count` planes from plane `first` on their place; none if the table does not fit.
    fn place(&mut self, first: usize, count: usize, table: &PlaneTable) -> Option<u64> {
        let chunks = self.chunks.get_mut(first..)?.get_mut(..count)?;
        if table.lengths.len() != count || table.checksums.len() != count {
            return None;
        }
        let start = self.end.next_multiple_of(ALIGNMENT);
        self.end = start;
        for (chunk, &length) in chunks.iter_mut().zip(&table.lengths) {
            chunk.address = self.end;
            chunk.bytes = length.into();
            self.end += chunk.bytes;
        }
        self.checksums[first..][..count].copy_from_slice(&table.checksums);
        Some(start)
    }

    fn close(self, path: &Path) -> Result<(), OutputError> {
        let fail = |action| OutputError::io(path, action);
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(fail("cannot be opened"))?;
        index::write(&file, &self.index, &self.chunks, self.end)
            .map_err(fail("cannot be written"))?;
        file.sync_all().map_err(fail("cannot be brought to disk"))?;
        check::check(path, &file, &self).map_err(|reason| OutputError::Hdf5 {
            path: path.to_path_buf(),
            action: "is not as it was written",
            reason,
        })
    }
}

/// A grids file as a rank holds it that writes the planes that it has rasterised.
pub struct RankFile {
    path: PathBuf,
    file: std::fs::File,
}

impl RankFile {
    /// Opens the file that its writer has laid out.
    ///
    /// # Errors
    /// The system's reason.
    pub fn open(path: &Path) -> Result<Self, OutputError> {
        let file = OpenOptions::new().write(true).open(path);
        Ok(Self {
            file: file.map_err(OutputError::io(path, "cannot be opened"))?,
            path: path.to_path_buf(),
        })
    }

    /// Writes the planes of a slab at the address that the writer has given.
    ///
    /// # Errors
    /// The system's reason.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), OutputError> {
        let written = self.file.write_all_at(bytes, address);
        written.map_err(OutputError::io(&self.path, "cannot be written"))
    }

    /// Brings what was written to disk.
    ///
    /// # Errors
    /// The system's reason.
    pub fn close(self) -> Result<(), OutputError> {
        let synced = self.file.sync_all();
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
        let file = hdf5_access::writing().open_rw(&path)?;
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

#[cfg(test)]
mod tests;
