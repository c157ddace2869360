//! Turns the bytes of a stored chunk into those of its numbers, step by step.
//!
//! No step writes more bytes than the shape of a chunk says, whatever a damaged chunk claims.

use std::borrow::Cow;
use std::io::Read;

use zstd_safe::DCtx;

use super::blosc;
use super::crc32c;
use super::shuffle::unshuffle;

/// Bytes of a checksum.
const CHECKSUM: usize = 4;

/// A step from bytes to bytes that a chunk went through when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Blosc,
    Gzip,
    Zlib,
    Zstd,
    /// LZ4 as numcodecs writes it, after the number of bytes.
    Lz4,
    /// First the first bytes of all elements of so many bytes, then the second ones.
    Shuffle(usize),
    /// Four bytes after the others.
    Crc32c,
}

impl Step {
    /// Bytes that the step made of so many, if the length says it.
    fn stored(self, bytes: usize) -> Option<usize> {
        match self {
            Self::Shuffle(_) => Some(bytes),
            Self::Crc32c => bytes.checked_add(CHECKSUM),
            _ => None,
        }
    }

    /// Bytes that a step makes of so many, at most: what does not shrink grows by little.
    fn most(self, bytes: usize) -> usize {
        bytes.saturating_add(bytes / 8).saturating_add(64 << 10)
    }
}

/// The steps of writing, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Steps(Vec<Step>);

impl Steps {
    /// Steps in the order of writing.
    ///
    /// # Errors
    /// If there are two compressions: how long the bytes between them are is not known.
    pub(super) fn new(steps: Vec<Step>) -> Result<Self, String> {
        let compressions = steps.iter().filter(|step| step.stored(0).is_none());
        match compressions.count() {
            0 | 1 => Ok(Self(steps)),
            count => Err(format!("{count} compressions one after the other")),
        }
    }

    /// Whether chunks are stored as their numbers are.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of a stored chunk of so many, if all are of one length.
    pub(super) fn stored(&self, bytes: usize) -> Option<usize> {
        let mut steps = self.0.iter();
        steps.try_fold(bytes, |bytes, step| step.stored(bytes))
    }

    /// Bytes of a stored chunk of so many, at most.
    pub(super) fn most(&self, bytes: usize) -> usize {
        let steps = self.0.iter();
        steps.fold(bytes, |bytes, step| step.most(bytes))
    }
}

/// Memory of decompression, kept from chunk to chunk.
pub(super) struct Decoders {
    zstd: Option<DCtx<'static>>,
    /// One block of Blosc, and one with its bits put together.
    pub(super) block: Vec<u8>,
    pub(super) planes: Vec<u8>,
}

impl std::fmt::Debug for Decoders {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Decoders")
    }
}

impl Decoders {
    pub(super) fn new() -> Self {
        Self {
            zstd: None,
            block: Vec::new(),
            planes: Vec::new(),
        }
    }

    /// Takes the steps of writing back, from `stored` to exactly the length of `bytes`.
    ///
    /// # Errors
    /// What is wrong with the chunk, as found.
    pub(super) fn decode(
        &mut self,
        steps: &Steps,
        stored: &[u8],
        bytes: &mut [u8],
    ) -> Result<(), String> {
        let mut lengths = vec![bytes.len()];
        for step in &steps.0 {
            let length = lengths.last().copied().unwrap_or(0);
            lengths.push(step.stored(length).unwrap_or(usize::MAX));
        }
        let mut stored = Cow::Borrowed(stored);
        for (place, (step, length)) in steps.0.iter().zip(&lengths).enumerate().rev() {
            if *step == Step::Crc32c {
                stored = without_checksum(stored)?;
                continue;
            }
            if place == 0 {
                return self.undo(*step, &stored, bytes);
            }
            let mut undone = vec![0; *length];
            self.undo(*step, &stored, &mut undone)?;
            stored = Cow::Owned(undone);
        }
        if stored.len() != bytes.len() {
            return Err(format!("{} bytes instead of {}", stored.len(), bytes.len()));
        }
        bytes.copy_from_slice(&stored);
        Ok(())
    }

    /// Takes one step back.
    fn undo(&mut self, step: Step, stored: &[u8], bytes: &mut [u8]) -> Result<(), String> {
        match step {
            Step::Blosc => blosc::decompress(stored, bytes, self),
            Step::Gzip => read_all(flate2::read::GzDecoder::new(stored), bytes, "gzip"),
            Step::Zlib => inflate_zlib(stored, bytes),
            Step::Zstd => self.zstd(stored, bytes),
            Step::Lz4 => {
                let (length, compressed) = stored.split_first_chunk().ok_or("no lz4 data")?;
                let length = u32::from_le_bytes(*length) as usize;
                if length != bytes.len() {
                    return Err(format!("{length} bytes of lz4 instead of {}", bytes.len()));
                }
                match lz4_flex::block::decompress_into(compressed, bytes) {
                    Ok(filled) if filled == length => Ok(()),
                    _ => Err("damaged lz4 data".to_owned()),
                }
            }
            Step::Shuffle(element) => {
                if stored.len() != bytes.len() {
                    return Err(format!("{} bytes instead of {}", stored.len(), bytes.len()));
                }
                unshuffle(stored, bytes, element);
                Ok(())
            }
            Step::Crc32c => Err("a checksum".to_owned()),
        }
    }

    /// Decompresses Zstandard to exactly the length of `bytes`.
    pub(super) fn zstd(&mut self, stored: &[u8], bytes: &mut [u8]) -> Result<(), String> {
        let context = match &mut self.zstd {
            Some(context) => context,
            none => none.insert(DCtx::try_create().ok_or("no memory for zstd")?),
        };
        let length = bytes.len();
        match context.decompress(bytes, stored) {
            Ok(filled) if filled == length => Ok(()),
            Ok(filled) => Err(format!("{filled} bytes of zstd instead of {length}")),
            Err(code) => {
                let reason = zstd_safe::get_error_name(code);
                Err(format!("damaged zstd data ({reason})"))
            }
        }
    }
}

/// Inflates data with zlib's header to exactly the length of `bytes`.
pub(super) fn inflate_zlib(stored: &[u8], bytes: &mut [u8]) -> Result<(), String> {
    read_all(flate2::read::ZlibDecoder::new(stored), bytes, "zlib")
}

/// Reads what has to be exactly as long as `bytes`.
fn read_all(mut from: impl Read, bytes: &mut [u8], format: &str) -> Result<(), String> {
    let damaged = |error: std::io::Error| format!("damaged {format} data ({error})");
    from.read_exact(bytes).map_err(damaged)?;
    // The end of the data is where its checksum is looked at.
    match from.read(&mut [0]).map_err(damaged)? {
        0 => Ok(()),
        _ => Err(format!("more than {} bytes of {format}", bytes.len())),
    }
}

/// Checks the checksum after some bytes, and takes it off.
fn without_checksum(mut stored: Cow<[u8]>) -> Result<Cow<[u8]>, String> {
    let length = stored.len().checked_sub(CHECKSUM);
    let (bytes, checksum) = length
        .and_then(|length| stored.split_at_checked(length))
        .ok_or("no room for a checksum")?;
    if crc32c::of(bytes).to_le_bytes() != *checksum {
        return Err("bytes of another checksum".to_owned());
    }
    let length = bytes.len();
    match &mut stored {
        Cow::Borrowed(stored) => *stored = &stored[..length],
        Cow::Owned(stored) => stored.truncate(length),
    }
    Ok(stored)
}
