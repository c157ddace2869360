//! What the samples of a neuron say before anything is done to them.

use crate::unit::{NeuronFacts, NeuronFlags};

/// Samples at the largest value that make a neuron clipped, at least, and this part of all.
const CLIPPED_SAMPLES: u32 = 5;
const CLIPPED_PART: u32 = 100;
/// Samples that were cut at the largest value pile up there: at least so many times as many as at the next value below. Whole numbers
/// do so without being cut, but are fewer the larger they are.
const PILE: u32 = 2;
/// The percentile to which samples of 0 are compared.
const LOW: f64 = 0.08;
/// Samples that are looked at together.
const LANES: usize = 16;

/// Hash of all samples of a neuron as they were read. Equal samples have equal hashes, NaN equal to any other NaN; samples that
/// differ in one frame have different ones; others have equal ones with a probability of 2⁻⁶⁴.
pub fn hash(samples: &[f32]) -> u64 {
    /// 2⁶⁴ divided by the golden ratio, odd.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    // Each step can be undone, so that traces that differ once stay different however they go on.
    let step = |hash: u64, word: u64| {
        let hash = (hash ^ word).wrapping_mul(FACTOR);
        hash ^ hash >> 32
    };
    let pairs = samples.chunks_exact(2);
    let last = pairs.remainder().first().map(|&last| u64::from(bits(last)));
    let words = pairs.map(|pair| u64::from(bits(pair[0])) | u64::from(bits(pair[1])) << 32);
    let hash = words.chain(last).fold(samples.len() as u64, step);
    step(step(hash, 0), 0)
}

/// The bits of a sample, the same ones for every NaN.
pub(super) fn bits(sample: f32) -> u32 {
    match sample.is_nan() {
        true => f32::NAN.to_bits(),
        false => sample.to_bits(),
    }
}

/// What is there of a neuron's samples.
struct There {
    samples: u32,
    zeros: u32,
    smallest: f32,
    largest: f32,
}

impl There {
    fn of(samples: &[f32]) -> Self {
        let mut there = [0u32; LANES];
        let mut zeros = [0u32; LANES];
        let mut smallest = [f32::INFINITY; LANES];
        let mut largest = [f32::NEG_INFINITY; LANES];
        let chunks = samples.chunks_exact(LANES);
        let mut last = [f32::NAN; LANES];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        for chunk in chunks.chain([&last[..]]) {
            for lane in 0..LANES {
                let sample = chunk[lane];
                let is_there = sample.abs() < f32::INFINITY;
                there[lane] += u32::from(is_there);
                zeros[lane] += u32::from(sample == 0.0);
                let low = if is_there { sample } else { f32::INFINITY };
                let high = if is_there { sample } else { f32::NEG_INFINITY };
                smallest[lane] = if low < smallest[lane] {
                    low
                } else {
                    smallest[lane]
                };
                largest[lane] = if high > largest[lane] {
                    high
                } else {
                    largest[lane]
                };
            }
        }
        Self {
            samples: there.iter().sum(),
            zeros: zeros.iter().sum(),
            smallest: smallest.into_iter().fold(f32::INFINITY, f32::min),
            largest: largest.into_iter().fold(f32::NEG_INFINITY, f32::max),
        }
    }
}

impl NeuronFacts {
    /// Notes what the samples (T,) of a neuron say, once those that are missing are NaN (rule 3.6), among them those of
    /// `blank_frames` frames.
    ///
    /// Of a recording whose frames are all blank, all samples are 0, and so equal.
    pub fn note_samples(&mut self, samples: &[f32], blank_frames: usize) {
        let there = There::of(samples);
        let frames = samples.len() - blank_frames;
        self.missing_frames = (frames as u32).saturating_sub(there.samples);
        let missing = there.samples == 0 && frames > 0;
        let dead = match frames {
            0 => blank_frames >= 2,
            _ => there.samples >= 2 && there.smallest == there.largest,
        };
        self.flags.set(NeuronFlags::MISSING, missing);
        self.flags.set(NeuronFlags::DEAD, dead);
        if missing || dead {
            return;
        }
        let largest = super::count(samples, |sample| sample == there.largest);
        let clipped = largest >= CLIPPED_SAMPLES
            && largest >= there.samples.div_ceil(CLIPPED_PART)
            && largest >= PILE * samples_below(samples, there.largest);
        self.flags.set(NeuronFlags::CLIPPED, clipped);
        let zeros = there.zeros > 0 && others_are_above_zero(samples, &there);
        self.flags.set(NeuronFlags::ZEROS, zeros);
    }
}

/// The number of samples at the largest value that is below `largest`.
fn samples_below(samples: &[f32], largest: f32) -> u32 {
    let below = samples.iter().filter(|sample| **sample < largest);
    let next = below.copied().fold(f32::NEG_INFINITY, f32::max);
    super::count(samples, |sample| sample == next)
}

/// Whether 0 is below half of the 8th percentile of the samples that are not 0, with linear interpolation: whether this percentile
/// is positive, which needs no sorting.
fn others_are_above_zero(samples: &[f32], there: &There) -> bool {
    let others = there.samples - there.zeros;
    if others == 0 {
        return false;
    }
    let place = f64::from(others - 1) * LOW;
    let lower = place as u32;
    let negative = super::count(samples, |sample| sample < 0.0 && sample.is_finite());
    if negative != lower + 1 {
        return negative <= lower;
    }
    // It lies between the largest negative sample and the smallest positive one.
    let finite = samples.iter().filter(|sample| sample.is_finite());
    let (below, above) = finite.fold(
        (f32::NEG_INFINITY, f32::INFINITY),
        |(below, above), &sample| match sample {
            _ if sample < 0.0 => (below.max(sample), above),
            _ if sample > 0.0 => (below, above.min(sample)),
            _ => (below, above),
        },
    );
    let (below, above) = (f64::from(below), f64::from(above));
    above.is_finite() && below + (above - below) * (place - f64::from(lower)) > 0.0
}
