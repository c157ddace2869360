//! The activity matrix of a subject (rule 8.9): the spike rates of all neurons frame by frame, in compressed chunks.
//!
//! A chunk holds up to 1,000 frames of the neurons of one work unit, so that whoever has computed the unit can compress all of its
//! chunks alone.

use std::convert::Infallible;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use zlib_rs::Strategy;

use crate::slab::Compressor;
use crate::unit::Units;

/// Frames in a chunk, at most.
const CHUNK_FRAMES: usize = 1000;
/// Neurons in a chunk, at most.
pub const CHUNK_NEURONS: usize = 100;

/// The numbers in which rates are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE single precision: the rates as they are.
    #[default]
    F32,
    /// IEEE half precision: rates to 1 in 2,000, half of the bytes.
    F16,
}

impl Precision {
    /// The name, as `--activity` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// Bytes of a number.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// How a matrix of `T` frames and `N` neurons is cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks {
    /// Frames of the recording, T.
    pub frames: usize,
    /// Neurons of the recording, N.
    pub neurons: usize,
    /// Neurons of a chunk, which are those of a work unit.
    pub chunk_neurons: usize,
    /// The numbers in the chunks.
    pub precision: Precision,
}

impl Chunks {
    /// One column of chunks for each work unit.
    #[must_use]
    pub fn of(units: Units, precision: Precision) -> Self {
        Self {
            frames: units.frames,
            neurons: units.neurons,
            chunk_neurons: units.unit_neurons,
            precision,
        }
    }

    /// Frames and neurons of a chunk; all chunks have about as many frames, so that little is stored beyond the last one.
    #[must_use]
    pub fn extents(&self) -> [usize; 2] {
        let blocks = self.frames.div_ceil(CHUNK_FRAMES);
        [self.frames.div_ceil(blocks), self.chunk_neurons]
    }

    /// The number of chunks along frames and along neurons.
    #[must_use]
    pub fn counts(&self) -> [usize; 2] {
        let [frames, neurons] = self.extents();
        [self.frames.div_ceil(frames), self.neurons.div_ceil(neurons)]
    }

    /// Compresses the chunks of a work unit of `n` neurons with these rates, (n, T).
    ///
    /// # Panics
    /// When the rates are not those of 1 to [`Self::chunk_neurons`] neurons.
    #[must_use]
    pub fn pack(&self, rates: &[f32]) -> PackedRates {
        let mut compressor = Compressor::new(Strategy::Default, self.chunk_bytes());
        let mut packed = PackedRates::default();
        let Ok(()) = self.try_for_each::<Infallible>(rates, |chunk| {
            let bytes = compressor.compress(chunk);
            packed.lengths.push(bytes.len() as u32);
            packed.bytes.extend_from_slice(&bytes);
            Ok(())
        });
        packed
    }

    /// Bytes of a chunk that is not compressed.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        self.extents().into_iter().product::<usize>() * self.precision.bytes()
    }

    /// Hands out the bytes of each chunk of a work unit of `n` neurons with these values, (n, T), in the order of frames.
    ///
    /// # Errors
    /// The first that `each` returns.
    ///
    /// # Panics
    /// When the values are not those of 1 to [`Self::chunk_neurons`] neurons.
    pub fn try_for_each<E>(
        &self,
        values: &[f32],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let [chunk_frames, chunk_neurons] = self.extents();
        let neurons = values.len() / self.frames;
        assert!(
            (1..=chunk_neurons).contains(&neurons) && values.len() == neurons * self.frames,
            "values of a unit"
        );
        let mut chunk = vec![0; self.chunk_bytes()];
        for start in (0..self.frames).step_by(chunk_frames) {
            let frames = start..(start + chunk_frames).min(self.frames);
            // Beyond the edge of the matrix, chunks hold zeros.
            chunk.fill(0);
            for (column, values) in values.chunks_exact(self.frames).enumerate() {
                self.put(&mut chunk, column, &values[frames.clone()]);
            }
            each(&chunk)?;
        }
        Ok(())
    }

    /// Puts the rates of one neuron into a column of a chunk.
    fn put(&self, chunk: &mut [u8], column: usize, rates: &[f32]) {
        let rows = chunk.chunks_exact_mut(self.chunk_neurons * self.precision.bytes());
        for (row, &rate) in rows.zip(rates) {
            match self.precision {
                Precision::F32 => row[4 * column..][..4].copy_from_slice(&rate.to_le_bytes()),
                Precision::F16 => {
                    let rate = half::f16::from_f32(rate);
                    row[2 * column..][..2].copy_from_slice(&rate.to_le_bytes());
                }
            }
        }
    }
}

