//! Reads a matrix whose numbers follow each other in a file from some byte on: `.npy`, and what other files hold in one piece.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::InputError;
use super::number_type::NumberType;
use super::read_ahead::announce;
use super::samples::{Block, Samples};
use super::storage::{Orientation, Piece, Storage, blocks};
use crate::regular;

/// Where such numbers lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FlatPlace {
    pub(super) path: PathBuf,
    /// The byte at which the first number begins.
    pub(super) start: u64,
    pub(super) numbers: NumberType,
    /// Rows and columns; the numbers of a row follow each other.
    pub(super) shape: [usize; 2],
}

impl FlatPlace {
    /// How the matrix lies in its file, if its rows and columns are these.
    pub(super) fn storage(&self, orientation: Orientation) -> Storage {
        Storage {
            orientation,
            shape: self.shape,
            chunk: None,
            value_bytes: self.numbers.bytes,
        }
    }

    /// Checks that a file of so many bytes has all numbers.
    ///
    /// # Errors
    /// How many bytes are there, and how many the matrix needs.
    pub(super) fn lies_within(&self, there: u64) -> Result<(), String> {
        match self.end() {
            Some(end) if end <= there => Ok(()),
            end => {
                let stated = end.map_or("more bytes than any".to_owned(), |end| end.to_string());
                Err(format!(
                    "{there} bytes of {stated}: the file is cut short; copy it again"
                ))
            }
        }
    }

    /// Bytes of the file that the matrix needs, from the first on; nothing if no file is so long.
    fn end(&self) -> Option<u64> {
        let [rows, columns] = self.shape;
        let bytes = rows.checked_mul(columns)?.checked_mul(self.numbers.bytes)?;
        self.start.checked_add(bytes as u64)
    }
}

/// An open matrix.
#[derive(Debug)]
pub(super) struct Matrix {
    place: FlatPlace,
    storage: Storage,
    file: File,
    scratch: RefCell<Scratch>,
}

/// Memory for numbers that are not read straight to their place.
#[derive(Debug, Default)]
struct Scratch {
    bytes: Vec<u8>,
    samples: Vec<f32>,
}

impl Matrix {
    /// Opens a matrix whose rows and columns are these.
    ///
    /// # Errors
    /// If the file cannot be read, is shorter than the matrix, or the matrix has no numbers.
    pub(super) fn open(place: &FlatPlace, orientation: Orientation) -> Result<Self, InputError> {
        let path = &place.path;
        let wrong = |found: String| InputError::File {
            path: path.to_owned(),
            what: "the numbers that it states",
            found,
        };
        if place.shape.contains(&0) {
            return Err(wrong("an empty matrix".to_owned()));
        }
        let file = regular::open(path).map_err(|error| wrong(error.to_string()))?;
        let there = file.metadata().map_err(|error| wrong(error.to_string()))?;
        place.lies_within(there.len()).map_err(wrong)?;
        Ok(Self {
            storage: place.storage(orientation),
            place: place.clone(),
            file,
            scratch: RefCell::default(),
        })
    }

    /// How the matrix lies in its file.
    pub(super) fn storage(&self) -> Storage {
        self.storage
    }

    /// Reads a piece and copies to each of `parts`, which have no sample in common, what belongs to it: in the file's units,
    /// rounded to f32.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(&self, piece: &Piece, parts: &mut [&mut Samples]) -> Result<(), InputError> {
        let [rows, columns] = self.storage.orientation.axes(piece);
        let FlatPlace {
            start,
            numbers,
            shape,
            ..
        } = self.place;
        let axes = [rows, columns];
        announce(&self.file, start, shape[1], numbers.bytes, &axes);
        let [rows, columns] = axes;
        let mut scratch = self.scratch.borrow_mut();
        blocks(rows, columns, None, super::storage::BLOCK)
            .try_for_each(|block| self.read_block(block, parts, &mut scratch))
            .map_err(|error| InputError::File {
                path: self.place.path.clone(),
                what: "numbers that can be read",
                found: error.to_string(),
            })
    }

    /// Reads a block straight to where it belongs, if that is one place in one part, or by way of the scratch memory.
    fn read_block(
        &self,
        [rows, columns]: [Range<usize>; 2],
        parts: &mut [&mut Samples],
        Scratch { bytes, samples }: &mut Scratch,
    ) -> io::Result<()> {
        let numbers = self.place.numbers;
        if numbers.is_own_f32() {
            let mut places = parts
                .iter_mut()
                .filter_map(|part| part.place(&rows, &columns));
            if let Some(place) = places.next() {
                return self.read_bytes(&rows, &columns, bytemuck::cast_slice_mut(place));
            }
        }
        let count = rows.len() * columns.len();
        bytes.resize(count * numbers.bytes, 0);
        samples.resize(count, 0.0);
        self.read_bytes(&rows, &columns, bytes)?;
        numbers.round(bytes, samples);
        let block = Block {
            rows,
            stride: columns.len(),
            columns,
            values: samples,
        };
        parts.iter_mut().for_each(|part| part.put(&block));
        Ok(())
    }

    /// Reads the bytes of rows and columns: all at once where whole rows are asked for.
    fn read_bytes(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        bytes: &mut [u8],
    ) -> io::Result<()> {
        let (wide, value) = (self.place.shape[1], self.place.numbers.bytes);
        let place = |row: usize| self.place.start + ((row * wide + columns.start) * value) as u64;
        if columns.len() == wide {
            return self.file.read_exact_at(bytes, place(rows.start));
        }
        let parts = bytes.chunks_exact_mut(columns.len() * value);
        rows.clone()
            .zip(parts)
            .try_for_each(|(row, part)| self.file.read_exact_at(part, place(row)))
    }
}

