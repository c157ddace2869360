//! A slab: neighbouring frames of a subject, from the spikes of all neurons to compressed planes, or to their pixels.
//!
//! Spikes are computed neuron by neuron, and grids are stored frame by frame. So the rank that has computed a work unit turns its
//! spikes, and the writer of the subject, which has the spikes of all neurons, takes slabs of frames out of them. Any rank
//! rasterises a slab and compresses its planes. A slab is a multiple of 8 frames, so that a neuron's part of the slab is whole
//! bytes of its bit-packed spikes. A rank rasterises one plane in 8 frames at a time, which stay in its cache.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status, Strategy};

use crate::grid::{Layout, PLANE_BYTES};
use crate::spikes::row_bytes;

/// The level of rule 8.1.
pub const GZIP_LEVEL: u8 = 1;
/// Frames of which a neuron's spikes are one byte.
const OCTET: usize = 8;
/// Planes in a slab that is compressed (but never fewer than 8 frames): 32 MiB of grids.
const SLAB_PLANES: usize = 1024;
/// Planes in a slab that is not: a rank holds several of these, 16 MiB each.
const UNPACKED_SLAB_PLANES: usize = 512;
/// Bytes of spikes in a slab, at most (but never fewer than 8 frames).
const SLAB_BYTES: usize = 8 << 20;

/// How grids are stored (rule 8.8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Each plane compressed by itself.
    #[default]
    Gzip,
    /// Pixels as they are, all in one run of bytes.
    None,
}

impl Compression {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::None];

    /// Its name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How the `T` frames of a subject are cut into slabs.
#[derive(Debug, Clone, Copy)]
pub struct Slabs {
    frames: usize,
    slab_frames: usize,
}

impl Slabs {
    /// Cuts `frames` frames of `neurons` neurons and `planes` z-planes into slabs of about 1,024 planes, or half as many where
    /// these are not compressed.
    pub fn new(frames: usize, neurons: usize, planes: usize, compression: Compression) -> Self {
        let slab_planes = match compression {
            Compression::Gzip => SLAB_PLANES,
            Compression::None => UNPACKED_SLAB_PLANES,
        };
        let by_planes = slab_planes / planes.max(1) / OCTET;
        let by_memory = SLAB_BYTES / neurons.max(1);
        Self {
            frames,
            slab_frames: OCTET * by_planes.min(by_memory).max(1),
        }
    }

    /// The number of slabs.
    pub fn count(&self) -> usize {
        self.frames.div_ceil(self.slab_frames)
    }

    /// The frames of a slab.
    pub fn frames(&self, slab: usize) -> Range<usize> {
        let start = slab * self.slab_frames;
        start..(start + self.slab_frames).min(self.frames)
    }
}

/// The spikes of a slab of `F` frames of `N` neurons, ceil(F / 8) octets of frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slab {
    /// The frames of the slab.
    pub frames: Range<usize>,
    /// (octets, N): bit `f` of a byte is the neuron's spike in frame `f` of the octet.
    #[serde(with = "serde_bytes")]
    pub octets: Vec<u8>,
}

impl Slab {
    /// Frames in which no neuron spikes.
    pub fn silent(frames: Range<usize>, neurons: usize) -> Self {
        let octets = vec![0; row_bytes(frames.len()) * neurons];
        Self { frames, octets }
    }

    /// Puts the spikes of a work unit in, which has the same frames.
    pub fn put(&mut self, unit: &UnitSpikes) {
        let neurons = unit.neurons.len().max(1);
        let octets = self.octets.chunks_exact_mut(unit.of_neurons.max(1));
        for (octet, spikes) in octets.zip(unit.octets.chunks_exact(neurons)) {
            if let Some(octet) = octet.get_mut(unit.neurons.clone()) {
                octet.copy_from_slice(spikes);
            }
        }
    }

    /// The octets of `neurons` neurons, one after the other, (N,) each.
    pub fn octets(&self, neurons: usize) -> impl Iterator<Item = &[u8]> {
        self.octets.chunks_exact(neurons.max(1))
    }

    /// The part of this slab that has these frames, which are whole octets of it.
    ///
    /// # Panics
    /// When the slab has not all of these frames.
    pub fn part(&self, frames: Range<usize>) -> Self {
        let octets = row_bytes(self.frames.len());
        let neurons = self.octets.len() / octets.max(1);
        let first = (frames.start - self.frames.start) / OCTET;
        let octets = first * neurons..(first + row_bytes(frames.len())) * neurons;
        Self {
            octets: self.octets[octets].to_vec(),
            frames,
        }
    }

