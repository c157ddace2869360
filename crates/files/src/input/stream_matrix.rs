//! Reads a matrix whose numbers are compressed as one stream, so that they can only be read from the first on: a deflated member of
//! `.npz`, a compressed variable of a MAT-file 5.
//!
//! The reader keeps its place in the stream. A piece of later rows is read from there on, what lies between is inflated and passed over;
//! a piece of earlier rows begins at the start again. Pieces come in ascending order of rows (see [`Storage::pieces`]), so that the stream
//! is inflated once for each stretch of a recording.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use flate2::Crc;
use flate2::bufread::{DeflateDecoder, ZlibDecoder};
use serde::{Deserialize, Serialize};

use super::error::InputError;
use super::number_type::NumberType;
use super::samples::{Block, Samples};
use super::storage::{BLOCK, Orientation, Piece, Storage, tiles};
use crate::regular;

/// Bytes that are read from the disk, and inflated, at a time.
const BUFFER: usize = 256 << 10;

/// How a stream is compressed, and by what its end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Coding {
    /// Deflate alone: length and CRC-32 of what comes out.
    Deflate { length: u64, crc: u32 },
    /// Deflate in the format zlib, which has a checksum of its own.
    Zlib,
}

/// Where such numbers lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StreamPlace {
    pub(super) path: PathBuf,
    /// The bytes of the file that are the stream.
    pub(super) stored: Range<u64>,
    pub(super) coding: Coding,
    /// Bytes that come out before the first number.
    pub(super) skipped: u64,
    pub(super) numbers: NumberType,
    /// Rows and columns; the numbers of a row follow each other.
    pub(super) shape: [usize; 2],
}

impl StreamPlace {
    /// How the matrix lies in its file, if its rows and columns are these: its chunks are as many whole rows as fit a block.
    pub(super) fn storage(&self, orientation: Orientation) -> Storage {
        let [rows, columns] = self.shape;
        let high = (BLOCK / columns.max(1)).clamp(1, rows.max(1));
        Storage {
            orientation,
            shape: self.shape,
            chunk: Some([high, columns.max(1)]),
            value_bytes: self.numbers.bytes,
        }
    }

    /// The bytes that come out up to the last number; nothing if these are more than can come out of the stream.
    fn end(&self) -> Option<u64> {
        /// Bytes that one byte of Deflate becomes, at most.
        const LARGEST_RATIO: u64 = 1032;
        let [rows, columns] = self.shape;
        let bytes = rows.checked_mul(columns)?.checked_mul(self.numbers.bytes)?;
        let end = self.skipped.checked_add(bytes as u64)?;
        let stored = self.stored.end.checked_sub(self.stored.start)?;
        let most = match self.coding {
            Coding::Deflate { length, .. } => length,
            Coding::Zlib => u64::MAX,
        };
        (end <= most && end <= stored.saturating_mul(LARGEST_RATIO)).then_some(end)
    }

    fn wrong(&self, found: String) -> InputError {
        InputError::File {
            path: self.path.clone(),
            what: "the compressed numbers that it states",
            found,
        }
    }

    fn failed(&self, error: &io::Error) -> InputError {
        self.wrong(match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                "compressed data that are damaged: copy the file again".to_owned()
            }
            io::ErrorKind::UnexpectedEof => {
                "compressed data that end too early: copy the file again".to_owned()
            }
            _ => error.to_string(),
        })
    }
}

/// A part of a file, read from its first byte on.
#[derive(Debug)]
pub(super) struct Section {
    file: File,
    left: Range<u64>,
}

impl Section {
    /// These bytes of a file.
    pub(super) fn new(file: File, bytes: Range<u64>) -> Self {
        Self { file, left: bytes }
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.end.saturating_sub(self.left.start);
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..most], self.left.start)?;
        self.left.start += read as u64;
        Ok(read)
    }
}

#[derive(Debug)]
enum Decoder {
    Deflate(DeflateDecoder<BufReader<Section>>),
    Zlib(ZlibDecoder<BufReader<Section>>),
}

/// What comes out of a stream, with the place reached in it.
#[derive(Debug)]
pub(super) struct Inflated {
    decoder: Decoder,
    place: u64,
    crc: Crc,
}

impl Inflated {
    /// The stream from its first byte on.
    pub(super) fn new(section: Section, coding: Coding) -> Self {
        let section = BufReader::with_capacity(BUFFER, section);
        Self {
            decoder: match coding {
                Coding::Deflate { .. } => Decoder::Deflate(DeflateDecoder::new(section)),
                Coding::Zlib => Decoder::Zlib(ZlibDecoder::new(section)),
            },
            place: 0,
            crc: Crc::new(),
        }
    }

    /// Passes over what comes before a place.
    fn skip_to(&mut self, place: u64, scratch: &mut Vec<u8>) -> io::Result<()> {
        while self.place < place {
            let step = (place - self.place).min(BUFFER as u64) as usize;
            scratch.resize(scratch.len().max(step), 0);
            self.read_exact(&mut scratch[..step])?;
        }
        Ok(())
    }

