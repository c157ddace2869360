//! The units in which an array is stored, chunks or inner chunks of shards: finds them, reads them, and makes numbers of them.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::codecs::{Index, Shards};
use super::crc32c;
use super::decode::Decoders;
use super::metadata::ArrayHeader;
use crate::input::error::InputError;
use crate::regular;

/// Shards whose files are open and whose indices are held, at most.
const OPEN_SHARDS: usize = 64;
/// Entries of the indices that are held, at most, beside those of the last shard: 4 MiB.
const HELD_ENTRIES: usize = 1 << 18;
/// Bytes of an entry of an index: where an inner chunk begins, and how long it is.
const ENTRY: usize = 16;
/// The entry of an inner chunk that was never stored, twice.
const NOWHERE: u64 = u64::MAX;

/// Reads the units of an array. A unit has a place: how many units are before it along each axis, axes in the order in which the
/// numbers of a unit are stored.
#[derive(Debug)]
pub(super) struct Chunks {
    header: ArrayHeader,
    /// Axis `k` of a unit is axis `order[k]` of the array.
    order: Vec<usize>,
    /// Extents of a unit.
    unit: Vec<usize>,
    /// Units in a chunk along each axis of the array.
    in_chunk: Vec<usize>,
    shards: Vec<Rc<Shard>>,
    decoders: Decoders,
    /// A unit as it is stored.
    stored: Vec<u8>,
    /// The place of the unit that `numbers` holds.
    held: Option<Vec<usize>>,
    numbers: Words,
}

/// Where the bytes of a unit lie.
#[derive(Clone, Debug)]
pub(super) struct Located {
    file: Rc<Shard>,
    start: u64,
    length: u64,
}

/// The file of a chunk, cut into units if it is a shard.
#[derive(Debug)]
struct Shard {
    chunk: Vec<usize>,
    path: PathBuf,
    /// None where it was never stored.
    file: Option<(File, u64)>,
    /// Start and length of each inner chunk.
    index: Vec<[u64; 2]>,
}

/// Memory for bytes of numbers, where those of f32 can be read as such.
#[derive(Debug, Default)]
struct Words(Vec<u64>);

impl Words {
    fn bytes(&mut self, length: usize) -> &mut [u8] {
        let words = length.div_ceil(size_of::<u64>());
        if self.0.len() < words {
            // Zeros of the system take no memory until they are written to.
            self.0 = vec![0; words];
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..length]
    }
}

impl Chunks {
    /// The units of an array.
    pub(super) fn of(header: ArrayHeader) -> Self {
        let coding = &header.coding;
        let shard = coding.order.iter().map(|axis| header.chunk[*axis]);
        let mut unit: Vec<usize> = shard.collect();
        let mut in_chunk = vec![1; unit.len()];
        if let Some(Shards { chunk, order, .. }) = &coding.shards {
            for (axis, (shard, inner)) in coding.order.iter().zip(unit.iter().zip(chunk)) {
                in_chunk[*axis] = shard / inner;
            }
            unit = order.iter().map(|axis| chunk[*axis]).collect();
        }
        let order = header.stored_order();
        Self {
            header,
            order,
            unit,
            in_chunk,
            shards: Vec::new(),
            decoders: Decoders::new(),
            stored: Vec::new(),
            held: None,
            numbers: Words::default(),
        }
    }

    /// The array.
    pub(super) fn header(&self) -> &ArrayHeader {
        &self.header
    }

    /// Axis `k` of a unit is axis `order()[k]` of the array.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Extents of a unit.
    pub(super) fn unit(&self) -> &[usize] {
        &self.unit
    }

    /// Whether units are stored as their numbers are, so that parts of them can be read.
    pub(super) fn is_plain(&self) -> bool {
        self.header.coding.steps.is_empty()
    }

