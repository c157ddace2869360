//! MAT-file 5 ("Level 5 MAT-file format", MathWorks), plain and compressed, in either byte order.
//!
//! ```text
//! file     = header (128 bytes) element*
//! element  = tag (type, size) data padding            type miMATRIX, or miCOMPRESSED: a zlib stream of one miMATRIX
//! miMATRIX = flags dims name content                  content by class: numbers | cells | field names and fields | …
//! ```
//! The file is read as a stream: variables and fields that are not asked for are passed over without being held.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use flate2::read::ZlibDecoder;

use super::element::{ByteOrder, Storage, Stream, damaged};
use super::{Array, MatError, Numeric};
use crate::hdf5_access::name_list;

/// Which fields of structs to read, by name, at any depth; the others become [`Array::Other`].
pub type FieldFilter<'a> = &'a dyn Fn(&str) -> bool;

/// Bytes of a file before its first element.
pub(super) const HEADER: usize = 128;
/// Deepest nesting of cells and structs that is followed.
const MAX_DEPTH: usize = 32;
/// Most numbers, cells and fields that are held: positions of ten million cells, some 300 MB.
const MAX_VALUES: usize = 40_000_000;
const MAX_DIMS_BYTES: u64 = 4 * 64;
const MAX_NAME_BYTES: u64 = 4096;
const MAX_FIELD_NAME_BYTES: u64 = 1 << 20;

/// Reads the variable `name` of a MAT-file 5.
///
/// # Errors
/// If the file cannot be read, is damaged, or has no such variable.
pub fn read_variable<R: Read + Seek>(
    file: &mut R,
    name: &'static str,
    wanted: FieldFilter,
) -> Result<Array, MatError> {
    let io = |e: std::io::Error| MatError::Io(e.to_string());
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let order = byte_order(file)?;
    let mut others = Vec::new();
    let mut place = HEADER as u64;
    while place < length {
        let (storage, bytes) = next_element(file, place, length, order)?;
        let size = bytes.end - bytes.start;
        let mut data = file.by_ref().take(size);
        let found = match storage {
            Storage::Matrix => variable(&mut Stream::new(&mut data, order), size, name, wanted)?,
            Storage::Compressed => compressed_variable(&mut data, order, name, wanted)?,
            _ => Variable::Unnamed,
        };
        match found {
            Variable::Found(array) => return Ok(array),
            Variable::Named(other) => others.push(other),
            Variable::Unnamed => {}
        }
        place = bytes.end;
        file.seek(SeekFrom::Start(place)).map_err(io)?;
    }
    Err(MatError::NoVariable {
        name,
        found: name_list(others.into_iter(), "no variable at all"),
    })
}

/// The byte order of a file, which is read up to its first element.
pub(super) fn byte_order(file: &mut impl Read) -> Result<ByteOrder, MatError> {
    let mut header = [0u8; HEADER];
    file.read_exact(&mut header)
        .map_err(|_| damaged("no complete header"))?;
    Ok(match header.ends_with(b"MI") {
        true => ByteOrder::Big,
        false => ByteOrder::Little,
    })
}

/// Whether a file that begins like this is a MAT-file 5.
pub(super) fn has_version_5(start: &[u8]) -> bool {
    matches!(
        start.get(HEADER - 4..HEADER),
        Some([0, 1, b'I', b'M'] | [1, 0, b'M', b'I'])
    )
}

/// How the element at a place of the file is stored, and the bytes of its data, which lie in the file.
pub(super) fn next_element<R: Read + Seek>(
    file: &mut R,
    place: u64,
    length: u64,
    order: ByteOrder,
) -> Result<(Storage, Range<u64>), MatError> {
    const TAG: u64 = 8;
    let truncated = |at, expected, left| MatError::Truncated { at, expected, left };
    let left = length - place;
    if left < TAG {
        return Err(truncated(place, TAG, left));
    }
    let tag = Stream::new(file, order).tag(u64::MAX)?;
    let (at, left) = (place + TAG, left - TAG);
    match tag.size <= left {
        true => Ok((tag.storage, at..at + tag.size)),
        false => Err(truncated(at, tag.size, left)),
    }
}

enum Variable {
    /// The one asked for.
    Found(Array),
    /// Another one.
    Named(String),
    /// An element that is no variable.
    Unnamed,
}