/// The compressed chunks of a work unit, in the order of frames.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PackedRates {
    /// Bytes of each chunk.
    pub lengths: Vec<u32>,
    /// The chunks, one after the other.
    pub bytes: Vec<u8>,
}

/// Where the chunks of a work unit lie in their file, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRates {
    /// Address of the first.
    pub address: u64,
    /// Bytes of each.
    pub lengths: Vec<u32>,
    /// CRC-32 of all of them.
    pub checksum: u32,
}

impl StoredRates {
    /// First byte of each chunk, and its bytes.
    pub fn places(&self) -> impl Iterator<Item = (u64, u32)> {
        let mut next = self.address;
        self.lengths.iter().map(move |&length| {
            let address = next;
            next += u64::from(length);
            (address, length)
        })
    }

    /// The bytes of all chunks.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        let bytes = self.lengths.iter().map(|&length| u64::from(length));
        self.address..self.address + bytes.sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn rule_8_9_chunks_hold_the_rates_frame_by_frame() {
        for (frames, precision) in [
            (1, Precision::F32),
            (2500, Precision::F32),
            (1001, Precision::F16),
        ] {
            let chunks = Chunks {
                frames,
                neurons: 12,
                chunk_neurons: 5,
                precision,
            };
            let [chunk_frames, _] = chunks.extents();
            assert!(chunk_frames <= 1000);
            assert!(chunk_frames * chunks.counts()[0] < frames + chunks.counts()[0]);
            assert_eq!(chunks.counts(), [frames.div_ceil(1000), 3]);
            // The last unit has two neurons.
            for neurons in [5, 2] {
                let rates: Vec<f32> = (0..neurons * frames)
                    .map(|place| {
                        if place == 3 {
                            f32::NAN
                        } else {
                            place as f32 / 64.0
                        }
                    })
                    .collect();
                let packed = chunks.pack(&rates);
                assert_eq!(packed.lengths.len(), chunks.counts()[0]);
                let mut rest = &packed.bytes[..];
                for (number, &length) in packed.lengths.iter().enumerate() {
                    let (chunk, after) = rest.split_at(length as usize);
                    rest = after;
                    let mut found = Vec::new();
                    flate2::read::ZlibDecoder::new(chunk)
                        .read_to_end(&mut found)
                        .unwrap();
                    let expected: Vec<u8> = (0..chunk_frames * 5)
                        .flat_map(|place| {
                            let (frame, column) = (number * chunk_frames + place / 5, place % 5);
                            let is_there = frame < frames && column < neurons;
                            let rate = if is_there {
                                rates[column * frames + frame]
                            } else {
                                0.0
                            };
                            match precision {
                                Precision::F32 => rate.to_le_bytes().to_vec(),
                                Precision::F16 => half::f16::from_f32(rate).to_le_bytes().to_vec(),
                            }
                        })
                        .collect();
                    assert!(found == expected, "chunk {number} of {frames} frames");
                }
                assert!(rest.is_empty());
            }
        }
    }

    #[test]
    fn chunks_follow_each_other() {
        let stored = StoredRates {
            address: 100,
            lengths: vec![7, 5],
            checksum: 0,
        };
        assert!(stored.places().eq([(100, 7), (107, 5)]));
        assert_eq!(stored.range(), 100..112);
    }
}