    /// The bytes of the numbers of a unit, the last axis running fastest; nothing where it was never stored.
    ///
    /// # Errors
    /// If it is damaged or cannot be read.
    pub(super) fn numbers(&mut self, place: &[usize]) -> Result<Option<&[u8]>, InputError> {
        let length = self.unit_bytes();
        if self.held.as_deref() != Some(place) {
            self.held = None;
            let Some(located) = self.locate(place)? else {
                return Ok(None);
            };
            self.decode(&located, length)
                .map_err(|found| located.error(found))?;
            self.held = Some(place.to_vec());
        }
        Ok(Some(self.numbers.bytes(length)))
    }

    /// As [`numbers`](Self::numbers), for some of the numbers of a plain unit, from `first` on.
    pub(super) fn part(
        &mut self,
        located: &Located,
        first: usize,
        count: usize,
    ) -> Result<&[u8], InputError> {
        self.held = None;
        let bytes = self.header.numbers.bytes;
        let numbers = self.numbers.bytes(count * bytes);
        let start = located.start + (first * bytes) as u64;
        let read = located.file.read(start, numbers);
        read.map_err(|found| located.error(found))?;
        Ok(self.numbers.bytes(count * bytes))
    }

    /// Where a plain unit lies.
    ///
    /// # Errors
    /// If its file cannot be read, or has another length.
    pub(super) fn plain(&mut self, place: &[usize]) -> Result<Option<Located>, InputError> {
        let length = self.unit_bytes();
        let located = self.locate(place)?;
        match located {
            Some(located) if located.length != length as u64 => {
                Err(located.error(format!("{} bytes instead of {length}", located.length)))
            }
            located => Ok(located),
        }
    }

    /// Bytes of the numbers of a unit as they are stored; `ArrayHeader` was made with extents whose product fits.
    fn unit_bytes(&self) -> usize {
        let numbers = self.unit.iter().product::<usize>();
        numbers * self.header.numbers.bytes
    }

    fn decode(&mut self, located: &Located, length: usize) -> Result<(), String> {
        let steps = &self.header.coding.steps;
        let stored = usize::try_from(located.length).ok();
        let stored = stored.filter(|stored| *stored <= steps.most(length));
        let stored = stored
            .ok_or_else(|| format!("{} bytes where {length} are compressed", located.length))?;
        if steps
            .stored(length)
            .is_some_and(|expected| expected != stored)
        {
            return Err(format!("{stored} bytes for {length} bytes of numbers"));
        }
        if steps.is_empty() {
            located
                .file
                .read(located.start, self.numbers.bytes(length))?;
        } else {
            self.stored.resize(stored, 0);
            located.file.read(located.start, &mut self.stored)?;
            let numbers = self.numbers.bytes(length);
            self.decoders.decode(steps, &self.stored, numbers)?;
        }
        Ok(())
    }

    /// Where a unit lies; nothing where it was never stored.
    fn locate(&mut self, place: &[usize]) -> Result<Option<Located>, InputError> {
        let mut along = vec![0; place.len()];
        for (axis, place) in self.order.iter().zip(place) {
            along[*axis] = *place;
        }
        let axes = along.iter().zip(&self.in_chunk);
        let chunk: Vec<usize> = axes.map(|(place, count)| place / count).collect();
        let shard = self.shard(chunk)?;
        let Some((_, length)) = shard.file else {
            return Ok(None);
        };
        if self.header.coding.shards.is_none() {
            return Ok(Some(Located {
                file: shard,
                start: 0,
                length,
            }));
        }
        let order = &self.header.coding.order;
        let entry = order.iter().fold(0, |entry, axis| {
            let count = self.in_chunk[*axis];
            entry * count + along[*axis] % count
        });
        let [start, stored] = shard.index[entry];
        if [start, stored] == [NOWHERE; 2] {
            return Ok(None);
        }
        let located = Located {
            file: shard,
            start,
            length: stored,
        };
        match start.checked_add(stored) {
            Some(end) if end <= length => Ok(Some(located)),
            _ => Err(located.error(format!(
                "an index with {stored} bytes at {start} of {length}"
            ))),
        }
    }