fn compressed_variable(
    data: &mut dyn Read,
    order: ByteOrder,
    name: &str,
    wanted: FieldFilter,
) -> Result<Variable, MatError> {
    let mut inflated = ZlibDecoder::new(data);
    let mut stream = Stream::new(&mut inflated, order);
    let tag = stream.tag(u64::MAX)?;
    if tag.storage != Storage::Matrix {
        return Err(damaged("a compressed element that holds no array"));
    }
    let end = stream.position() + tag.size;
    let found = variable(&mut stream, end, name, wanted)?;
    if matches!(found, Variable::Found(_)) {
        // At the end of the stream its checksum is compared: a flipped bit is an error, not a wrong position.
        std::io::copy(&mut inflated, &mut std::io::sink())
            .map_err(|_| damaged("compressed data whose checksum is wrong"))?;
    }
    Ok(found)
}

/// Reads the array that ends at `end` if it has the name asked for.
fn variable(
    stream: &mut Stream,
    end: u64,
    name: &str,
    wanted: FieldFilter,
) -> Result<Variable, MatError> {
    if end == stream.position() {
        return Ok(Variable::Unnamed);
    }
    let mut reader = ArrayReader {
        stream,
        wanted,
        values_left: MAX_VALUES,
    };
    let header = Header::read(reader.stream, end)?;
    if header.name != name {
        return Ok(Variable::Named(header.name));
    }
    reader.content(header, end, 0).map(Variable::Found)
}

/// Flags, dimensions and name of an array.
pub(super) struct Header {
    class: u32,
    complex: bool,
    logical: bool,
    pub(super) dims: Vec<usize>,
    pub(super) name: String,
}

impl Header {
    /// Number of elements.
    pub(super) fn count(&self) -> Result<usize, MatError> {
        let product = self
            .dims
            .iter()
            .try_fold(1usize, |product, &dim| product.checked_mul(dim));
        product.ok_or_else(|| damaged("an array with an impossible number of elements"))
    }

    /// What the array is, if it is none of real numbers.
    pub(super) fn kind_instead_of_numbers(&self) -> Result<Option<&'static str>, MatError> {
        Ok(Some(match self.class {
            1 => "cell",
            2 => "struct",
            6..=15 if self.complex => "complex",
            6..=15 if self.logical => "logical",
            6..=15 => return Ok(None),
            3 => "object",
            4 => "char",
            5 => "sparse",
            16 => "function handle",
            OPAQUE => "MATLAB object (table, string or other class)",
            _ => return Err(damaged("an array of an unknown class")),
        }))
    }

    /// Reads the header of an array that ends at `end`.
    pub(super) fn read(stream: &mut Stream, end: u64) -> Result<Self, MatError> {
        let tag = stream.tag(end)?;
        if tag.storage != Storage::Uint32 || tag.size != 8 {
            return Err(damaged("an array without its flags"));
        }
        let flags = stream
            .numbers(&tag, end, 2)?
            .first()
            .map_or(0, |&word| word as u32);
        let class = flags & 0xff;
        let mut dims = Vec::new();
        // An opaque object (table, string, datetime, …) has no dimensions here.
        if class != OPAQUE {
            let tag = stream.tag(end)?;
            if tag.storage != Storage::Int32 || tag.size > MAX_DIMS_BYTES || tag.size < 8 {
                return Err(damaged("an array without its dimensions"));
            }
            for dim in stream.numbers(&tag, end, tag.size as usize / 4)? {
                dims.push(
                    usize::try_from(dim as i64)
                        .map_err(|_| damaged("an array with a negative dimension"))?,
                );
            }
        }
        let tag = stream.tag(end)?;
        let name = String::from_utf8_lossy(&stream.bytes(&tag, end, MAX_NAME_BYTES)?).into_owned();
        Ok(Header {
            class,
            complex: flags & 0x0800 != 0,
            logical: flags & 0x0200 != 0,
            dims,
            name,
        })
    }
}

struct ArrayReader<'s, 'a, 'w> {
    stream: &'s mut Stream<'a>,
    wanted: FieldFilter<'w>,
    values_left: usize,
}

