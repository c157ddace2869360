//! Planes of one or two files, judged as they are read: one thread reads, because HDF5 lets no second one in, while the others
//! inflate and judge what was read before. Memory holds two batches, whatever the size of the files.

use std::ops::Range;

use rayon::prelude::*;
use spikegrid_files::output::written::{PlaneInflater, Planes, Stored};

use super::rules::PIXELS;

/// Planes and bytes of a batch.
const BATCH_PLANES: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
/// Planes that a thread judges with the same scratch memory.
const JUDGED_TOGETHER: usize = 32;

/// A plane as it came out of one of the files.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Read {
    /// Its bytes within the batch.
    Bytes(Stored, Range<usize>),
    /// Why it cannot be read.
    Unreadable(String),
}

struct Batch<const FILES: usize> {
    bytes: [Vec<u8>; FILES],
    planes: Vec<(usize, [Read; FILES])>,
}

/// A plane of each file, to be judged.
pub(super) struct Judged<'a, const FILES: usize> {
    /// The place of the plane: `t · Z + z`.
    pub place: usize,
    reads: &'a [Read; FILES],
    batch: &'a Batch<FILES>,
}

/// What a thread needs to judge: pixels of each file.
pub(super) struct Scratch<const FILES: usize> {
    inflater: PlaneInflater,
    pixels: [Vec<u8>; FILES],
}

impl<const FILES: usize> Scratch<FILES> {
    fn new() -> Self {
        Self {
            inflater: PlaneInflater::default(),
            pixels: std::array::from_fn(|_| vec![0; PIXELS]),
        }
    }
}

/// What is wrong with a plane before its pixels are looked at.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NoPixels {
    Nowhere,
    Unreadable(String),
}

impl<const FILES: usize> Judged<'_, FILES> {
    /// Whether the bytes in the files are the same, so that their pixels are, too.
    pub(super) fn same_bytes(&self) -> bool {
        let stored = |file: usize| match &self.reads[file] {
            Read::Bytes(stored, range) if *stored != Stored::Nowhere => {
                Some((*stored, &self.batch.bytes[file][range.clone()]))
            }
            _ => None,
        };
        stored(0).is_some() && (1..FILES).all(|file| stored(file) == stored(0))
    }

    /// The pixels of the plane in each file.
    pub(super) fn pixels<'s>(
        &self,
        scratch: &'s mut Scratch<FILES>,
    ) -> [Result<&'s [u8], NoPixels>; FILES] {
        let Scratch { inflater, pixels } = scratch;
        let mut pixels = pixels.iter_mut();
        std::array::from_fn(|file| {
            let to = pixels.next().map(Vec::as_mut_slice).unwrap_or_default();
            match &self.reads[file] {
                Read::Unreadable(reason) => Err(NoPixels::Unreadable(reason.clone())),
                Read::Bytes(Stored::Nowhere, _) => Err(NoPixels::Nowhere),
                Read::Bytes(stored, range) => {
                    let bytes = &self.batch.bytes[file][range.clone()];
                    match stored {
                        Stored::Pixels => to.copy_from_slice(bytes),
                        _ if inflater.inflate(bytes, to) => {}
                        _ => return Err(NoPixels::Unreadable("damaged gzip data".into())),
                    }
                    Ok(&*to)
                }
            }
        })
    }
}

/// A result that is put together from those of single planes.
pub(super) trait Tally: Default + Send {
    /// Adds the result of later planes.
    fn add(&mut self, later: Self);
}

/// Judges the planes at some places of the files.
pub(super) fn judge_planes<const FILES: usize, T: Tally>(
    files: [&Planes; FILES],
    places: Range<usize>,
    judge: impl Fn(&mut T, Judged<FILES>, &mut Scratch<FILES>) + Sync,
) -> T {
    let mut next = places.start;
    let mut read = || {
        let batch = read_batch(files, next..places.end);
        next += batch.planes.len();
        batch
    };
    let mut all = T::default();
    let mut batch = read();
    while !batch.planes.is_empty() {
        let (following, tally) = rayon::join(&mut read, || judge_batch(&batch, &judge));
        all.add(tally);
        batch = following;
    }
    all
}

fn read_batch<const FILES: usize>(files: [&Planes; FILES], places: Range<usize>) -> Batch<FILES> {
    let mut batch = Batch {
        bytes: std::array::from_fn(|_| Vec::new()),
        planes: Vec::new(),
    };
    for place in places.take(BATCH_PLANES) {
        let mut bytes = batch.bytes.iter_mut();
        let reads = files.map(|planes| {
            let Some(bytes) = bytes.next() else {
                return Read::Unreadable(String::new());
            };
            let start = bytes.len();
            match planes.append(place, bytes) {
                Ok(stored) => Read::Bytes(stored, start..bytes.len()),
                Err(reason) => Read::Unreadable(reason),
            }
        });
        batch.planes.push((place, reads));
        if batch.bytes.iter().map(Vec::len).sum::<usize>() > BATCH_BYTES {
            break;
        }
    }
    batch
}

fn judge_batch<const FILES: usize, T: Tally>(
    batch: &Batch<FILES>,
    judge: &(impl Fn(&mut T, Judged<FILES>, &mut Scratch<FILES>) + Sync),
) -> T {
    let parts = batch.planes.par_chunks(JUDGED_TOGETHER).map(|planes| {
        let mut scratch = Scratch::new();
        let mut tally = T::default();
        for (place, reads) in planes {
            let judged = Judged {
                place: *place,
                reads,
                batch,
            };
            judge(&mut tally, judged, &mut scratch);
        }
        tally
    });
    parts.reduce(T::default, |mut before, later| {
        before.add(later);
        before
    })
}
