//! Reads where the chunks of a dataset lie out of the bytes of an HDF5 file, without the library.
//!
//! Files whose format is that of HDF5 1.10 are understood: superblock 2 or 3, version 2 of object headers, version 4 of the
//! storage layout, and a *fixed array* as the index of chunks. Every checksum is compared. The
//! [file format specification](https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html) describes all of them.
//! Anything else is an error that says what was found.
//!
//! The program uses it twice: before ranks write chunks, to learn what HDF5 has laid out, and afterwards, to check
//! what [`write()`] has written, with which it shares the checksum alone.

mod lookup3;
mod write;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use hdf5::Dataset;
use hdf5::file::LibraryVersion;

use super::chunk::write_packed;
use crate::hdf5_access::{self, reason};
use crate::raw_chunk;
use lookup3::lookup3;
#[cfg(test)]
pub(super) use write::blocks;
pub(super) use write::write;

/// Bytes of addresses and lengths in our files.
const WORD: usize = 8;
const NO_ADDRESS: u64 = u64::MAX;
/// Blocks of an object header, and bytes of one: more than a dataset of ours has.
const MOST_BLOCKS: usize = 64;
const MOST_HEADER_BYTES: u64 = 1 << 20;
const SUPERBLOCK_BYTES: usize = 12 + 4 * WORD + 4;
const ARRAY_HEADER_BYTES: usize = 8 + 2 * WORD + 4;

/// Types of messages in object headers.
const LINK: u8 = 6;
const STORAGE_LAYOUT: u8 = 8;
const CONTINUATION: u8 = 16;

/// Where the index of a chunked dataset lies and what it looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FixedArray {
    /// Length of each axis of a chunk; the last is the bytes of an element.
    pub chunk: Vec<u64>,
    /// Address of the header.
    pub header: u64,
    /// Address of the data block.
    pub data_block: u64,
    /// Chunks of the dataset, stored or not.
    pub chunks: usize,
    /// Chunks in a page of the index.
    pub page: usize,
    /// Bytes in which the index notes how many bytes a chunk has.
    pub length_bytes: usize,
    /// The end of the file, as the superblock notes it.
    pub end_of_file: u64,
}

/// Makes a file in the format of HDF5 1.10 whose first group does not note when it was made.
///
/// # Errors
/// The library's reason.
pub(super) fn create_file(path: &Path) -> hdf5::Result<hdf5::File> {
    hdf5_access::writing()
        .with_fapl(|fapl| fapl.libver_bounds(LibraryVersion::V110, LibraryVersion::V110))
        .with_fcpl(|fcpl| fcpl.obj_track_times(false))
        .create(path)
}

/// Has HDF5 make the index of a dataset, as it does with the first chunk. The byte that is written as that chunk is not used.
///
/// # Errors
/// The library's reason.
pub(super) fn make(dataset: &Dataset) -> hdf5::Result<()> {
    write_packed(dataset, &vec![0; dataset.ndim()], &[0])
}

/// Reads every entry of the index of a dataset without HDF5, and compares all with these chunks and the end of the file.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn check(
    file: &File,
    dataset: &str,
    chunks: &[StoredChunk],
    end_of_file: u64,
) -> Result<(), String> {
    let index = FixedArray::find(file, dataset)?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    if index.end_of_file != end_of_file || length < end_of_file {
        return Err("the file ends elsewhere".into());
    }
    let entries = index.entries(file)?;
    match entries.into_iter().eq(chunks.iter().copied().map(Some)) {
        true => Ok(()),
        false => Err("the index names other places".into()),
    }
}

/// Lets HDF5 count the chunks of a dataset and their bytes.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn check_counts(dataset: &Dataset, chunks: &[StoredChunk]) -> Result<(), String> {
    let found = raw_chunk::count(dataset).map_err(|error| reason(&error))?;
    if found != chunks.len() {
        let count = chunks.len();
        return Err(format!("HDF5 finds {found} chunks of {count}"));
    }
    let bytes: u64 = chunks.iter().map(|chunk| chunk.bytes).sum();
    match dataset.storage_size() {
        found if found == bytes => Ok(()),
        found => Err(format!("HDF5 finds {found} bytes of {bytes}")),
    }
}

