//! Reads a dataset with two axes of an HDF5 file, in any layout and of any number type (rule 2.2).
//!
//! `header` says what the dataset is, `sources` whether the files behind it are there (`links` and `raw_files` ask HDF5 which
//! these are), and `unwritten` what of it was never stored; `hyperslab` reads parts of it through HDF5, and
//! `chunks` decompresses ordinary chunks itself.

mod chunks;
mod header;
mod hyperslab;
mod links;
mod raw_files;
mod regions;
mod sources;
mod unwritten;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5::{Dataset, File};
use hdf5_sys::h5::hsize_t;

use super::error::InputError;
use super::read_ahead::announce;
use super::samples::{Block, Number, Samples};
use super::storage::{BLOCK, Missing, ONE_CHUNK, Orientation, Piece, Storage, blocks, rectangles};
use crate::hdf5_access::{self, NumberKind};
use crate::raw_chunk::stored_bytes;
use crate::regular;
use chunks::{Chunks, Coding};
pub(super) use header::{Header, dataset_names, existing_dataset, hdf5_error, open_file};
use hyperslab::HyperslabReader;
use raw_files::open_dataset;
pub(super) use sources::linked_file;

/// Bytes of chunks that HDF5 keeps, at least.
const CACHE: usize = 1 << 20;