impl ArrayReader<'_, '_, '_> {
    /// Reads what follows the header of the array that ends at `end`, and leaves the stream there.
    fn content(&mut self, header: Header, end: u64, depth: usize) -> Result<Array, MatError> {
        if depth > MAX_DEPTH {
            return Err(damaged("cells and structs nested too deeply"));
        }
        let kind = match header.class {
            1 => return self.cells(header, end, depth),
            2 => return self.structs(header, end, depth),
            _ => header.kind_instead_of_numbers()?,
        };
        let Some(kind) = kind else {
            return self.numeric(header, end);
        };
        self.stream.skip_to(end)?;
        Ok(Array::Other {
            kind,
            dims: header.dims,
        })
    }

    fn numeric(&mut self, header: Header, end: u64) -> Result<Array, MatError> {
        let count = header.count()?;
        self.spend(count)?;
        // Some writers leave the data element of an empty array out.
        let values = if count == 0 {
            Vec::new()
        } else {
            let tag = self.stream.tag(end)?;
            self.stream.numbers(&tag, end, count)?
        };
        self.stream.skip_to(end)?;
        Ok(Array::Numeric(Numeric {
            dims: header.dims,
            values,
        }))
    }

    fn cells(&mut self, header: Header, end: u64, depth: usize) -> Result<Array, MatError> {
        let count = header.count()?;
        self.spend(count)?;
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(self.nested(end, depth, true)?);
        }
        self.stream.skip_to(end)?;
        Ok(Array::Cell {
            dims: header.dims,
            elements,
        })
    }

    fn structs(&mut self, header: Header, end: u64, depth: usize) -> Result<Array, MatError> {
        let count = header.count()?;
        let mut fields: Vec<(String, Vec<Array>)> = self
            .field_names(end)?
            .into_iter()
            .map(|name| (name, Vec::new()))
            .collect();
        self.spend(count.saturating_mul(fields.len()))?;
        let rounds = if fields.is_empty() { 0 } else { count };
        for _ in 0..rounds {
            for (name, arrays) in &mut fields {
                let read = (self.wanted)(name);
                arrays.push(self.nested(end, depth, read)?);
            }
        }
        self.stream.skip_to(end)?;
        Ok(Array::Struct {
            dims: header.dims,
            fields,
        })
    }

    /// The names of the fields of a struct, each stored in the same number of bytes.
    fn field_names(&mut self, end: u64) -> Result<Vec<String>, MatError> {
        let tag = self.stream.tag(end)?;
        if tag.storage != Storage::Int32 || tag.size != 4 {
            return Err(damaged("a struct without the length of its field names"));
        }
        let length = self
            .stream
            .numbers(&tag, end, 1)?
            .first()
            .map_or(0, |&length| length as usize);
        let tag = self.stream.tag(end)?;
        let bytes = self.stream.bytes(&tag, end, MAX_FIELD_NAME_BYTES)?;
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        if length == 0 || bytes.len() % length != 0 {
            return Err(damaged("a struct with damaged field names"));
        }
        let name = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes.split(|&b| b == 0).next().unwrap_or_default())
                .into_owned()
        };
        Ok(bytes.chunks_exact(length).map(name).collect())
    }

    /// Reads, or passes over, one array within a cell array or struct that ends at `outer_end`.
    fn nested(&mut self, outer_end: u64, depth: usize, read: bool) -> Result<Array, MatError> {
        let tag = self.stream.tag(outer_end)?;
        if tag.storage != Storage::Matrix {
            return Err(damaged("a cell or field that is no array"));
        }
        if tag.size == 0 {
            return Ok(Array::Numeric(Numeric {
                dims: vec![0, 0],
                values: Vec::new(),
            }));
        }
        let end = self.stream.position() + tag.size;
        if !read {
            self.stream.skip_to(end)?;
            return Ok(Array::Other {
                kind: "array that was not read",
                dims: Vec::new(),
            });
        }
        let header = Header::read(self.stream, end)?;
        self.content(header, end, depth + 1)
    }

    /// Counts what is held, so that a damaged or hostile file cannot claim the machine's memory.
    fn spend(&mut self, values: usize) -> Result<(), MatError> {
        self.values_left = self.values_left.checked_sub(values).ok_or_else(|| {
            MatError::Damaged(format!(
                "an array with {values} elements, where at most {MAX_VALUES} in all are read"
            ))
        })?;
        Ok(())
    }
}

const OPAQUE: u32 = 17;
