//! Decompresses chunks in the format of Blosc 1, which Zarr writes: blocks of a chunk are compressed one by one, most often with the
//! first bytes of all numbers first, then the second ones.
//!
//! All lengths that a chunk states are checked here, in Rust, before anything is read or written by them.

use super::decode::{Decoders, inflate_zlib};
use super::shuffle::{unshuffle, unshuffle_bits};

/// Bytes before the starts of the blocks.
const HEADER: usize = 16;
/// The version of the format.
const VERSION: u8 = 2;
const SHUFFLED: u8 = 1;
const COPIED: u8 = 2;
const BITS_SHUFFLED: u8 = 4;
const UNKNOWN: u8 = 8;
const NOT_SPLIT: u8 = 16;
/// Numbers of more bytes are not split into their bytes.
const MAX_SPLITS: usize = 16;
/// Blocks of fewer numbers are not split.
const MIN_SPLIT: usize = 128;

/// What the header of a chunk says.
struct Header {
    flags: u8,
    type_bytes: usize,
    bytes: usize,
    block: usize,
}

impl Header {
    /// Reads it, and cuts what follows the chunk off.
    fn read(chunk: &[u8]) -> Result<(Self, &[u8]), String> {
        let short = || format!("only {} bytes of a blosc chunk", chunk.len());
        let fixed = chunk.first_chunk::<HEADER>().ok_or_else(short)?;
        let word = |at: usize| le_u32(&fixed[at..]).unwrap_or(0);
        let [bytes, block, stored] = [word(4), word(8), word(12)];
        if fixed[0] != VERSION {
            return Err(format!("version {} of the blosc format", fixed[0]));
        }
        if fixed[2] & UNKNOWN != 0 || fixed[3] == 0 {
            return Err("a blosc header with unknown flags".to_owned());
        }
        let chunk = chunk
            .get(..stored)
            .ok_or_else(|| format!("{} bytes of a blosc chunk that says {stored}", chunk.len()))?;
        let header = Self {
            flags: fixed[2],
            type_bytes: usize::from(fixed[3]),
            bytes,
            block,
        };
        if stored < HEADER || bytes > 0 && !(1..=bytes).contains(&block) {
            return Err(format!("a blosc header with blocks of {block} bytes"));
        }
        Ok((header, chunk))
    }
}

/// Decompresses a chunk that has to be exactly as long as `bytes`.
///
/// # Errors
/// What is wrong with the chunk, as found.
pub(super) fn decompress(
    chunk: &[u8],
    bytes: &mut [u8],
    decoders: &mut Decoders,
) -> Result<(), String> {
    let (header, chunk) = Header::read(chunk)?;
    if header.bytes != bytes.len() {
        return Err(format!(
            "a blosc chunk of {} bytes instead of {}",
            header.bytes,
            bytes.len()
        ));
    }
    if header.flags & COPIED != 0 {
        let stored = &chunk[HEADER..];
        if stored.len() != bytes.len() {
            return Err(format!("{} bytes of a copied blosc chunk", stored.len()));
        }
        bytes.copy_from_slice(stored);
        return Ok(());
    }
    let mut shuffled = std::mem::take(&mut decoders.block);
    shuffled.resize(header.block.min(bytes.len()), 0);
    let blocks = bytes.chunks_mut(header.block.max(1)).enumerate();
    let mut done = Ok(());
    for (place, block) in blocks {
        let start = le_u32(chunk.get(HEADER + 4 * place..).unwrap_or_default());
        let from = start.and_then(|start| chunk.get(start..));
        let shuffled = &mut shuffled[..block.len()];
        done = from
            .and_then(|from| read_block(&header, from, shuffled, block, decoders))
            .ok_or_else(|| format!("a damaged blosc chunk (block {place})"));
        if done.is_err() {
            break;
        }
    }
    decoders.block = shuffled;
    done
}