    /// Spikes of all neurons in each frame, (F,).
    pub fn spikes_per_frame(&self) -> Vec<u32> {
        let neurons = self.octets.len() / row_bytes(self.frames.len()).max(1);
        let counts = self.octets(neurons).flat_map(|octet| {
            let spikes = |bit: usize| octet.iter().map(move |byte| u32::from(byte >> bit & 1));
            (0..OCTET).map(move |bit| spikes(bit).sum())
        });
        counts.take(self.frames.len()).collect()
    }

    /// Rasterises the planes of all frames and compresses each, if they are to be compressed, on the threads of the current pool.
    /// `clock` tells the time since some moment.
    ///
    /// # Panics
    /// When the spikes are not those of the layout's neurons.
    pub fn rasterise(
        &self,
        layout: &Layout,
        compression: Compression,
        clock: impl Fn() -> Duration + Sync,
    ) -> Planes {
        let octets: Vec<&[u8]> = self.octets.chunks_exact(layout.neurons()).collect();
        assert_eq!(
            octets.len(),
            row_bytes(self.frames.len()),
            "octets of a slab"
        );
        match compression {
            Compression::Gzip => self.compressed(layout, &octets, clock),
            Compression::None => self.pixels(layout, &octets, clock),
        }
    }

    fn compressed(
        &self,
        layout: &Layout,
        octets: &[&[u8]],
        clock: impl Fn() -> Duration + Sync,
    ) -> Planes {
        let planes = layout.planes();
        let packed: Vec<(Vec<Packed>, f64)> = (0..octets.len() * planes)
            .into_par_iter()
            .map_init(
                || {
                    (
                        RasterScratch::new(),
                        Compressor::new(Strategy::Rle, PLANE_BYTES),
                    )
                },
                |(scratch, compressor), place| {
                    let start = clock();
                    let (octet, plane) = (place / planes, place % planes);
                    let grids = scratch.rasterise(layout, octets[octet], self.octet(octet), plane);
                    let packed = grids.chunks_exact(PLANE_BYTES);
                    let packed = packed.map(|plane| compressor.compress(plane)).collect();
                    (packed, (clock() - start).as_secs_f64())
                },
            )
            .collect();
        // From (octet, plane, frame) to (frame, plane): a frame's planes lie together in the file.
        let count = self.frames.len() * planes;
        let mut table = PlaneTable {
            frames: self.frames.clone(),
            lengths: Vec::with_capacity(count),
            checksums: Vec::with_capacity(count),
            spikes_per_frame: self.spikes_per_frame(),
            seconds: packed.iter().map(|(_, seconds)| seconds).sum(),
        };
        let mut bytes = Vec::new();
        for frame in 0..self.frames.len() {
            for (plane, _) in &packed[frame / OCTET * planes..][..planes] {
                let packed = &plane[frame % OCTET];
                table.lengths.push(packed.len() as u32);
                table.checksums.push(checksum(packed));
                bytes.extend_from_slice(packed);
            }
        }
        Planes { table, bytes }
    }

    fn pixels(
        &self,
        layout: &Layout,
        octets: &[&[u8]],
        clock: impl Fn() -> Duration + Sync,
    ) -> Planes {
        let planes = layout.planes();
        let mut bytes = vec![0; self.frames.len() * planes * PLANE_BYTES];
        // From (frame, plane), as they lie in the file, to (octet, plane, frame), as they are rasterised.
        let mut places: Vec<Vec<&mut [u8]>> = (0..octets.len() * planes)
            .map(|_| Vec::with_capacity(OCTET))
            .collect();
        for (place, pixels) in bytes.chunks_exact_mut(PLANE_BYTES).enumerate() {
            let (frame, plane) = (place / planes, place % planes);
            places[frame / OCTET * planes + plane].push(pixels);
        }
        let seconds = places
            .into_par_iter()
            .enumerate()
            .map_init(RasterScratch::new, |scratch, (place, out)| {
                let start = clock();
                let (octet, plane) = (place / planes, place % planes);
                let grids = scratch.rasterise(layout, octets[octet], self.octet(octet), plane);
                for (out, pixels) in out.into_iter().zip(grids.chunks_exact(PLANE_BYTES)) {
                    out.copy_from_slice(pixels);
                }
                (clock() - start).as_secs_f64()
            })
            .sum();
        let table = PlaneTable {
            frames: self.frames.clone(),
            lengths: Vec::new(),
            checksums: Vec::new(),
            spikes_per_frame: self.spikes_per_frame(),
            seconds,
        };
        Planes { table, bytes }
    }

