//! Reads an array with two axes (rule 2.6), unit by unit: a chunk, or an inner chunk of a shard.
//!
//! Rows and columns are those of a unit as it is stored: where chunks were transposed before they were stored, so is the matrix, and no
//! number is moved for it.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use bytemuck::cast_slice;

use super::chunks::{Chunks, Located};
use super::metadata::{ArrayHeader, Node, damaged};
use crate::hdf5_access::NumberKind;
use crate::input::error::InputError;
use crate::input::samples::{Block, Number, Samples};
use crate::input::storage::{
    BLOCK, ONE_CHUNK, Orientation, Piece, Storage, rectangles, tiles, within,
};

/// Calls a function of the type that holds numbers of a kind.
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

pub(super) use with_type;

/// An open array with two axes.
#[derive(Debug)]
pub(in crate::input) struct Matrix {
    storage: Storage,
    /// Rows and columns of a unit.
    unit: [usize; 2],
    chunks: RefCell<Chunks>,
}

impl Matrix {
    /// Opens the array of a folder, whose rows and columns, as they are stored, are these.
    ///
    /// # Errors
    /// If there is none with two axes, or it is of a kind that is not read here.
    pub(in crate::input) fn open(
        folder: &Path,
        orientation: Orientation,
    ) -> Result<Self, InputError> {
        match Node::read(folder)? {
            Some(Node::Array(header)) => Self::of(*header, orientation),
            _ => Err(damaged(folder, "no array")),
        }
    }

    /// As [`open`](Self::open), of an array that was found before.
    pub(super) fn of(header: ArrayHeader, orientation: Orientation) -> Result<Self, InputError> {
        let (path, numbers) = (header.path.clone(), header.numbers);
        let extents = header.shape.clone();
        let chunks = Chunks::of(header);
        let found = |found: String| Err(damaged(&path, found));
        let ([first, second], &[high, wide]) = (chunks.order(), chunks.unit()) else {
            return found(format!("an array with {} axes", extents.len()));
        };
        let shape = [extents[*first], extents[*second]];
        if shape.contains(&0) {
            return found("an array without numbers".to_owned());
        }
        // Of units that are stored as their numbers are, rows can be read alone.
        let chunk = match chunks.is_plain() {
            true => [(BLOCK / wide).clamp(1, high), wide],
            false => [high, wide],
        };
        Ok(Self {
            storage: Storage {
                orientation,
                shape,
                chunk: Some(chunk),
                // Floats of two bytes are held as f32, too.
                value_bytes: if numbers.half { 4 } else { numbers.bytes },
            },
            unit: [high, wide],
            chunks: RefCell::new(chunks),
        })
    }

    /// How the array lies in its files: rows and columns as they are stored.
    pub(in crate::input) fn storage(&self) -> Storage {
        self.storage
    }

    /// Rows and columns of a unit, where a part of it takes as long to read as all of it.
    pub(in crate::input) fn whole_chunk(&self) -> Option<[usize; 2]> {
        let [high, wide] = self.unit;
        let is_large = high.saturating_mul(wide) > BLOCK;
        (!(is_large && self.chunks.borrow().is_plain())).then_some(self.unit)
    }

    /// Reads a piece and copies to each of `parts`, which have no sample in common, what belongs to it: in the units of the array,
    /// rounded to f32.
    ///
    /// Beside the parts it holds one unit, as it is stored and as numbers. No unit that lies wholly in the piece is read more than once.
    ///
    /// # Errors
    /// If the array does not have the piece, or a chunk is damaged or cannot be read.
    pub(in crate::input) fn read(
        &self,
        piece: &Piece,
        parts: &mut [&mut Samples],
    ) -> Result<(), InputError> {
        let mut chunks = self.chunks.borrow_mut();
        let (neurons, frames) = (self.storage.neurons(), self.storage.frames());
        if !within(&piece.neurons, neurons) || !within(&piece.frames, frames) {
            return Err(InputError::Range {
                path: chunks.header().path.clone(),
                dataset: ".".to_owned(),
                neurons,
                frames,
                piece: piece.clone(),
            });
        }
        if piece.samples() == 0 {
            return Ok(());
        }
        let [rows, columns] = self.storage.orientation.axes(piece);
        let kind = chunks.header().numbers.kind;
        for part in rectangles(rows, columns, Some(self.unit), ONE_CHUNK) {
            with_type!(kind, N => self.read_unit::<N>(&mut chunks, part, parts))?;
        }
        Ok(())
    }

    /// Reads a part of one unit.
    fn read_unit<N: Number>(
        &self,
        chunks: &mut Chunks,
        [rows, columns]: [Range<usize>; 2],
        parts: &mut [&mut Samples],
    ) -> Result<(), InputError> {
        let [high, wide] = self.unit;
        let place = [rows.start / high, columns.start / wide];
        let first = [rows.start % high, columns.start % wide];
        if chunks.is_plain() {
            if let Some(located) = chunks.plain(&place)? {
                return read_plain::<N>(chunks, &located, first, wide, [rows, columns], parts);
            }
        } else if let Some(numbers) = chunks.numbers(&place)? {
            let block = Block {
                rows,
                columns,
                stride: wide,
                values: &cast_slice::<u8, N>(numbers)[first[0] * wide + first[1]..],
            };
            parts.iter_mut().for_each(|part| part.put(&block));
            return Ok(());
        }
        let fill = chunks.header().fill as f32;
        parts
            .iter_mut()
            .for_each(|part| part.fill(&rows, &columns, fill));
        Ok(())
    }
}

/// Reads a part of a unit that is stored as its numbers are, which begins at `first` of the unit, in blocks.
fn read_plain<N: Number>(
    chunks: &mut Chunks,
    located: &Located,
    first: [usize; 2],
    wide: usize,
    [rows, columns]: [Range<usize>; 2],
    parts: &mut [&mut Samples],
) -> Result<(), InputError> {
    // Whole rows are read with one call, unless most of them is not wanted.
    let whole = wide <= BLOCK && 4 * columns.len() >= wide;
    let step = match whole {
        true => [(BLOCK / wide).max(1), columns.len()],
        false => [1, BLOCK],
    };
    let origin = [rows.start, columns.start];
    for [rows, columns] in tiles(0..rows.len(), 0..columns.len(), step, 0) {
        let skipped = (first[0] + rows.start) * wide + first[1] + columns.start;
        let (stride, count) = match whole {
            true => (wide, (rows.len() - 1) * wide + columns.len()),
            false => (columns.len(), columns.len()),
        };
        let numbers = chunks.part(located, skipped, count)?;
        let block = Block {
            rows: origin[0] + rows.start..origin[0] + rows.end,
            columns: origin[1] + columns.start..origin[1] + columns.end,
            stride,
            values: cast_slice::<u8, N>(numbers),
        };
        parts.iter_mut().for_each(|part| part.put(&block));
    }
    Ok(())
}