/// Decompresses one block, by way of `shuffled`.
fn read_block(
    header: &Header,
    mut from: &[u8],
    shuffled: &mut [u8],
    block: &mut [u8],
    decoders: &mut Decoders,
) -> Option<()> {
    let (flags, type_bytes) = (header.flags, header.type_bytes);
    let bytes_shuffled = flags & SHUFFLED != 0 && type_bytes > 1;
    let bits_shuffled = flags & BITS_SHUFFLED != 0 && block.len() >= type_bytes;
    let split = flags & NOT_SPLIT == 0
        && type_bytes <= MAX_SPLITS
        && block.len() / type_bytes >= MIN_SPLIT
        && block.len() == header.block;
    let splits = if split { type_bytes } else { 1 };
    let length = block.len() / splits;
    let in_order = !(bytes_shuffled || bits_shuffled);
    {
        let to = if in_order {
            &mut *block
        } else {
            &mut *shuffled
        };
        for to in to.chunks_exact_mut(length.max(1)).take(splits) {
            let stored = le_u32(from)?;
            let compressed = from[4..].get(..stored)?;
            from = &from[4 + stored..];
            match stored == to.len() {
                true => to.copy_from_slice(compressed),
                false => decompress_part(flags >> 5, compressed, to, decoders)?,
            }
        }
    }
    if bytes_shuffled {
        unshuffle(shuffled, block, type_bytes);
    } else if bits_shuffled {
        unshuffle_bits(shuffled, block, type_bytes, &mut decoders.planes);
    }
    Some(())
}

/// Decompresses a part of a block in one of the formats of Blosc.
fn decompress_part(
    format: u8,
    compressed: &[u8],
    to: &mut [u8],
    decoders: &mut Decoders,
) -> Option<()> {
    match format {
        0 => blosclz(compressed, to),
        1 => {
            let length = lz4_flex::block::decompress_into(compressed, to).ok()?;
            (length == to.len()).then_some(())
        }
        3 => inflate_zlib(compressed, to).ok(),
        4 => decoders.zstd(compressed, to).ok(),
        _ => None,
    }
}

/// A little-endian number of 4 bytes.
fn le_u32(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

/// Decompresses BloscLZ to exactly the length of `to`: runs of literals, and matches with what is there already.
fn blosclz(from: &[u8], to: &mut [u8]) -> Option<()> {
    /// The nearest distance that takes two more bytes.
    const FAR: usize = 8191;
    let mut from = Bytes(from);
    let mut filled = 0;
    let mut control = from.next()? & 31;
    loop {
        if control < 32 {
            let literals = from.take(control + 1)?;
            to.get_mut(filled..filled + literals.len())?
                .copy_from_slice(literals);
            filled += literals.len();
        } else {
            let mut length = (control >> 5) + 2;
            if length == 9 {
                length += from.sum()?;
            }
            let high = (control & 31) << 8;
            let low = from.next()?;
            let mut distance = high + low + 1;
            if distance == FAR + 1 {
                distance += (from.next()? << 8) + from.next()?;
            }
            copy_match(to, filled, distance, length)?;
            filled += length;
        }
        match from.next() {
            Some(following) => control = following,
            None => return (filled == to.len()).then_some(()),
        }
    }
}

/// Compressed bytes that were not read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn next(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*first))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The sum of the bytes up to the first that is not 255.
    fn sum(&mut self) -> Option<usize> {
        let count = self.0.iter().position(|byte| *byte != 255)? + 1;
        let counted = self.take(count)?;
        Some(counted.iter().map(|byte| usize::from(*byte)).sum())
    }
}

/// Repeats `length` bytes that lie `distance` before the end of what is filled.
fn copy_match(to: &mut [u8], filled: usize, distance: usize, length: usize) -> Option<()> {
    let start = filled.checked_sub(distance)?;
    let end = filled.checked_add(length).filter(|end| *end <= to.len())?;
    if distance == 1 {
        let byte = to[start];
        to[filled..end].fill(byte);
    } else if distance >= length {
        to.copy_within(start..start + length, filled);
    } else {
        for place in filled..end {
            to[place] = to[place - distance];
        }
    }
    Some(())
}