/// Names the type that holds numbers of a kind.
macro_rules! with_type {
    ($kind:expr, $N:ident => $body:expr) => {
        with_type!(@ $kind, $N => $body, F32 f32, F64 f64, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
    (@ $kind:expr, $N:ident => $body:expr, $($Kind:ident $type:ty),+) => {
        match $kind {
            $(NumberKind::$Kind => {
                type $N = $type;
                $body
            })+
        }
    };
}

/// An open dataset with two axes.
#[derive(Debug)]
pub(super) struct Matrix {
    path: PathBuf,
    name: String,
    dataset: Dataset,
    _file: File,
    /// Where a dataset begins that is stored in one piece, for advice alone: it may lie in a file that this one links to.
    stored: Option<(fs::File, u64)>,
    kind: NumberKind,
    /// Whether it is stored in chunks without filters.
    plain_chunks: bool,
    /// How its chunks are inflated here, if that is not left to HDF5.
    coding: Option<Coding>,
    storage: Storage,
    /// What of it has no samples.
    missing: Missing,
}

impl Matrix {
    /// Opens a dataset of a file (read-only, without MPI).
    ///
    /// # Errors
    /// If the file or dataset is missing or damaged, or is not a non-empty two-dimensional dataset of numbers.
    pub(super) fn open(
        path: &Path,
        dataset: &str,
        orientation: Orientation,
    ) -> Result<Matrix, InputError> {
        let (header, file) = Header::read(path, dataset)?;
        // The settings belong to the open file: it is opened again with those that suit the dataset.
        drop(file);
        let storage = header.storage(orientation);
        let failed = |error: hdf5::Error| hdf5_error(path, dataset, &error);
        let row_bytes = storage.shape[1].saturating_mul(storage.value_bytes);
        // Where chunks have filters, HDF5 takes a whole one for each part of it that is read, so it keeps one.
        let cached = if header.plain_chunks {
            0
        } else {
            storage.chunk_bytes().max(CACHE)
        };
        let file = hdf5_access::open_tuned(path, row_bytes, cached).map_err(failed)?;
        let open = open_dataset(&file, dataset).map_err(failed)?;
        Ok(Matrix {
            path: path.to_owned(),
            name: dataset.to_owned(),
            plain_chunks: header.plain_chunks,
            coding: with_type!(header.kind, N => Coding::of::<N>(&open)),
            stored: open
                .offset()
                .and_then(|start| Some((regular::open(path).ok()?, start))),
            dataset: open,
            _file: file,
            kind: header.kind,
            storage,
            missing: Missing::Nothing,
        })
    }

    /// Makes samples missing ones, NaN, for which HDF5 gives a fill value.
    pub(super) fn without(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// Reads the index of chunks and the first and last samples of a dataset, for a crash trial: errors do not matter.
    pub(super) fn read_corners(path: &Path, dataset: &str) {
        const CORNER: usize = 8;
        let header = Header::read(path, dataset);
        if !header.is_ok_and(|(header, file)| header.missing(&file, path, dataset).is_ok()) {
            return;
        }
        let Ok(matrix) = Matrix::open(path, dataset, Orientation::NeuronsByFrames) else {
            return;
        };
        let _ = matrix.dataset.storage_size();
        let shape = matrix.storage.shape;
        let first = shape.map(|extent| 0..extent.min(CORNER));
        let last = shape.map(|extent| extent.saturating_sub(CORNER)..extent);
        for corner in [first, last] {
            let _ = with_type!(matrix.kind, N => matrix.read_as::<N>(corner, &mut []));
        }
    }

    /// How the dataset lies in the file.
    pub(super) fn storage(&self) -> Storage {
        self.storage
    }

    /// Rows and columns of a chunk, where a part of a chunk takes as long to read as all of it: chunks with filters, and plain ones that
    /// are read whole.
    pub(super) fn whole_chunk(&self) -> Option<[usize; 2]> {
        let large = |[high, wide]: &[usize; 2]| high.saturating_mul(*wide) > BLOCK;
        let chunk = self.storage.chunk?;
        (!(self.plain_chunks && large(&chunk))).then_some(chunk)
    }

    /// Reads a piece and copies to each of `parts`, which have no sample in common, what belongs to it: in the file's units,
    /// rounded to f32.
    ///
    /// Beside the parts it holds a block of a MiB or two, and a few chunks of the file. No chunk that lies wholly in the piece is
    /// inflated more than once.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(&self, piece: &Piece, parts: &mut [&mut Samples]) -> Result<(), InputError> {
        let piece = self.storage.orientation.axes(piece);
        if let Some((file, start)) = &self.stored {
            announce(
                file,
                *start,
                self.storage.shape[1],
                self.storage.value_bytes,
                &piece,
            );
        }
        // In a type that holds every stored number exactly, then rounded to f32 once.
        let read = match &self.missing {
            Missing::Unstored => {
                with_type!(self.kind, N => self.read_what_is_there::<N>(piece, parts))
            }
            _ => with_type!(self.kind, N => self.read_as::<N>(piece, parts)),
        };
        if let Missing::Regions(regions) = &self.missing {
            let parts = parts.iter_mut();
            parts.for_each(|part| part.set_missing_in(regions));
        }
        read.map_err(|e| hdf5_error(&self.path, &self.name, &e))
    }

    /// As [`read_as`](Self::read_as), but for samples that were never stored, which are missing.
    fn read_what_is_there<N: Number>(
        &self,
        [rows, columns]: [Range<usize>; 2],
        parts: &mut [&mut Samples],
    ) -> Result<(), hdf5::Error> {
        let missing = |parts: &mut [&mut Samples], [rows, columns]: &[Range<usize>; 2]| {
            let parts = parts.iter_mut();
            parts.for_each(|part| part.set_missing(rows, columns));
        };
        let Some(chunk) = self.storage.chunk else {
            missing(parts, &[rows, columns]);
            return Ok(());
        };
        for part in rectangles(rows, columns, Some(chunk), ONE_CHUNK) {
            let start = |axis: usize| part[axis].start / chunk[axis] * chunk[axis];
            match stored_bytes(&self.dataset, &[start(0) as hsize_t, start(1) as hsize_t])? {
                0 => missing(parts, &part),
                _ => self.read_as::<N>(part, parts)?,
            }
        }
        Ok(())
    }

    fn read_as<N: Number>(
        &self,
        [rows, columns]: [Range<usize>; 2],
        parts: &mut [&mut Samples],
    ) -> Result<(), hdf5::Error> {
        let mut reader = HyperslabReader::<N>::new(&self.dataset)?;
        let Some(coding) = self.coding else {
            // Plain chunks are read whole: parts of their rows go through HDF5 one by one.
            let (columns, size) = if self.plain_chunks {
                (self.storage.whole_chunks(columns), ONE_CHUNK)
            } else {
                (columns, BLOCK)
            };
            return blocks(rows, columns, self.storage.chunk, size)
                .try_for_each(|block| read_block(&mut reader, block, parts));
        };
        let extent = coding.extent;
        let mut chunks = Chunks::<N>::new(&self.dataset, coding);
        for [rows, columns] in rectangles(rows, columns, Some(extent), ONE_CHUNK) {
            let start = [
                rows.start / extent[0] * extent[0],
                columns.start / extent[1] * extent[1],
            ];
            let Some(values) = chunks.read(start) else {
                read_block(&mut reader, [rows, columns], parts)?;
                continue;
            };
            let skipped = (rows.start - start[0]) * extent[1] + columns.start - start[1];
            let block = Block {
                rows,
                columns,
                stride: extent[1],
                values: &values[skipped..],
            };
            parts.iter_mut().for_each(|part| part.put(&block));
        }
        Ok(())
    }
}

/// Reads a block straight to where it belongs, if that is one place in one part, or by way of the reader's memory.
fn read_block<N: Number>(
    reader: &mut HyperslabReader<N>,
    [rows, columns]: [Range<usize>; 2],
    parts: &mut [&mut Samples],
) -> Result<(), hdf5::Error> {
    let mut places = parts
        .iter_mut()
        .filter_map(|part| part.place(&rows, &columns));
    if let Some(place) = places.next().and_then(N::of_samples) {
        return reader.read_into(&rows, &columns, place);
    }
    let values = reader.read(&rows, &columns)?;
    let block = Block {
        rows,
        stride: columns.len(),
        columns,
        values,
    };
    parts.iter_mut().for_each(|part| part.put(&block));
    Ok(())
}

#[cfg(test)]
mod tests;
