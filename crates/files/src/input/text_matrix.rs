//! Reads a matrix of numbers in text: a row in each line, its cells parted by commas, semicolons, tabs or spaces.
//!
//! The first pass, [`TextPlace::scan`], counts rows and columns and notes where every so many rows begin, so that each rank reads and
//! parses no more than the lines of its pieces.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::InputError;
use super::samples::{Block, Samples};
use super::storage::{BLOCK, Orientation, Piece, Storage, tiles, within};
use super::stream_matrix::Section;
use super::text_table::{Separator, bare, next_row, number, words};
use crate::regular;

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
    /// Whether the first cell of each line is a name or number of its row.
    has_labels: bool,
    /// The bytes at which every `rows_apart`-th row begins, and that at which the file ends.
    starts: Vec<u64>,
    rows_apart: usize,
    /// Rows and columns, without header and labels.
    pub(super) shape: [usize; 2],
}

impl TextPlace {
    /// Counts the rows and columns of a table, without a first line that names the columns and a first column that names the rows.
    ///
    /// # Errors
    /// If the file cannot be read, holds no table, or has lines of different lengths.
    pub(super) fn scan(path: &Path) -> Result<Self, InputError> {
        let open = || {
            let file = regular::open(path)?;
            Ok(BufReader::with_capacity(BUFFER, file))
        };
        let failed = |error: std::io::Error| wrong(path, error.to_string());
        let head = open().and_then(Head::read).map_err(failed)?;
        let scan = Scan::of(open().map_err(failed)?, head).map_err(|found| wrong(path, found))?;
        let columns = scan.head.columns - usize::from(scan.head.has_labels);
        if scan.rows == 0 || columns == 0 {
            return Err(wrong(path, "no numbers".to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            separator: scan.head.separator,
            has_labels: scan.head.has_labels,
            starts: scan.starts,
            rows_apart: scan.rows_apart,
            shape: [scan.rows, columns],
        })
    }

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

/// How a table begins.
struct Head {
    separator: Separator,
    /// Cells of each line.
    columns: usize,
    /// Whether the first line names the columns.
    has_header: bool,
    /// Whether the first column names the rows.
    has_labels: bool,
}

/// What a column is called that numbers or names the rows, or says their time.
const LABELS: [&str; 16] = [
    "index",
    "id",
    "neuron",
    "neuron_id",
    "cell",
    "cell_id",
    "roi",
    "roi_id",
    "frame",
    "time",
    "time_s",
    "t",
    "label",
    "name",
    "unnamed: 0",
    "timestamp",
];

impl Head {
    /// Reads the first two lines of a table.
    fn read(mut file: impl BufRead) -> std::io::Result<Self> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        next_row(&mut file, &mut first, LONGEST_LINE)?;
        next_row(&mut file, &mut second, LONGEST_LINE)?;
        let separator = Separator::of(&first);
        Ok(Self::of(
            &separator.cells(&first),
            &separator.cells(&second),
            separator,
        ))
    }

    /// What the cells of the first two lines say.
    fn of(first: &[&[u8]], second: &[&[u8]], separator: Separator) -> Self {
        let is_text = |cell: &[u8]| number::<f64>(cell, separator).is_none();
        let corner = first.first().copied().unwrap_or_default();
        let names = first.get(1..).unwrap_or_default();
        let label_follows = second.first().is_some_and(|cell| is_text(cell));
        let has_header = names.iter().any(|cell| is_text(cell))
            || is_text(corner) && !label_follows
            || is_scale(first, separator)
            || is_scale(names, separator);
        let names_labels = corner.is_empty()
            || LABELS
                .iter()
                .any(|label| corner.eq_ignore_ascii_case(label.as_bytes()));
        Self {
            separator,
            columns: first.len(),
            has_header,
            has_labels: label_follows || has_header && names_labels,
        }
    }
}

/// Whether cells are a scale, which numbers rows or columns or says their times.
fn is_scale(cells: &[&[u8]], separator: Separator) -> bool {
    let mut scale = Scale::default();
    cells.iter().for_each(|cell| scale.add(cell, separator));
    scale.is_one()
}

/// Tells whether cells are a scale: they count from 0 or 1, or ascend in even steps. No fluorescence does.
#[derive(Clone, Copy, Debug, Default)]
struct Scale {
    cells: usize,
    first: f64,
    last: f64,
    /// The smallest and the largest step.
    steps: Option<[f64; 2]>,
    has_broken: bool,
}

impl Scale {
    fn add(&mut self, cell: &[u8], separator: Separator) {
        if self.has_broken {
            return;
        }
        let number = number(cell, separator).filter(|number: &f64| number.is_finite());
        let Some(number) = number else {
            self.has_broken = true;
            return;
        };
        if self.cells == 0 {
            self.first = number;
        } else {
            let step = number - self.last;
            let [least, most] = self.steps.unwrap_or([step; 2]);
            self.steps = Some([least.min(step), most.max(step)]);
            self.has_broken = step <= 0.0;
        }
        self.last = number;
        self.cells += 1;
    }