/// Where a chunk lies; nowhere by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StoredChunk {
    /// Its first byte in the file.
    pub address: u64,
    /// Its bytes.
    pub bytes: u64,
    /// A bit for each filter that the chunk has not passed through.
    pub skipped_filters: u32,
}

impl FixedArray {
    /// Finds the index of a dataset that lies directly in the file.
    ///
    /// # Errors
    /// What is there instead.
    pub(super) fn find(file: &File, dataset: &str) -> Result<Self, String> {
        let superblock = Block::read(file, 0, SUPERBLOCK_BYTES)?.checked("superblock")?;
        let (root, end_of_file) = read_superblock(superblock)?;
        let mut links = messages(file, root)?.into_iter();
        let address = links
            .find_map(|(kind, body)| (kind == LINK).then(|| hard_link(body, dataset)).flatten())
            .ok_or_else(|| format!("no dataset {dataset} in the first group"))?;
        let mut parts = messages(file, address)?.into_iter();
        let (_, layout) = parts
            .find(|(kind, _)| *kind == STORAGE_LAYOUT)
            .ok_or("a dataset without a storage layout")?;
        Self::from_layout(file, layout, end_of_file)
    }

    /// Follows the storage layout of a dataset to its index.
    fn from_layout(file: &File, mut layout: Block, end_of_file: u64) -> Result<Self, String> {
        layout.expect("version of the storage layout", 1, 4)?;
        layout.expect("class of the storage layout (chunks)", 1, 2)?;
        layout.expect("flags of the chunks", 1, 0)?;
        let axes = layout.number(1)? as usize;
        let axis_bytes = layout.number(1)? as usize;
        if axis_bytes > WORD {
            return Err(format!("axes of {axis_bytes} bytes"));
        }
        let chunk: Result<Vec<u64>, String> =
            (0..axes).map(|_| layout.number(axis_bytes)).collect();
        layout.expect("kind of chunk index (a fixed array)", 1, 3)?;
        let page_bits = layout.number(1)?;
        let address = layout.number(WORD)?;

        let mut header = Block::read(file, address, ARRAY_HEADER_BYTES)?.checked("index header")?;
        header.signature(b"FAHD")?;
        header.expect("version of the index", 1, 0)?;
        header.expect("kind of chunks in the index (with filters)", 1, 1)?;
        let entry = header.number(1)? as usize;
        header.expect("bits of a page of the index", 1, page_bits)?;
        let chunks = header.number(WORD)?;
        let data_block = header.number(WORD)?;
        let length_bytes = entry.checked_sub(WORD + 4).filter(|bytes| *bytes <= WORD);
        let found = Self {
            chunk: chunk?,
            header: address,
            data_block,
            chunks: usize::try_from(chunks).map_err(|_| "too many chunks")?,
            page: 1_usize
                .checked_shl(page_bits as u32)
                .ok_or_else(|| format!("pages of 2^{page_bits} chunks"))?,
            length_bytes: length_bytes.ok_or_else(|| format!("entries of {entry} bytes"))?,
            end_of_file,
        };
        if data_block == NO_ADDRESS {
            return Err("an index without entries".into());
        }
        Ok(found)
    }

    /// Bytes of an entry.
    pub(super) fn entry_bytes(&self) -> usize {
        WORD + self.length_bytes + 4
    }

    /// The number of pages; none where all entries lie in the data block itself.
    pub(super) fn pages(&self) -> usize {
        match self.chunks > self.page {
            true => self.chunks.div_ceil(self.page),
            false => 0,
        }
    }

