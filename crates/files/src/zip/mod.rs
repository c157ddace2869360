//! Zip archives: which members there are, and where the bytes of each lie. Nothing that an archive states is believed before its file is
//! as long as that.
//!
//! ```text
//! archive   = (local header, bytes of a member)*, directory, end
//! directory = an entry for each member: its name, how it is compressed, where its local header lies
//! ```
//! Zip64 puts lengths and places beyond 32 bits into an extra field of the entry, and the place of the directory before the end.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of an archive, at any place.
pub(crate) trait ReadAt {
    /// Number of bytes.
    ///
    /// # Errors
    /// The system's reason.
    fn length(&self) -> io::Result<u64>;

    /// Fills `bytes` from a place on.
    ///
    /// # Errors
    /// The system's reason, or that the archive ends before.
    fn read_at(&self, place: u64, bytes: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, place: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, place)
    }
}

impl ReadAt for [u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, place: u64, bytes: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(place).ok();
        let from = start.and_then(|start| self.get(start..)?.get(..bytes.len()));
        let from = from.ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(from);
        Ok(())
    }
}

/// How the bytes of a member are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// As they are.
    Stored,
    /// Compressed by Deflate.
    Deflated,
}

/// An entry of the directory of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The member's name, with its folders.
    pub(crate) name: String,
    /// How it is stored.
    pub(crate) method: Method,
    /// CRC-32 of its bytes.
    pub(crate) crc: u32,
    /// Bytes that it takes in the archive.
    pub(crate) stored: u64,
    /// Its bytes, as the archive states them: at most 1,032 for each that is stored, because Deflate cannot do better.
    pub(crate) length: u64,
    local_header: u64,
}

/// Bytes of a directory that is read, at most: those of hundreds of thousands of members.
const LONGEST_DIRECTORY: u64 = 1 << 26;
/// Bytes that one byte of Deflate becomes, at most.
const LARGEST_RATIO: u64 = 1032;
const ENCRYPTED: u64 = 1;

