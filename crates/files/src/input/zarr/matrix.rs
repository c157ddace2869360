//! Reads an array with two axes (rule 2.6), unit by unit: a chunk, or an inner chunk of a shard.
//!
//! Rows and columns are those of a unit as it is stored: where chunks were transposed before they were stored, so is the matrix, and no
//! number is moved for it.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use bytemuck::try_cast_slice;

use super::chunks::{Chunks, Located};
use super::metadata::{ArrayHeader, Node, damaged};
use crate::input::error::InputError;
use crate::input::number_type::NumberType;
use crate::input::samples::{Block, Samples};
use crate::input::storage::{BLOCK, ONE_CHUNK, Orientation, Piece, Storage, rectangles, tiles};

/// An open array with two axes.
#[derive(Debug)]
pub(in crate::input) struct Matrix {
    storage: Storage,
    /// Rows and columns of a unit.
    unit: [usize; 2],
    open: RefCell<Open>,
}

/// What reading changes.
#[derive(Debug)]
struct Open {
    chunks: Chunks,
    /// Numbers as samples, where they are of another type.
    samples: Vec<f32>,
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
                value_bytes: numbers.bytes,
            },
            unit: [high, wide],
            open: RefCell::new(Open {
                chunks,
                samples: Vec::new(),
            }),
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
        (!(is_large && self.open.borrow().chunks.is_plain())).then_some(self.unit)
    }

    /// Reads a piece and copies to each of `parts`, which have no sample in common, what belongs to it: in the units of the array,
    /// rounded to f32.
    ///
    /// Beside the parts it holds one unit, as it is stored and as numbers. No unit that lies wholly in the piece is read more than once.
    ///
    /// # Errors
    /// If a chunk is damaged or cannot be read.
    pub(in crate::input) fn read(
        &self,
        piece: &Piece,
        parts: &mut [&mut Samples],
    ) -> Result<(), InputError> {
        let mut open = self.open.borrow_mut();
        let [rows, columns] = self.storage.orientation.axes(piece);
        rectangles(rows, columns, Some(self.unit), ONE_CHUNK)
            .try_for_each(|part| open.read_unit(self.unit, part, parts))
    }
}

impl Open {
    /// Reads a part of one unit.
    fn read_unit(
        &mut self,
        [high, wide]: [usize; 2],
        part: [Range<usize>; 2],
        parts: &mut [&mut Samples],
    ) -> Result<(), InputError> {
        let [rows, columns] = &part;
        let place = [rows.start / high, columns.start / wide];
        let first = [rows.start % high, columns.start % wide];
        let Self { chunks, samples } = self;
        let numbers = chunks.header().numbers;
        if chunks.is_plain() {
            if let Some(located) = chunks.plain(&place)? {
                return self.read_plain(&located, first, wide, part, parts);
            }
        } else if let Some(bytes) = chunks.numbers(&place)? {
            let start = first[0] * wide + first[1];
            let count = (rows.len() - 1) * wide + columns.len();
            let bytes = &bytes[start * numbers.bytes..][..count * numbers.bytes];
            let values = as_samples(numbers, bytes, samples);
            put(part, wide, values, parts);
            return Ok(());
        }
        let fill = chunks.header().fill as f32;
        let parts = parts.iter_mut();
        parts.for_each(|part| part.fill(rows, columns, fill));
        Ok(())
    }

    /// Reads a part of a unit that is stored as its numbers are, which begins at `first` of the unit, in blocks.
    fn read_plain(
        &mut self,
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
        let numbers = self.chunks.header().numbers;
        for [block_rows, block_columns] in tiles(0..rows.len(), 0..columns.len(), step, 0) {
            let before = first[0] + block_rows.start;
            let start = before * wide + first[1] + block_columns.start;
            let stride = if whole { wide } else { block_columns.len() };
            let count = (block_rows.len() - 1) * stride + block_columns.len();
            let bytes = self.chunks.part(located, start, count)?;
            let values = as_samples(numbers, bytes, &mut self.samples);
            let block = [
                rows.start + block_rows.start..rows.start + block_rows.end,
                columns.start + block_columns.start..columns.start + block_columns.end,
            ];
            put(block, stride, values, parts);
        }
        Ok(())
    }
}

/// Stored numbers, rounded to f32: themselves, or by way of `samples`.
fn as_samples<'a>(numbers: NumberType, bytes: &'a [u8], samples: &'a mut Vec<f32>) -> &'a [f32] {
    if numbers.is_own_f32()
        && let Ok(own) = try_cast_slice(bytes)
    {
        return own;
    }
    samples.resize(bytes.len() / numbers.bytes, 0.0);
    numbers.round(bytes, samples);
    samples
}

/// Copies a block to where it belongs.
fn put(
    [rows, columns]: [Range<usize>; 2],
    stride: usize,
    values: &[f32],
    parts: &mut [&mut Samples],
) {
    let block = Block {
        rows,
        columns,
        stride,
        values,
    };
    parts.iter_mut().for_each(|part| part.put(&block));
}