    /// Reads every entry of the index; none for a chunk that is not stored.
    ///
    /// # Errors
    /// What is there instead of an index that is in order.
    pub(super) fn entries(&self, file: &File) -> Result<Vec<Option<StoredChunk>>, String> {
        let pages = self.pages();
        // Without pages, all entries stand in the block, under its checksum.
        let in_block = if pages == 0 {
            self.chunks * self.entry_bytes()
        } else {
            0
        };
        let prefix = 6 + WORD + pages.div_ceil(8) + in_block + 4;
        let mut block = Block::read(file, self.data_block, prefix)?.checked("index block")?;
        block.signature(b"FADB")?;
        block.expect("version of the index block", 1, 0)?;
        block.expect("kind of chunks in the index block (with filters)", 1, 1)?;
        block.expect("owner of the index block", WORD, self.header)?;
        if pages == 0 {
            return (0..self.chunks).map(|_| self.entry(&mut block)).collect();
        }
        let has_page = block.rest().to_vec();
        let mut entries = Vec::new();
        let mut address = self.data_block + prefix as u64;
        for page in 0..pages {
            let count = self.page.min(self.chunks - page * self.page);
            let bytes = count * self.entry_bytes() + 4;
            if has_page[page / 8] & (0x80 >> (page % 8)) == 0 {
                entries.resize(entries.len() + count, None);
            } else {
                let mut page = Block::read(file, address, bytes)?.checked("index page")?;
                for _ in 0..count {
                    entries.push(self.entry(&mut page)?);
                }
            }
            address += bytes as u64;
        }
        Ok(entries)
    }

    fn entry(&self, page: &mut Block) -> Result<Option<StoredChunk>, String> {
        let stored = StoredChunk {
            address: page.number(WORD)?,
            bytes: page.number(self.length_bytes)?,
            skipped_filters: page.number(4)? as u32,
        };
        Ok((stored.address != NO_ADDRESS).then_some(stored))
    }
}

/// The address of the first group, and the end of the file.
fn read_superblock(mut block: Block) -> Result<(u64, u64), String> {
    block.signature(b"\x89HDF\r\n\x1a\n")?;
    let version = block.number(1)?;
    if !(2..=3).contains(&version) {
        return Err(format!("version {version} of the superblock"));
    }
    block.expect("bytes of addresses", 1, WORD as u64)?;
    block.expect("bytes of lengths", 1, WORD as u64)?;
    block.expect("marks of a file that is open", 1, 0)?;
    block.expect("address of the first byte", WORD, 0)?;
    block.expect("address of an extended superblock", WORD, NO_ADDRESS)?;
    let end_of_file = block.number(WORD)?;
    Ok((block.number(WORD)?, end_of_file))
}

/// The messages of an object header: the type and the contents of each.
fn messages(file: &File, address: u64) -> Result<Vec<(u8, Block)>, String> {
    const LONGEST_PREFIX: usize = 34;
    const TIMES: u64 = 0x20;
    const PHASES: u64 = 0x10;
    const CREATION_ORDER: u64 = 0x04;
    let mut prefix = Block::read_up_to(file, address, LONGEST_PREFIX)?;
    prefix.signature(b"OHDR")?;
    prefix.expect("version of the object header", 1, 2)?;
    let flags = prefix.number(1)?;
    let optional =
        if flags & TIMES != 0 { 16 } else { 0 } + if flags & PHASES != 0 { 4 } else { 0 };
    prefix.skip(optional)?;
    let bytes = prefix.number(1 << (flags & 3))?;
    let before = prefix.at;
    // The block, and how many bytes of it stand before its messages.
    let mut blocks = vec![(address, before as u64 + bytes + 4, before)];
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(&(address, bytes, before)) = blocks.get(next) {
        next += 1;
        if bytes > MOST_HEADER_BYTES || next > MOST_BLOCKS {
            return Err("an object header that is too long".into());
        }
        let mut block = Block::read(file, address, bytes as usize)?.checked("object header")?;
        if next > 1 {
            block.signature(b"OCHK")?;
        }
        block.at = before;
        let message_prefix = if flags & CREATION_ORDER != 0 { 6 } else { 4 };
        while block.rest().len() >= message_prefix {
            let kind = block.number(1)? as u8;
            let length = block.number(2)? as usize;
            block.skip(message_prefix - 3)?;
            let mut body = block.part(length)?;
            if kind == CONTINUATION {
                blocks.push((body.number(WORD)?, body.number(WORD)?, 4));
            } else {
                found.push((kind, body));
            }
        }
    }
    Ok(found)
}