/// The members of an archive.
///
/// # Errors
/// What was found instead of an archive, or of a member that is stored or deflated.
pub(crate) fn directory(archive: &(impl ReadAt + ?Sized)) -> Result<Vec<Entry>, String> {
    let size = archive.length().map_err(|error| error.to_string())?;
    let (start, length, count) = place_of_directory(archive, size)?;
    let end = start.checked_add(length).filter(|end| *end <= size);
    if end.is_none() || length > LONGEST_DIRECTORY {
        return Err("a directory outside the archive".to_owned());
    }
    let mut bytes = vec![0; length as usize];
    read(archive, start, &mut bytes)?;
    let mut cursor = Cursor(&bytes);
    let mut entries = Vec::new();
    let mut names = HashSet::new();
    for _ in 0..count {
        let entry = Entry::parse(&mut cursor)?;
        if !names.insert(entry.name.clone()) {
            return Err(format!("{} twice", entry.name));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Where the directory begins, its bytes, and the number of its entries.
fn place_of_directory(
    archive: &(impl ReadAt + ?Sized),
    size: u64,
) -> Result<(u64, u64, u64), String> {
    /// Bytes of the end without the comment that may follow.
    const END: u64 = 22;
    const LONGEST_COMMENT: u64 = u16::MAX as u64;
    /// Bytes before the end in which zip64 says where its own end lies.
    const LOCATOR: u64 = 20;
    let tail = size.min(END + LONGEST_COMMENT);
    let first = size - tail;
    let mut bytes = vec![0; tail as usize];
    read(archive, first, &mut bytes)?;
    let mut marks = bytes.windows(END as usize).rev();
    let place = marks.position(|end| end.starts_with(b"PK\x05\x06"));
    let place = place.ok_or("no zip archive, or one that is cut short")?;
    let place = tail - END - place as u64;
    let mut end = Cursor(&bytes[place as usize..]);
    end.take(10)?;
    let (count, length, start) = (end.number(2)?, end.number(4)?, end.number(4)?);
    let before = (first + place).checked_sub(LOCATOR);
    let mut locator = [0; LOCATOR as usize];
    if let Some(before) = before
        && read(archive, before, &mut locator).is_ok()
        && locator.starts_with(b"PK\x06\x07")
    {
        let mut locator = Cursor(&locator);
        locator.take(8)?;
        return place_of_directory_64(archive, locator.number(8)?);
    }
    Ok((start, length, count))
}

fn place_of_directory_64(
    archive: &(impl ReadAt + ?Sized),
    place: u64,
) -> Result<(u64, u64, u64), String> {
    let mut end = [0; 56];
    read(archive, place, &mut end)?;
    let mut end = Cursor(&end);
    if end.take(4)? != b"PK\x06\x06" {
        return Err("a damaged end of the archive".to_owned());
    }
    end.take(28)?;
    let (count, length, start) = (end.number(8)?, end.number(8)?, end.number(8)?);
    Ok((start, length, count))
}

impl Entry {
    /// An entry of the directory.
    fn parse(directory: &mut Cursor) -> Result<Self, String> {
        if directory.take(4)? != b"PK\x01\x02" {
            return Err("a damaged directory".to_owned());
        }
        directory.take(4)?;
        let (flags, method) = (directory.number(2)?, directory.number(2)?);
        directory.take(4)?;
        let crc = directory.number(4)? as u32;
        let (mut stored, mut length) = (directory.number(4)?, directory.number(4)?);
        let [name, extra, comment] = [
            directory.number(2)?,
            directory.number(2)?,
            directory.number(2)?,
        ];
        directory.take(8)?;
        let mut local_header = directory.number(4)?;
        let name = String::from_utf8_lossy(directory.take(name as usize)?).into_owned();
        let extra = directory.take(extra as usize)?;
        directory.take(comment as usize)?;
        widen(extra, [&mut length, &mut stored, &mut local_header])?;
        let method = match method {
            _ if flags & ENCRYPTED != 0 => return Err(format!("{name} encrypted")),
            0 if stored == length => Method::Stored,
            8 if length <= stored.saturating_mul(LARGEST_RATIO) => Method::Deflated,
            0 | 8 => return Err(format!("{length} bytes of {name} in {stored} bytes")),
            _ => return Err(format!("{name} compressed in a way other than Deflate")),
        };
        Ok(Self {
            name,
            method,
            crc,
            stored,
            length,
            local_header,
        })
    }

    /// The place of the member's first byte, all of which are in the archive.
    ///
    /// # Errors
    /// What was found instead.
    pub(crate) fn start(&self, archive: &(impl ReadAt + ?Sized)) -> Result<u64, String> {
        const HEADER: usize = 30;
        let mut header = [0; HEADER];
        read(archive, self.local_header, &mut header)?;
        let mut header = Cursor(&header);
        if header.take(4)? != b"PK\x03\x04" {
            return Err(format!("no header of {}", self.name));
        }
        header.take(22)?;
        let skipped = HEADER as u64 + header.number(2)? + header.number(2)?;
        let size = archive.length().map_err(|error| error.to_string())?;
        let start = self.local_header.checked_add(skipped);
        let end = start.and_then(|start| start.checked_add(self.stored));
        match (start, end) {
            (Some(start), Some(end)) if end <= size => Ok(start),
            _ => Err(format!("{} cut short", self.name)),
        }
    }
}

/// Takes from the extra fields of an entry those of its numbers that are too large for 32 bits.
fn widen(extra: &[u8], numbers: [&mut u64; 3]) -> Result<(), String> {
    const ZIP64: u64 = 1;
    const TOO_LARGE: u64 = u32::MAX as u64;
    let mut fields = Cursor(extra);
    while let (Ok(kind), Ok(length)) = (fields.number(2), fields.number(2)) {
        let mut field = Cursor(fields.take(length as usize)?);
        if kind == ZIP64 {
            for number in numbers {
                if *number == TOO_LARGE {
                    *number = field.number(8)?;
                }
            }
            return Ok(());
        }
    }
    Ok(())
}

fn read(archive: &(impl ReadAt + ?Sized), place: u64, bytes: &mut [u8]) -> Result<(), String> {
    let read = archive.read_at(place, bytes);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "an early end".to_owned(),
        _ => error.to_string(),
    })
}

/// Bytes that are read from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("an early end")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A little-endian number of up to 8 bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, String> {
        let bytes = self.take(bytes)?.iter().rev();
        Ok(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

#[cfg(test)]
pub(crate) mod tests;