    /// The open file of a chunk.
    fn shard(&mut self, chunk: Vec<usize>) -> Result<Rc<Shard>, InputError> {
        if let Some(found) = self.shards.iter().position(|shard| shard.chunk == chunk) {
            let shard = self.shards.remove(found);
            self.shards.push(shard.clone());
            return Ok(shard);
        }
        let path = self.header.keys.file(&self.header.path, &chunk);
        let shards = self.header.coding.shards.as_ref();
        // Damaged metadata may say any extents of shards.
        let mut counts = self.in_chunk.iter();
        let units = counts.try_fold(1_usize, |all, count| all.checked_mul(*count));
        let index = shards.map(|shards| (shards.index, units.unwrap_or(usize::MAX)));
        let shard = Shard::open(path.clone(), chunk, index);
        let shard = Rc::new(shard.map_err(|found| damaged(&path, found))?);
        if index.is_some() {
            let held = |shards: &[Rc<Shard>]| -> usize {
                shards.iter().map(|shard| shard.index.len()).sum()
            };
            while self.shards.len() >= OPEN_SHARDS
                || !self.shards.is_empty() && held(&self.shards) > HELD_ENTRIES
            {
                self.shards.remove(0);
            }
            self.shards.push(shard.clone());
        }
        Ok(shard)
    }
}

impl Located {
    fn error(&self, found: String) -> InputError {
        damaged(&self.file.path, found)
    }
}

/// The error of a file with chunks.
fn damaged(path: &Path, found: String) -> InputError {
    InputError::File {
        path: path.to_owned(),
        what: "a whole Zarr chunk",
        found,
    }
}

impl Shard {
    /// Opens the file of a chunk, and reads its index if it has one of so many entries.
    fn open(
        path: PathBuf,
        chunk: Vec<usize>,
        index: Option<(Index, usize)>,
    ) -> Result<Self, String> {
        let file = match regular::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self {
                    chunk,
                    path,
                    file: None,
                    index: Vec::new(),
                });
            }
            Err(error) => return Err(error.to_string()),
        };
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        let mut shard = Self {
            chunk,
            path,
            file: Some((file, length)),
            index: Vec::new(),
        };
        if let Some((index, entries)) = index {
            shard.index = shard.read_index(index, entries, length)?;
        }
        Ok(shard)
    }

    fn read_index(
        &self,
        index: Index,
        entries: usize,
        length: u64,
    ) -> Result<Vec<[u64; 2]>, String> {
        let checksum = if index.checksum { 4 } else { 0 };
        let bytes = entries.checked_mul(ENTRY);
        let bytes = bytes.and_then(|bytes| bytes.checked_add(checksum));
        let bytes = bytes
            .filter(|bytes| *bytes as u64 <= length)
            .ok_or_else(|| format!("{length} bytes of a shard of {entries} chunks"))?;
        let start = if index.at_start {
            0
        } else {
            length - bytes as u64
        };
        let mut stored = vec![0; bytes];
        self.read(start, &mut stored)?;
        let (stored, sum) = stored.split_at(entries * ENTRY);
        if index.checksum && crc32c::of(stored).to_le_bytes() != *sum {
            return Err("an index of another checksum".to_owned());
        }
        let number = |bytes: &[u8; 8]| match index.big_endian {
            true => u64::from_be_bytes(*bytes),
            false => u64::from_le_bytes(*bytes),
        };
        let numbers: Vec<u64> = stored.as_chunks::<8>().0.iter().map(number).collect();
        Ok(numbers.as_chunks::<2>().0.to_vec())
    }

    fn read(&self, start: u64, bytes: &mut [u8]) -> Result<(), String> {
        let (file, _) = self.file.as_ref().ok_or("nothing")?;
        file.read_exact_at(bytes, start)
            .map_err(|error| error.to_string())
    }
}
