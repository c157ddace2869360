//! The first pass over a table: what its lines and columns are, how many there are, and where they begin.

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use spikegrid_core::wording::counted;

use super::{BUFFER, LONGEST_LINE, TextPlace, wrong};
use crate::input::error::InputError;
use crate::input::storage::BLOCK;
use crate::input::text_table::{Separator, bare, next_row, number};
use crate::regular;

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

/// A table whose lines were counted. Its first line and its first column may be scales, which the number of neurons tells.
#[derive(Clone, Debug)]
pub(in crate::input) struct Table {
    /// All lines and columns that hold numbers.
    whole: TextPlace,
    first_row: Option<Scale>,
    /// Of the first column, with the first row and without.
    first_column: [Option<Scale>; 2],
}

impl Table {
    /// Counts the rows and columns of a table, without a first line that names the columns and a first column that names the rows.
    ///
    /// # Errors
    /// If the file cannot be read, holds no table, or has lines of different lengths.
    pub(in crate::input) fn scan(path: &Path) -> Result<Self, InputError> {
        let open = || {
            let file = regular::open(path)?;
            Ok(BufReader::with_capacity(BUFFER, file))
        };
        let failed = |error: io::Error| wrong(path, error.to_string());
        let head = open().and_then(Head::read).map_err(failed)?;
        let lines = Lines::read(open().map_err(failed)?, &head);
        let lines = lines.map_err(|found| wrong(path, found))?;
        let labels = usize::from(head.has_labels);
        let shape = [lines.rows, head.columns - labels];
        if shape.contains(&0) {
            return Err(wrong(path, "no numbers".to_owned()));
        }
        let scale = |place: usize| {
            lines.first_cells[place]
                .scale()
                .filter(|_| !head.has_labels)
        };
        Ok(Self {
            whole: TextPlace {
                path: path.to_owned(),
                separator: head.separator,
                first: [0, labels],
                starts: lines.starts,
                rows_apart: lines.rows_apart,
                shape,
            },
            first_row: head.first_row,
            first_column: [scale(0), scale(1)],
        })
    }

    /// The matrix without scales, if it has this number of neurons, or any.
    pub(in crate::input) fn of_neurons(&self, neurons: Option<usize>) -> TextPlace {
        let shape =
            |drop: [bool; 2]| [0, 1].map(|axis| self.whole.shape[axis] - usize::from(drop[axis]));
        let mut choices: Vec<([bool; 2], usize)> = Vec::new();
        for drop_row in [true, false] {
            for drop_column in [true, false] {
                let column = self.first_column[usize::from(drop_row)];
                // What counts is hardly fluorescence, while what ascends evenly may be.
                let doubt = |drop, scale: Option<Scale>| match (drop, scale) {
                    (true, None) => None,
                    (true, Some(Scale::Even)) | (false, Some(Scale::Counting)) => Some(1),
                    _ => Some(0),
                };
                let doubts = doubt(drop_row, self.first_row).zip(doubt(drop_column, column));
                let drop = [drop_row, drop_column];
                if let Some((row, column)) = doubts.filter(|_| !shape(drop).contains(&0)) {
                    choices.push((drop, row + column));
                }
            }
        }
        choices.sort_by_key(|(_, doubts)| *doubts);
        let fits = |drop: [bool; 2]| neurons.is_none_or(|neurons| shape(drop).contains(&neurons));
        let fitting = choices.iter().find(|(drop, _)| fits(*drop));
        let (drop, _) = fitting.or(choices.first()).copied().unwrap_or_default();
        let first = self.whole.first;
        TextPlace {
            first: [0, 1].map(|axis| first[axis] + usize::from(drop[axis])),
            shape: shape(drop),
            ..self.whole.clone()
        }
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
    /// What the first line is, if it has numbers.
    first_row: Option<Scale>,
}

impl Head {
    /// Reads the first two lines of a table.
    fn read(mut file: impl BufRead) -> io::Result<Self> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        next_row(&mut file, &mut first, LONGEST_LINE)?;
        next_row(&mut file, &mut second, LONGEST_LINE)?;
        let separator = Separator::of(&first);
        let [first, second] = [&first, &second].map(|line| separator.cells(line));
        Ok(Self::of(&first, &second, separator))
    }