    /// Reads on to the end of the stream and compares length and checksum.
    fn finish(&mut self, coding: Coding, scratch: &mut Vec<u8>) -> io::Result<()> {
        scratch.resize(scratch.len().max(BUFFER), 0);
        while self.read(scratch)? > 0 {}
        match coding {
            Coding::Deflate { length, crc } if (length, crc) != (self.place, self.crc.sum()) => {
                Err(io::ErrorKind::InvalidData.into())
            }
            _ => Ok(()),
        }
    }
}

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.decoder {
            Decoder::Deflate(decoder) => {
                let read = decoder.read(buffer)?;
                self.crc.update(&buffer[..read]);
                read
            }
            Decoder::Zlib(decoder) => decoder.read(buffer)?,
        };
        self.place += read as u64;
        Ok(read)
    }
}

/// An open matrix.
#[derive(Debug)]
pub(super) struct Matrix {
    place: StreamPlace,
    storage: Storage,
    file: File,
    state: RefCell<State>,
}

/// The stream where reading has come to, and memory for what is not read straight to its place.
#[derive(Debug, Default)]
struct State {
    stream: Option<Inflated>,
    bytes: Vec<u8>,
    samples: Vec<f32>,
}

impl Matrix {
    /// Opens a matrix whose rows and columns are these.
    ///
    /// # Errors
    /// If the file cannot be read, its stream is too short for the matrix, or the matrix has no numbers.
    pub(super) fn open(place: &StreamPlace, orientation: Orientation) -> Result<Self, InputError> {
        let file = regular::open(&place.path).map_err(|error| place.failed(&error))?;
        let there = file.metadata().map_err(|error| place.failed(&error))?;
        let end = place.end().filter(|_| place.stored.end <= there.len());
        if place.shape.contains(&0) {
            return Err(place.wrong("an empty matrix".to_owned()));
        }
        if end.is_none() {
            let [rows, columns] = place.shape;
            return Err(place.wrong(format!(
                "too few bytes for {rows} rows and {columns} columns"
            )));
        }
        Ok(Self {
            storage: place.storage(orientation),
            place: place.clone(),
            file,
            state: RefCell::default(),
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

    /// Reads a piece and copies to each of `parts`, which have no sample in common, what belongs to it: in the file's units,
    /// rounded to f32.
    ///
    /// # Errors
    /// If the stream is damaged or cannot be read.
    pub(super) fn read(&self, piece: &Piece, parts: &mut [&mut Samples]) -> Result<(), InputError> {
        let [rows, _] = self.storage.orientation.axes(piece);
        let mut state = self.state.borrow_mut();
        let columns = self.place.shape[1];
        let block = [(BLOCK / columns).max(1), BLOCK];
        let read = tiles(rows, 0..columns, block, 0)
            .try_for_each(|block| self.read_block(block, parts, &mut state));
        if read.is_err() {
            state.stream = None;
        }
        read.map_err(|error| self.place.failed(&error))
    }

    /// Reads a block straight to where it belongs, if that is one place in one part, or by way of the scratch memory.
    fn read_block(
        &self,
        [rows, columns]: [Range<usize>; 2],
        parts: &mut [&mut Samples],
        state: &mut State,
    ) -> io::Result<()> {
        let place = &self.place;
        let numbers = place.numbers;
        let number = (rows.start * place.shape[1] + columns.start) as u64;
        let start = place.skipped + number * numbers.bytes as u64;
        let State {
            stream,
            bytes,
            samples,
        } = state;
        if stream.as_ref().is_none_or(|stream| stream.place > start) {
            let section = Section::new(self.file.try_clone()?, place.stored.clone());
            *stream = Some(Inflated::new(section, place.coding));
        }
        let Some(stream) = stream else {
            return Ok(());
        };
        stream.skip_to(start, bytes)?;
        let count = rows.len() * columns.len();
        let is_last = rows.end == place.shape[0] && columns.end == place.shape[1];
        let mut places = parts
            .iter_mut()
            .filter(|_| numbers.is_own_f32())
            .filter_map(|part| part.place(&rows, &columns));
        if let Some(to) = places.next() {
            stream.read_exact(bytemuck::cast_slice_mut(to))?;
        } else {
            bytes.resize(count * numbers.bytes, 0);
            samples.resize(count, 0.0);
            stream.read_exact(bytes)?;
            numbers.round(bytes, samples);
            let block = Block {
                rows,
                stride: columns.len(),
                columns,
                values: samples,
            };
            parts.iter_mut().for_each(|part| part.put(&block));
        }
        match is_last {
            true => stream.finish(place.coding, bytes),
            false => Ok(()),
        }
    }
}

/// The numbers of a small matrix, row by row.
///
/// # Errors
/// As [`Matrix::open`], or if there are more than `most` or the stream is damaged.
pub(super) fn read_values(place: &StreamPlace, most: usize) -> Result<Vec<f64>, InputError> {
    let [rows, columns] = place.shape;
    let count = rows.saturating_mul(columns);
    if count > most {
        return Err(place.wrong(format!("{count} numbers, where at most {most} are read")));
    }
    let matrix = Matrix::open(place, Orientation::FramesByNeurons)?;
    let section = Section::new(matrix.file, place.stored.clone());
    let mut stream = Inflated::new(section, place.coding);
    let mut scratch = Vec::new();
    let mut bytes = vec![0; count * place.numbers.bytes];
    let read = stream
        .skip_to(place.skipped, &mut scratch)
        .and_then(|()| stream.read_exact(&mut bytes))
        .and_then(|()| stream.finish(place.coding, &mut scratch));
    read.map_err(|error| place.failed(&error))?;
    Ok(place.numbers.values(&bytes))
}

#[cfg(test)]
mod tests;
