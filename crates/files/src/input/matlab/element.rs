//! Data elements of a MAT-file 5: tags, padding, and numbers in whatever type they are stored.
//!
//! Nothing here trusts a length in the file: every read is checked against the end of the element it belongs to, and
//! memory grows with the bytes that are really there.

use std::io::Read;

use super::MatError;
use crate::hdf5_access::NumberKind;
use crate::input::number_type::NumberType;

/// How the bytes of a number follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// Storage types of data elements (`miINT8`, …).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Single,
    Double,
    Int64,
    Uint64,
    Matrix,
    Compressed,
    /// Text (`miUTF8`, …) and types that the format reserves.
    Other,
}

impl Storage {
    pub(super) fn from_code(code: u32) -> Storage {
        match code {
            1 => Storage::Int8,
            2 => Storage::Uint8,
            3 => Storage::Int16,
            4 => Storage::Uint16,
            5 => Storage::Int32,
            6 => Storage::Uint32,
            7 => Storage::Single,
            9 => Storage::Double,
            12 => Storage::Int64,
            13 => Storage::Uint64,
            14 => Storage::Matrix,
            15 => Storage::Compressed,
            _ => Storage::Other,
        }
    }

    /// The type of the numbers in this byte order, or `None` where the type holds no numbers.
    pub(super) fn numbers(self, order: ByteOrder) -> Option<NumberType> {
        let kind = match self {
            Storage::Int8 => NumberKind::I8,
            Storage::Uint8 => NumberKind::U8,
            Storage::Int16 => NumberKind::I16,
            Storage::Uint16 => NumberKind::U16,
            Storage::Int32 => NumberKind::I32,
            Storage::Uint32 => NumberKind::U32,
            Storage::Single => NumberKind::F32,
            Storage::Double => NumberKind::F64,
            Storage::Int64 => NumberKind::I64,
            Storage::Uint64 => NumberKind::U64,
            Storage::Matrix | Storage::Compressed | Storage::Other => return None,
        };
        Some(NumberType {
            big_endian: order == ByteOrder::Big,
            ..NumberType::little_endian(kind)
        })
    }

    /// Bytes of one number, or `None` where the type holds no numbers.
    fn width(self) -> Option<usize> {
        match self {
            Storage::Int8 | Storage::Uint8 => Some(1),
            Storage::Int16 | Storage::Uint16 => Some(2),
            Storage::Int32 | Storage::Uint32 | Storage::Single => Some(4),
            Storage::Double | Storage::Int64 | Storage::Uint64 => Some(8),
            Storage::Matrix | Storage::Compressed | Storage::Other => None,
        }
    }
}

/// The tag of a data element, with the data itself where the element is a small one.
pub(super) struct Tag {
    pub(super) storage: Storage,
    /// Bytes of data, without padding.
    pub(super) size: u64,
    small: Option<[u8; 4]>,
}

/// A run of bytes, in the file or inflated, with the place reached in it.
pub(super) struct Stream<'a> {
    source: &'a mut dyn Read,
    pub(super) order: ByteOrder,
    position: u64,
}

/// Bytes read at a time: bounds the memory that a wrong length can claim.
const STEP: usize = 64 * 1024;