/// The address of the object to which a link of this name leads.
fn hard_link(mut link: Block, wanted: &str) -> Option<u64> {
    const CREATION_ORDER: u64 = 0x04;
    const KIND: u64 = 0x08;
    const CHARACTER_SET: u64 = 0x10;
    link.expect("version of the link", 1, 1).ok()?;
    let flags = link.number(1).ok()?;
    if flags & KIND != 0 {
        link.expect("kind of link (hard)", 1, 0).ok()?;
    }
    link.skip(if flags & CREATION_ORDER != 0 { WORD } else { 0 })
        .ok()?;
    link.skip(usize::from(flags & CHARACTER_SET != 0)).ok()?;
    let length = link.number(1 << (flags & 3)).ok()?;
    let name = link.part(usize::try_from(length).ok()?).ok()?;
    (name.bytes == wanted.as_bytes()).then(|| link.number(WORD).ok())?
}

/// Some bytes of the file, of which those before `at` have been read.
struct Block {
    bytes: Vec<u8>,
    at: usize,
}

impl Block {
    fn read(file: &File, address: u64, bytes: usize) -> Result<Self, String> {
        let mut block = Self {
            bytes: vec![0; bytes],
            at: 0,
        };
        let read = file.read_exact_at(&mut block.bytes, address);
        read.map_err(|error| format!("{bytes} bytes at {address}: {error}"))?;
        Ok(block)
    }

    /// Fewer bytes where the file ends before.
    fn read_up_to(file: &File, address: u64, bytes: usize) -> Result<Self, String> {
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        let there = length.saturating_sub(address).min(bytes as u64);
        Self::read(file, address, there as usize)
    }

    /// The block without its checksum, which must be right.
    fn checked(mut self, what: &str) -> Result<Self, String> {
        let (bytes, checksum) = self.bytes.split_last_chunk().ok_or("an empty block")?;
        if lookup3(bytes) != u32::from_le_bytes(*checksum) {
            return Err(format!("a wrong checksum of the {what}"));
        }
        self.bytes.truncate(self.bytes.len() - 4);
        Ok(self)
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let taken = self.bytes[self.at..].get(..count);
        self.at += taken.map_or(0, <[u8]>::len);
        taken.ok_or_else(|| "a block that ends too early".into())
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(|_| ())
    }

    fn part(&mut self, count: usize) -> Result<Self, String> {
        let bytes = self.take(count)?.to_vec();
        Ok(Self { bytes, at: 0 })
    }

    /// A number of so many bytes, at most 8.
    fn number(&mut self, bytes: usize) -> Result<u64, String> {
        let mut number = [0; WORD];
        number[..bytes].copy_from_slice(self.take(bytes)?);
        Ok(u64::from_le_bytes(number))
    }

    fn expect(&mut self, what: &str, bytes: usize, expected: u64) -> Result<(), String> {
        let found = self.number(bytes)?;
        match found == expected {
            true => Ok(()),
            false => Err(format!("{what}: expected {expected}, found {found}")),
        }
    }

    fn signature(&mut self, expected: &[u8]) -> Result<(), String> {
        match self.take(expected.len())? == expected {
            true => Ok(()),
            false => Err(format!("no {}", expected.escape_ascii())),
        }
    }
}
