//! Which arrays of numbers the variables of a MAT-file 5 are, and where their numbers lie.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use flate2::read::ZlibDecoder;

use super::MatError;
use super::element::{ByteOrder, Storage, Stream, damaged};
use super::mat5::{self, HEADER, Header};
use crate::input::number_type::NumberType;
use crate::regular;

/// Bytes read from the disk at a time: of most variables only the beginning is needed.
const BUFFER: usize = 4 << 10;
/// Variables that are looked at, at most.
const MOST_VARIABLES: usize = 1 << 16;

/// A variable of a MAT-file 5.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::input) struct Variable {
    pub(in crate::input) name: String,
    /// MATLAB's dimensions.
    pub(in crate::input) dims: Vec<usize>,
    /// Where its numbers lie, in column-major order, or the kind of array that it is instead.
    pub(in crate::input) numbers: Result<Numbers, &'static str>,
}

/// Where the numbers of a variable lie.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::input) struct Numbers {
    /// The type in which they are stored, which may be smaller than that of the array.
    pub(in crate::input) kind: NumberType,
    /// The byte at which they begin: of the file, or of what comes out of the compressed stream.
    pub(in crate::input) start: u64,
    /// The bytes of the file that are a stream of zlib with the variable, if it is compressed.
    pub(in crate::input) stream: Option<Range<u64>>,
}

/// Whether a file is a MAT-file 5 by its header.
pub(in crate::input) fn is_mat5(path: &Path) -> bool {
    let read = || {
        let mut header = [0; HEADER];
        regular::open(path)?.read_exact(&mut header)?;
        Ok::<_, std::io::Error>(mat5::has_version_5(&header))
    };
    read().unwrap_or(false)
}

/// The variables of a MAT-file 5.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub(in crate::input) fn variables(path: &Path) -> Result<Vec<Variable>, MatError> {
    let io = |error: std::io::Error| MatError::Io(error.to_string());
    let file = regular::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut file = BufReader::with_capacity(BUFFER, file);
    let order = mat5::byte_order(&mut file)?;
    let mut variables = Vec::new();
    let mut place = HEADER as u64;
    while place < length {
        let (storage, data) = mat5::next_element(&mut file, place, length, order)?;
        variables.extend(match storage {
            Storage::Matrix => {
                let at = data.start;
                let end = data.end - data.start;
                variable(&mut Stream::new(&mut file, order), end, at, None)?
            }
            Storage::Compressed => compressed(&mut file, order, &data)?,
            _ => None,
        });
        if variables.len() > MOST_VARIABLES {
            return Err(damaged("tens of thousands of variables"));
        }
        place = data.end;
        file.seek(SeekFrom::Start(place)).map_err(io)?;
    }
    Ok(variables)
}

fn compressed(
    file: &mut BufReader<File>,
    order: ByteOrder,
    data: &Range<u64>,
) -> Result<Option<Variable>, MatError> {
    let mut inflated = ZlibDecoder::new(file.take(data.end - data.start));
    let mut stream = Stream::new(&mut inflated, order);
    let tag = stream.tag(u64::MAX)?;
    if tag.storage != Storage::Matrix {
        return Err(damaged("a compressed element that holds no array"));
    }
    let end = stream.position() + tag.size;
    variable(&mut stream, end, 0, Some(data.clone()))
}

/// The variable that ends at `end` of a stream whose first byte is byte `first` of the file or of what comes out of the compressed stream.
fn variable(
    stream: &mut Stream,
    end: u64,
    first: u64,
    compressed: Option<Range<u64>>,
) -> Result<Option<Variable>, MatError> {
    if end == stream.position() {
        return Ok(None);
    }
    let header = Header::read(stream, end)?;
    let numbers = numbers(stream, &header, end, first)?;
    Ok(Some(Variable {
        numbers: numbers.map(|(kind, start)| Numbers {
            kind,
            start,
            stream: compressed,
        }),
        name: header.name,
        dims: header.dims,
    }))
}

/// Type and place of the numbers of an array whose header was read, or what it is instead.
fn numbers(
    stream: &mut Stream,
    header: &Header,
    end: u64,
    first: u64,
) -> Result<Result<(NumberType, u64), &'static str>, MatError> {
    if let Some(kind) = header.kind_instead_of_numbers()? {
        return Ok(Err(kind));
    }
    let count = header.count()?;
    if count == 0 {
        return Ok(Err("empty"));
    }
    let tag = stream.tag(end)?;
    let kind = tag.storage.numbers(stream.order);
    let kind = kind.ok_or_else(|| damaged("text or an array where numbers should be"))?;
    match count.checked_mul(kind.bytes) {
        Some(bytes) if bytes as u64 == tag.size => {
            Ok(Ok((kind, first + stream.place_of_data(&tag))))
        }
        _ => Err(damaged(
            "more or fewer numbers than the dimensions of the array say",
        )),
    }
}
