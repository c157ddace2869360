//! Reads a matrix of numbers in text: a row in each line, its cells parted by commas, semicolons, tabs or spaces.
//!
//! The first pass, [`Table::scan`], counts rows and columns and notes where every so many rows begin, so that each rank reads and
//! parses no more than the lines of its pieces.

mod scan;

use std::cell::RefCell;
use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::InputError;
use super::samples::{Block, Samples};
use super::storage::{Orientation, Piece, Storage, tiles};
use super::stream_matrix::Section;
use super::text_table::{Separator, next_row};
use crate::regular;
pub(super) use scan::Table;

/// Bytes that are read from the disk at a time.
const BUFFER: usize = 1 << 20;
/// Bytes of a line, at most: a million numbers.
const LONGEST_LINE: u64 = 1 << 24;
/// Bytes of a number as text, about.
const CELL_BYTES: usize = 12;
/// What such a file should hold, for messages.
const WHAT: &str = "a table of numbers, a row in each line";

/// Where such a table lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TextPlace {
    pub(super) path: PathBuf,
    separator: Separator,
    /// The first row and column of the matrix among those of the table that hold numbers.
    first: [usize; 2],
    /// The bytes at which every `rows_apart`-th row of the table begins, and that at which the last ends.
    starts: Vec<u64>,
    rows_apart: usize,
    /// Rows and columns.
    pub(super) shape: [usize; 2],
}

impl TextPlace {
    /// How the matrix lies in its file, if its rows and columns are these: its chunks are the rows between two places that are noted.
    pub(super) fn storage(&self, orientation: Orientation) -> Storage {
        Storage {
            orientation,
            shape: self.shape,
            chunk: Some([self.rows_apart.clamp(1, self.shape[0]), self.shape[1]]),
            value_bytes: CELL_BYTES,
        }
    }
}

fn wrong(path: &Path, found: String) -> InputError {
    InputError::File {
        path: path.to_owned(),
        what: WHAT,
        found,
    }
}

/// An open table.
#[derive(Debug)]
pub(super) struct Matrix {
    place: TextPlace,
    storage: Storage,
    file: File,
    scratch: RefCell<Scratch>,
}

/// Memory for a line, and for the numbers of some.
#[derive(Debug, Default)]
struct Scratch {
    line: Vec<u8>,
    samples: Vec<f32>,
}

impl Matrix {
    /// Opens a table whose rows and columns are these.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn open(place: &TextPlace, orientation: Orientation) -> Result<Self, InputError> {
        let file = regular::open(&place.path);
        Ok(Self {
            storage: place.storage(orientation),
            place: place.clone(),
            file: file.map_err(|error| wrong(&place.path, error.to_string()))?,
            scratch: RefCell::default(),
        })
    }

    /// How the matrix lies in its file.
    pub(super) fn storage(&self) -> Storage {
        self.storage
    }

    /// Rows and columns of a chunk.
    pub(super) fn whole_chunk(&self) -> Option<[usize; 2]> {
        self.storage.chunk
    }

    /// Reads a piece and copies to each of `parts`, which have no sample in common, what belongs to it. Empty cells are missing.
    ///
    /// # Errors
    /// If a cell of it is no number, or the file cannot be read.
    pub(super) fn read(&self, piece: &Piece, parts: &mut [&mut Samples]) -> Result<(), InputError> {
        let [rows, columns] = self.storage.orientation.axes(piece);
        let mut scratch = self.scratch.borrow_mut();
        tiles(rows, columns, [self.place.rows_apart, usize::MAX], 0)
            .try_for_each(|block| self.read_block(block, parts, &mut scratch))
            .map_err(|found| wrong(&self.place.path, found))
    }

    /// Reads rows between two places that are noted.
    fn read_block(
        &self,
        [rows, columns]: [Range<usize>; 2],
        parts: &mut [&mut Samples],
        Scratch { line, samples }: &mut Scratch,
    ) -> Result<(), String> {
        let failed = |error: std::io::Error| error.to_string();
        let place = &self.place;
        let table_rows = rows.start + place.first[0]..rows.end + place.first[0];
        let noted = table_rows.start / place.rows_apart;
        let next = (table_rows.end - 1) / place.rows_apart + 1;
        let (Some(start), Some(end)) = (place.starts.get(noted), place.starts.get(next)) else {
            return Err("fewer rows than before".to_owned());
        };
        let section = Section::new(self.file.try_clone().map_err(failed)?, *start..*end);
        let capacity = (end - start).min(BUFFER as u64) as usize;
        let mut section = BufReader::with_capacity(capacity, section);
        samples.clear();
        for row in noted * place.rows_apart..table_rows.end {
            let read = next_row(&mut section, line, LONGEST_LINE).map_err(failed)?;
            if read.lines == 0 {
                return Err("fewer rows than before".to_owned());
            }
            if row >= table_rows.start {
                place.parse(line, row - place.first[0], &columns, samples)?;
            }
        }
        let block = Block {
            rows,
            stride: columns.len(),
            columns,
            values: samples,
        };
        parts.iter_mut().for_each(|part| part.put(&block));
        Ok(())
    }
}

impl TextPlace {
    /// Adds the numbers of some columns of a row.
    fn parse(
        &self,
        line: &[u8],
        row: usize,
        columns: &Range<usize>,
        samples: &mut Vec<f32>,
    ) -> Result<(), String> {
        let skipped = columns.start + self.first[1];
        let mut rest = self.separator.after(line, skipped);
        for column in columns.clone() {
            let cells =
                rest.ok_or_else(|| format!("fewer cells than before in row {}", row + 1))?;
            let (number, next) = self.separator.first_number(cells).map_err(|cell| {
                let text = String::from_utf8_lossy(&cell[..cell.len().min(LONGEST_SHOWN)]);
                let (row, column) = (row + 1, column + 1);
                format!("{text:?} in row {row}, column {column} (from 1, without header and names)")
            })?;
            samples.push(number);
            rest = next;
        }
        Ok(())
    }
}

/// Bytes of a cell that messages show, at most.
const LONGEST_SHOWN: usize = 40;

#[cfg(test)]
mod tests;