/// The numbers of a small matrix, row by row.
///
/// # Errors
/// As [`Matrix::open`], or if there are more than `most`.
pub(super) fn read_values(place: &FlatPlace, most: usize) -> Result<Vec<f64>, InputError> {
    let [rows, columns] = place.shape;
    let wrong = |found: String| InputError::File {
        path: place.path.clone(),
        what: "a small array",
        found,
    };
    let count = rows.saturating_mul(columns);
    if count > most {
        return Err(wrong(format!("{count} numbers")));
    }
    let matrix = Matrix::open(place, Orientation::FramesByNeurons)?;
    let mut bytes = vec![0; count * place.numbers.bytes];
    let read = matrix.file.read_exact_at(&mut bytes, place.start);
    read.map_err(|error| wrong(error.to_string()))?;
    Ok(place.numbers.values(&bytes))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::input::panel::Panel;
    use crate::input::place::Place;
    use crate::input::source::Location;

    const ROWS: usize = 30;
    const COLUMNS: usize = 40;

    fn written(folder: &Path, name: &str, bytes: impl Fn(i16) -> Vec<u8>) -> FlatPlace {
        let path = folder.join("numbers");
        let mut all = vec![7; 5];
        all.extend((0..(ROWS * COLUMNS) as i16).flat_map(bytes));
        std::fs::write(&path, all).expect("a file");
        FlatPlace {
            path,
            start: 5,
            numbers: NumberType::of_numpy(name).expect("a type"),
            shape: [ROWS, COLUMNS],
        }
    }

    fn check(place: FlatPlace) {
        for orientation in [Orientation::FramesByNeurons, Orientation::NeuronsByFrames] {
            let storage = place.storage(orientation);
            let location = Location::from(Panel::new(Place::Flat(place.clone()), storage));
            let reader = location.open().expect("a reader");
            let neurons = 3..storage.neurons() - 2;
            let mut samples = Samples::new(&storage, storage.all_frames(neurons.clone()));
            for piece in reader.pieces(&neurons) {
                reader.read(&piece, &mut [&mut samples]).expect("a piece");
            }
            let traces = samples.traces(&neurons);
            for (trace, neuron) in traces.chunks(storage.frames()).zip(neurons) {
                for (frame, sample) in trace.iter().enumerate() {
                    let number = match orientation {
                        Orientation::FramesByNeurons => frame * COLUMNS + neuron,
                        Orientation::NeuronsByFrames => neuron * COLUMNS + frame,
                    };
                    assert_eq!(*sample, number as f32);
                }
            }
        }
    }

    #[test]
    fn rule_2_6_numbers_in_one_piece_are_read_at_any_place_and_of_any_type() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        check(written(folder, "<f4", |n| {
            f32::from(n).to_le_bytes().into()
        }));
        check(written(folder, ">f4", |n| {
            f32::from(n).to_be_bytes().into()
        }));
        check(written(folder, "<f8", |n| {
            f64::from(n).to_le_bytes().into()
        }));
        check(written(folder, ">i2", |n| n.to_be_bytes().into()));
    }

    #[test]
    fn rule_2_6_a_file_that_is_cut_short_says_how_much_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = written(folder.path(), "<i2", |n| n.to_le_bytes().into());
        let open = |place: &FlatPlace| Matrix::open(place, Orientation::FramesByNeurons);
        open(&place).expect("a matrix");
        let longer = FlatPlace {
            start: 6,
            ..place.clone()
        };
        let message = open(&longer).expect_err("too short").to_string();
        assert!(message.contains("2405 bytes of 2406"), "{message}");
        let endless = FlatPlace {
            shape: [usize::MAX, 2],
            ..place.clone()
        };
        assert!(open(&endless).is_err());
        let empty = FlatPlace {
            shape: [0, 2],
            ..place
        };
        assert!(open(&empty).is_err());
    }
}