    fn is_one(&self) -> bool {
        /// Times of so many frames are even steps, but for what was rounded off.
        const MANY: usize = 8;
        const UNEVEN: f64 = 1.5;
        let [least, most] = self.steps.unwrap_or([0.0; 2]);
        let counts = (self.first == 0.0 || self.first == 1.0) && (least, most) == (1.0, 1.0);
        let is_even = self.cells >= MANY && most <= UNEVEN * least;
        !self.has_broken && self.cells > 2 && (counts || is_even)
    }
}

/// What the first pass finds.
struct Scan {
    head: Head,
    rows: usize,
    starts: Vec<u64>,
    rows_apart: usize,
}

impl Scan {
    /// Reads all lines of a table that begins like this.
    fn of(mut file: impl BufRead, mut head: Head) -> Result<Self, String> {
        let rows_apart = (BLOCK / head.columns.max(1)).max(1);
        let (mut starts, mut rows) = (Vec::new(), 0);
        let (mut line, mut place, mut lines) = (Vec::new(), 0, 0);
        let mut labels = Scale::default();
        loop {
            let read = next_row(&mut file, &mut line, LONGEST_LINE);
            let read = read.map_err(|error| error.to_string())?;
            if read.lines == 0 {
                break;
            }
            place += read.bytes;
            lines += read.lines;
            let (found, expected) = (head.separator.count(&line), head.columns);
            if found != expected {
                return Err(format!("{found} cells in line {lines}, not {expected}"));
            }
            let is_first = lines == read.lines;
            if is_first && head.has_header {
                continue;
            }
            if rows % rows_apart == 0 {
                starts.push(place - read.row_bytes);
            }
            rows += 1;
            labels.add(first_cell(&line, head.separator), head.separator);
        }
        starts.push(place);
        head.has_labels |= head.columns > 2 && labels.is_one();
        Ok(Self {
            head,
            rows,
            starts,
            rows_apart,
        })
    }
}

/// The first cell of a line.
fn first_cell(line: &[u8], separator: Separator) -> &[u8] {
    let first = match separator.byte() {
        Some(byte) => line.split(|b| *b == byte).next(),
        None => words(line).next(),
    };
    bare(first.unwrap_or_default())
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
    /// If the matrix does not have the piece, a cell of it is no number, or the file cannot be read.
    pub(super) fn read(&self, piece: &Piece, parts: &mut [&mut Samples]) -> Result<(), InputError> {
        let (neurons, frames) = (self.storage.neurons(), self.storage.frames());
        if !within(&piece.neurons, neurons) || !within(&piece.frames, frames) {
            return Err(InputError::Range {
                path: self.place.path.clone(),
                dataset: "numbers".to_owned(),
                neurons,
                frames,
                piece: piece.clone(),
            });
        }
        if piece.samples() == 0 {
            return Ok(());
        }
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
        let noted = rows.start / place.rows_apart;
        let [start, end] = place.starts[noted..][..2] else {
            return Err("fewer rows than before".to_owned());
        };
        let section = Section::new(self.file.try_clone().map_err(failed)?, start..end);
        let capacity = (end - start).min(BUFFER as u64) as usize;
        let mut section = BufReader::with_capacity(capacity, section);
        samples.clear();
        for row in noted * place.rows_apart..rows.end {
            let read = next_row(&mut section, line, LONGEST_LINE).map_err(failed)?;
            if read.lines == 0 {
                return Err("fewer rows than before".to_owned());
            }
            if row >= rows.start {
                place.parse(line, row, &columns, samples)?;
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
        let skipped = columns.start + usize::from(self.has_labels);
        let mut column = columns.start;
        let mut add = |cell: &[u8]| {
            column += 1;
            let number = number(bare(cell), self.separator).ok_or_else(|| {
                let text = String::from_utf8_lossy(&cell[..cell.len().min(LONGEST_SHOWN)]);
                let row = row + 1;
                format!("{text:?} in row {row}, column {column} (from 1, without header and names)")
            });
            number.map(|number| samples.push(number))
        };
        match self.separator.byte() {
            Some(byte) => {
                let cells = line.split(|b| *b == byte).skip(skipped);
                cells.take(columns.len()).try_for_each(&mut add)?;
            }
            None => {
                let cells = words(line).skip(skipped);
                cells.take(columns.len()).try_for_each(&mut add)?;
            }
        }
        match column == columns.end {
            true => Ok(()),
            false => Err(format!("fewer cells than before in row {}", row + 1)),
        }
    }
}

/// Bytes of a cell that messages show, at most.
const LONGEST_SHOWN: usize = 40;

#[cfg(test)]
mod tests;