    /// What the cells of the first two lines say.
    fn of(first: &[&[u8]], second: &[&[u8]], separator: Separator) -> Self {
        let is_text = |cell: &[u8]| number::<f64>(cell, separator).is_none();
        let corner = first.first().copied().unwrap_or_default();
        let names = first.get(1..).unwrap_or_default();
        let label_follows = second.first().is_some_and(|cell| is_text(cell));
        let has_header = names.iter().any(|cell| is_text(cell))
            || is_text(corner) && !label_follows
            || (is_text(corner) || corner.is_empty()) && scale(names, separator).is_some();
        let names_labels = corner.is_empty()
            || LABELS
                .iter()
                .any(|label| corner.eq_ignore_ascii_case(label.as_bytes()));
        Self {
            separator,
            columns: first.len(),
            has_header,
            has_labels: label_follows || has_header && names_labels,
            first_row: scale(first, separator).filter(|_| !has_header && !label_follows),
        }
    }
}

/// A series of numbers that numbers rows or columns, or says their times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// 0, 1, 2, … or 1, 2, 3, …
    Counting,
    /// Many numbers in steps that are nearly even.
    Even,
}

/// What cells are, if they are a scale.
fn scale(cells: &[&[u8]], separator: Separator) -> Option<Scale> {
    let mut steps = Steps::default();
    cells.iter().for_each(|cell| steps.add(cell, separator));
    steps.scale()
}

/// The steps between numbers that follow each other.
#[derive(Clone, Copy, Debug, Default)]
struct Steps {
    cells: usize,
    first: f64,
    last: f64,
    /// The smallest and the largest.
    range: Option<[f64; 2]>,
    has_broken: bool,
}

impl Steps {
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
            let [least, most] = self.range.unwrap_or([step; 2]);
            self.range = Some([least.min(step), most.max(step)]);
            self.has_broken = step <= 0.0;
        }
        self.last = number;
        self.cells += 1;
    }

    fn scale(&self) -> Option<Scale> {
        const FEWEST: usize = 3;
        /// Times of so many frames are even steps, but for what was rounded off.
        const MANY: usize = 8;
        const UNEVEN: f64 = 1.5;
        let [least, most] = self.range.filter(|_| !self.has_broken)?;
        let counts = (self.first == 0.0 || self.first == 1.0) && (least, most) == (1.0, 1.0);
        match () {
            () if self.cells >= FEWEST && counts => Some(Scale::Counting),
            () if self.cells >= MANY && most <= UNEVEN * least => Some(Scale::Even),
            () => None,
        }
    }
}

/// What the lines with numbers are.
struct Lines {
    rows: usize,
    /// The bytes at which every so many rows begin, and that at which the last ends.
    starts: Vec<u64>,
    rows_apart: usize,
    /// The first cells of all rows, and of those after the first.
    first_cells: [Steps; 2],
}

impl Lines {
    /// Reads all lines of a table that begins like this.
    fn read(mut file: impl BufRead, head: &Head) -> Result<Self, String> {
        let mut found = Self {
            rows: 0,
            starts: Vec::new(),
            rows_apart: (BLOCK / head.columns.max(1)).max(1),
            first_cells: [Steps::default(); 2],
        };
        let (mut line, mut place, mut lines) = (Vec::new(), 0, 0);
        loop {
            let read = next_row(&mut file, &mut line, LONGEST_LINE);
            let read = read.map_err(|error| error.to_string())?;
            if read.lines == 0 {
                found.starts.push(place);
                return Ok(found);
            }
            let is_first = lines == 0;
            place += read.bytes;
            lines += read.lines;
            let (cells, expected) = (head.separator.count(&line), head.columns);
            if cells != expected {
                let cells = counted(cells, "cell");
                return Err(format!("{cells} in line {lines}, not {expected}"));
            }
            if is_first && head.has_header {
                continue;
            }
            if found.rows.is_multiple_of(found.rows_apart) {
                found.starts.push(place - read.row_bytes);
            }
            let (label, _) = head.separator.split(&line);
            for steps in &mut found.first_cells[..1 + usize::from(found.rows > 0)] {
                steps.add(bare(label), head.separator);
            }
            found.rows += 1;
        }
    }
}