impl<'a> Stream<'a> {
    pub(super) fn new(source: &'a mut dyn Read, order: ByteOrder) -> Stream<'a> {
        Stream {
            source,
            order,
            position: 0,
        }
    }

    /// The place of the data of the element whose tag was read last.
    pub(super) fn place_of_data(&self, tag: &Tag) -> u64 {
        match tag.small {
            Some(data) => self.position - data.len() as u64,
            None => self.position,
        }
    }

    /// Bytes taken from the stream so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Fills `buffer` from the element that ends at `end`.
    fn fill(&mut self, buffer: &mut [u8], end: u64) -> Result<(), MatError> {
        let after = self.position.saturating_add(buffer.len() as u64);
        if after > end {
            return Err(damaged("an element that reaches beyond the one it is in"));
        }
        self.source
            .read_exact(buffer)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    damaged("data that breaks off within an element")
                }
                std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                    damaged("compressed data that cannot be inflated")
                }
                _ => MatError::Io(error.to_string()),
            })?;
        self.position = after;
        Ok(())
    }

    /// Passes over everything up to `end`, a little at a time.
    pub(super) fn skip_to(&mut self, end: u64) -> Result<(), MatError> {
        let mut scratch = [0u8; 16 * 1024];
        while self.position < end {
            let step = (end - self.position).min(scratch.len() as u64) as usize;
            if let Some(part) = scratch.get_mut(..step) {
                self.fill(part, end)?;
            }
        }
        Ok(())
    }

    /// Reads a tag; the data of a full-size element must end at or before `end`.
    pub(super) fn tag(&mut self, end: u64) -> Result<Tag, MatError> {
        let mut bytes = [0u8; 8];
        self.fill(&mut bytes, end)?;
        let [a, b, c, d, data @ ..] = bytes;
        let (first, second) = (self.u32([a, b, c, d]), self.u32(data));
        if first >> 16 != 0 {
            let size = u64::from(first >> 16);
            return match size {
                0..=4 => Ok(Tag {
                    storage: Storage::from_code(first & 0xffff),
                    size,
                    small: Some(data),
                }),
                _ => Err(damaged("a small data element of more than four bytes")),
            };
        }
        let tag = Tag {
            storage: Storage::from_code(first),
            size: u64::from(second),
            small: None,
        };
        if tag.size > end.saturating_sub(self.position) {
            return Err(damaged("an element that reaches beyond the one it is in"));
        }
        Ok(tag)
    }

    /// Reads the data of an element, at most `limit` bytes, and its padding.
    pub(super) fn bytes(&mut self, tag: &Tag, end: u64, limit: u64) -> Result<Vec<u8>, MatError> {
        if tag.size > limit {
            return Err(damaged("a name or a list of dimensions that is too long"));
        }
        let mut data = Vec::new();
        self.data_steps(tag, end, |part| data.extend_from_slice(part))?;
        Ok(data)
    }

    /// Reads the data of an element as exactly `count` numbers, and its padding.
    pub(super) fn numbers(
        &mut self,
        tag: &Tag,
        end: u64,
        count: usize,
    ) -> Result<Vec<f64>, MatError> {
        let Some(width) = tag.storage.width() else {
            return Err(damaged("text or an array where numbers should be"));
        };
        if Some(tag.size) != (count as u64).checked_mul(width as u64) {
            return Err(damaged(
                "more or fewer numbers than the dimensions of the array say",
            ));
        }
        let (storage, order) = (tag.storage, self.order);
        let mut numbers = Vec::new();
        // STEP is a multiple of every width, so no number is cut.
        self.data_steps(tag, end, |part| {
            numbers.extend(
                part.chunks_exact(width)
                    .map(|word| decode(word, storage, order)),
            )
        })?;
        Ok(numbers)
    }

    /// Passes the data of an element to `take`, a step at a time, then passes over the padding to a multiple of eight bytes.
    fn data_steps(
        &mut self,
        tag: &Tag,
        end: u64,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), MatError> {
        if let Some(small) = tag.small {
            take(small.get(..tag.size as usize).unwrap_or(&small));
            return Ok(());
        }
        let mut buffer = vec![0u8; STEP.min(tag.size as usize)];
        let mut left = tag.size;
        while left > 0 {
            let step = left.min(STEP as u64) as usize;
            if let Some(part) = buffer.get_mut(..step) {
                self.fill(part, end)?;
                take(part);
            }
            left -= step as u64;
        }
        let padding = (8 - tag.size % 8) % 8;
        self.skip_to((self.position + padding).min(end))
    }

    fn u32(&self, bytes: [u8; 4]) -> u32 {
        match self.order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// One number; `word` has the width of `storage`.
fn decode(word: &[u8], storage: Storage, order: ByteOrder) -> f64 {
    // Widened to eight little-endian bytes, whatever the order in the file.
    let mut wide = [0u8; 8];
    for (to, from) in wide.iter_mut().zip(word) {
        *to = *from;
    }
    if let (ByteOrder::Big, Some(used)) = (order, wide.get_mut(..word.len())) {
        used.reverse();
    }
    let bits = u64::from_le_bytes(wide);
    match storage {
        Storage::Int8 => f64::from(bits as i8),
        Storage::Int16 => f64::from(bits as i16),
        Storage::Int32 => f64::from(bits as i32),
        Storage::Single => f64::from(f32::from_bits(bits as u32)),
        Storage::Double => f64::from_bits(bits),
        Storage::Int64 => bits as i64 as f64,
        Storage::Uint8 | Storage::Uint16 | Storage::Uint32 | Storage::Uint64 => bits as f64,
        Storage::Matrix | Storage::Compressed | Storage::Other => f64::NAN,
    }
}

/// An error about the content of the file.
pub(super) fn damaged(what: &str) -> MatError {
    MatError::Damaged(what.to_owned())
}