    /// The number of frames of an octet.
    fn octet(&self, octet: usize) -> usize {
        OCTET.min(self.frames.len() - octet * OCTET)
    }
}

type Packed = Vec<u8>;

/// The spikes of a work unit, turned for the writer of its subject, which has them in octets of frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitSpikes {
    /// The neurons of the unit.
    pub neurons: Range<usize>,
    /// All neurons of the subject, N.
    pub of_neurons: usize,
    /// All frames of the subject, T.
    pub frames: usize,
    /// (ceil(T / 8), n): bit `f` of a byte is the neuron's spike in frame `f` of the octet.
    #[serde(with = "serde_bytes")]
    pub octets: Vec<u8>,
}

impl UnitSpikes {
    /// Turns the bit-packed spikes of some of `of_neurons` neurons, (n, ceil(T / 8)).
    pub fn new(neurons: Range<usize>, of_neurons: usize, frames: usize, spikes: &[u8]) -> Self {
        let row_bytes = row_bytes(frames).max(1);
        let mut octets = vec![0; row_bytes * neurons.len()];
        for (neuron, row) in spikes.chunks_exact(row_bytes).enumerate() {
            let places = octets.iter_mut().skip(neuron).step_by(neurons.len().max(1));
            for (place, byte) in places.zip(row) {
                *place = *byte;
            }
        }
        Self {
            neurons,
            of_neurons,
            frames,
            octets,
        }
    }
}

/// The planes of a slab, each compressed or as its pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planes {
    /// What they are.
    pub table: PlaneTable,
    /// The planes, one after the other.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// What the planes of a slab are, without the planes themselves; lengths and checksums are of compressed planes alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaneTable {
    /// The frames of the slab.
    pub frames: Range<usize>,
    /// Bytes of each plane, (F, Z).
    pub lengths: Vec<u32>,
    /// The Adler-32 of the pixels of each plane, (F, Z).
    pub checksums: Vec<u32>,
    /// Spikes of all neurons in each frame, (F,).
    pub spikes_per_frame: Vec<u32>,
    /// Seconds of rasterising and compressing, summed over threads.
    pub seconds: f64,
}

