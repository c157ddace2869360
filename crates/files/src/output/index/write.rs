//! Writes where the chunks of a dataset lie into the index that HDF5 has laid out, and the end of the file into its superblock.
//!
//! A *fixed array* has a header and a data block: which pages there are (one bit each), then the pages, of 1,024 entries each, and a
//! checksum after each of the two. An entry is the address of a chunk, its bytes, and a bit for each filter that was skipped.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::lookup3::lookup3;
use super::{FixedArray, StoredChunk};

/// Where the end of the file stands in superblocks 2 and 3, and the bytes of the whole superblock.
const END_OF_FILE: usize = 28;
const SUPERBLOCK_BYTES: usize = 48;

/// Writes all entries of an index, then the end of the file.
///
/// # Errors
/// The system's reason; another number of chunks than the index has; a chunk that is too long for the index.
pub(in crate::output) fn write(
    file: &File,
    index: &FixedArray,
    chunks: &[StoredChunk],
    end_of_file: u64,
) -> io::Result<()> {
    for (address, bytes) in blocks(file, index, chunks, end_of_file)? {
        file.write_all_at(&bytes, address)?;
    }
    Ok(())
}

/// What [`write`] writes, in this order: addresses and bytes.
pub(in crate::output) fn blocks(
    file: &File,
    index: &FixedArray,
    chunks: &[StoredChunk],
    end_of_file: u64,
) -> io::Result<[(u64, Vec<u8>); 2]> {
    if chunks.len() != index.chunks {
        return Err(io::Error::other(
            "another number of chunks than the index has",
        ));
    }
    let longest = 1_u64
        .checked_shl(8 * index.length_bytes as u32)
        .unwrap_or(u64::MAX);
    if chunks.iter().any(|chunk| chunk.bytes >= longest) {
        return Err(io::Error::other("a chunk that is too long for the index"));
    }
    let mut superblock = vec![0; SUPERBLOCK_BYTES - 4];
    file.read_exact_at(&mut superblock, 0)?;
    superblock[END_OF_FILE..][..8].copy_from_slice(&end_of_file.to_le_bytes());
    seal(&mut superblock, 0);
    Ok([
        (index.data_block, data_block(index, chunks)),
        (0, superblock),
    ])
}

fn data_block(index: &FixedArray, chunks: &[StoredChunk]) -> Vec<u8> {
    let pages = index.pages();
    let mut bytes =
        Vec::with_capacity(chunks.len() * index.entry_bytes() + 4 * pages + 32 + pages / 8);
    bytes.extend_from_slice(b"FADB\x00\x01");
    bytes.extend_from_slice(&index.header.to_le_bytes());
    bytes.extend((0..pages.div_ceil(8)).map(|byte| match pages - byte * 8 {
        count @ 1..8 => !(0xff >> count),
        _ => 0xff,
    }));
    if pages > 0 {
        seal(&mut bytes, 0);
    }
    for page in chunks.chunks(index.page) {
        // Without pages, all entries stand in the block, under its checksum.
        let start = if pages > 0 { bytes.len() } else { 0 };
        for chunk in page {
            bytes.extend_from_slice(&chunk.address.to_le_bytes());
            bytes.extend_from_slice(&chunk.bytes.to_le_bytes()[..index.length_bytes]);
            bytes.extend_from_slice(&chunk.skipped_filters.to_le_bytes());
        }
        seal(&mut bytes, start);
    }
    bytes
}

/// Appends the checksum of the bytes from `start` on.
fn seal(bytes: &mut Vec<u8>, start: usize) {
    let checksum = lookup3(&bytes[start..]);
    bytes.extend_from_slice(&checksum.to_le_bytes());
}