/// The checksum of the pixels, with which zlib ends a compressed plane.
fn checksum(packed: &[u8]) -> u32 {
    packed
        .last_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// Scratch memory of one rasterising thread: one plane in the frames of an octet.
struct RasterScratch(Vec<u8>);

impl RasterScratch {
    fn new() -> Self {
        Self(vec![0; OCTET * PLANE_BYTES])
    }

    /// Rasterises one plane in the first `frames` frames of an octet, (frames, 256, 128).
    fn rasterise(&mut self, layout: &Layout, octet: &[u8], frames: usize, plane: usize) -> &[u8] {
        let grids = &mut self.0[..frames * PLANE_BYTES];
        layout.rasterise(octet, 1, 0..frames, plane..plane + 1, grids);
        grids
    }
}

/// Compresses chunks of a file. Planes go by zlib's run-length strategy, because they are runs of zeros between single ones: a plane with
/// 1 % of its pixels set takes 600 bytes, in place of 1,160 by the default strategy in the same time. libdeflate takes three times as long.
pub(crate) struct Compressor {
    packed: Vec<u8>,
    deflate: Deflate,
}

impl Compressor {
    /// Compresses chunks of so many bytes.
    pub(crate) fn new(strategy: Strategy, chunk_bytes: usize) -> Self {
        let config = DeflateConfig {
            level: GZIP_LEVEL.into(),
            strategy,
            ..DeflateConfig::default()
        };
        // What level 1 makes of a chunk at worst is a little more than the chunk.
        Self {
            packed: vec![0; chunk_bytes + chunk_bytes / 4 + 64],
            deflate: Deflate::new_with_config(config),
        }
    }

    pub(crate) fn compress(&mut self, chunk: &[u8]) -> Packed {
        self.deflate.reset();
        let packed = &mut self.packed;
        let status = self.deflate.compress(chunk, packed, DeflateFlush::Finish);
        assert!(
            matches!(status, Ok(Status::StreamEnd)),
            "a chunk in {} bytes: {status:?}",
            packed.len()
        );
        packed[..self.deflate.total_out() as usize].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::*;
    use crate::grid::PlaneRule;

    #[test]
    fn every_frame_is_in_one_slab_and_slabs_stay_small() {
        for frames in [1, 7, 8, 9, 330, 1040, 8000] {
            for neurons in [1, 1005, 100_000, 50_000_000] {
                for planes in [1, 29, 5000] {
                    for (compression, most) in [
                        (Compression::Gzip, SLAB_PLANES),
                        (Compression::None, UNPACKED_SLAB_PLANES),
                    ] {
                        let slabs = Slabs::new(frames, neurons, planes, compression);
                        let mut next = 0;
                        for slab in 0..slabs.count() {
                            let range = slabs.frames(slab);
                            assert_eq!(range.start, next);
                            assert!(!range.is_empty() && range.start.is_multiple_of(8));
                            assert!(range.len() <= 8 || range.len() * planes <= most);
                            assert!(range.len() <= 8 || range.len() / 8 * neurons <= SLAB_BYTES);
                            next = range.end;
                        }
                        assert_eq!(next, frames);
                    }
                }
            }
        }
    }

    #[test]
    fn rules_7_3_and_8_8_slabs_hold_the_grids_of_their_frames_compressed_or_not() {
        let (neurons, frames, planes) = (50, 37, 3);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut number = |below: u64| random.next_u64() % below;
        let xyz: Vec<[f64; 3]> = (0..neurons)
            .map(|_| [number(400) as f64, number(300) as f64, number(3) as f64])
            .collect();
        let layout = Layout::new(&xyz, PlaneRule::Levels).unwrap();
        assert_eq!(layout.planes(), planes);
        let spikes: Vec<u8> = (0..neurons * row_bytes(frames))
            .map(|place| number(256) as u8 >> if place % 5 == 4 { 3 } else { 0 })
            .collect();
        for range in [0..8, 8..24, 24..37, 0..37] {
            let slab = whole(&spikes, frames, neurons).part(range.clone());
            let planes_of_slab = slab.rasterise(&layout, Compression::Gzip, || Duration::ZERO);
            let counted = &planes_of_slab.table.spikes_per_frame;
            let spikes_of = |frame: usize| {
                let rows = spikes.chunks_exact(row_bytes(frames));
                rows.map(|row| u32::from(row[frame / 8] >> (frame % 8) & 1))
                    .sum()
            };
            assert_eq!(*counted, range.clone().map(spikes_of).collect::<Vec<u32>>());
            assert_eq!(planes_of_slab.table.lengths.len(), range.len() * planes);
            let mut expected = vec![0; range.len() * planes * PLANE_BYTES];
            let row = row_bytes(frames);
            layout.rasterise(&spikes, row, range.clone(), 0..planes, &mut expected);
            let pixels = slab.rasterise(&layout, Compression::None, || Duration::ZERO);
            assert!(pixels.bytes == expected && pixels.table.frames == range);
            let mut rest = &planes_of_slab.bytes[..];
            for (length, expected) in planes_of_slab
                .table
                .lengths
                .iter()
                .zip(expected.chunks(PLANE_BYTES))
            {
                let (packed, after) = rest.split_at(*length as usize);
                let mut plane = Vec::new();
                let mut reader = flate2::read::ZlibDecoder::new(packed);
                reader.read_to_end(&mut plane).unwrap();
                assert!(plane == expected);
                rest = after;
            }
            assert!(rest.is_empty());
        }
    }

    /// The spikes of all frames, out of units of 20 neurons and a last one of fewer.
    fn whole(spikes: &[u8], frames: usize, neurons: usize) -> Slab {
        let mut whole = Slab::silent(0..frames, neurons);
        for (unit, spikes) in spikes.chunks(20 * row_bytes(frames)).enumerate().rev() {
            let first = 20 * unit;
            let unit = first..neurons.min(first + 20);
            whole.put(&UnitSpikes::new(unit, neurons, frames, spikes));
        }
        whole
    }

    #[test]
    fn a_slab_has_each_neurons_spikes_in_its_place() {
        let (neurons, frames) = (47, 61);
        let row = row_bytes(frames);
        let spikes: Vec<u8> = (0..neurons * row).map(|place| place as u8).collect();
        let whole = whole(&spikes, frames, neurons);
        for range in [0..8, 8..24, 48..61, 0..61] {
            let part = whole.part(range.clone());
            assert_eq!(part.frames, range);
            for (octet, bytes) in part.octets(neurons).enumerate() {
                let of = |neuron: usize| spikes[neuron * row + range.start / 8 + octet];
                assert!(bytes.iter().copied().eq((0..neurons).map(of)));
            }
        }
    }

    #[test]
    fn a_plane_of_noise_fits_its_buffer() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut compressor = Compressor::new(Strategy::Rle, PLANE_BYTES);
        let noise: Vec<u8> = (0..PLANE_BYTES).map(|_| random.next_u64() as u8).collect();
        assert!(compressor.compress(&noise).len() < PLANE_BYTES + PLANE_BYTES / 4);
    }
}
