//! What every rank knows of a subject, and how it is cut into work units.

use std::ops::Range;
use std::path::PathBuf;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::input::traces::Orientation;
use crate::output::journal::Journal;
use crate::output::traces::TracesFile;

/// Fluorescence samples in one work unit, at most: 16 MiB as f32.
const UNIT_SAMPLES: usize = 4 << 20;
/// Samples in a unit that was widened to whole storage chunks, at most: 128 MiB as f32.
const CHUNKED_UNIT_SAMPLES: usize = 32 << 20;
/// Units per subject that let a thousand ranks share a few subjects well (`spikegrid-mpi plan`).
const UNITS_PER_SUBJECT: usize = 2048;
/// Fewer neurons than this are not worth a unit of their own.
const SMALLEST_UNIT: usize = 32;

/// A subject as the ranks see it: `N` neurons of `T` frames, cut into work units.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubjectPlan {
    /// Place among the subjects of the run.
    pub index: usize,
    pub name: String,
    /// `TimeSeries.h5`.
    pub traces_path: PathBuf,
    pub dataset: String,
    pub orientation: Orientation,
    pub frames: usize,
    pub neurons: usize,
    pub unit_neurons: usize,
    /// The rank that gathers the spikes and writes the grids.
    pub writer: usize,
    /// The neurons of the PDF, ascending.
    pub drawn: Vec<usize>,
    /// Where the traces of all neurons go, if they are wanted.
    pub traces_file: Option<TracesFile>,
    /// What an interrupted run finished, and where this one notes what it finishes.
    pub journal: Journal,
}

impl SubjectPlan {
    /// The number of work units.
    pub fn units(&self) -> usize {
        self.neurons.div_ceil(self.unit_neurons)
    }

    /// The neurons of a work unit.
    pub fn unit(&self, unit: usize) -> Range<usize> {
        let start = unit * self.unit_neurons;
        start..(start + self.unit_neurons).min(self.neurons)
    }
}

/// Neurons per work unit, from the recording and `--batch_size` alone, so that it is the same for any ranks, threads
/// and memory. `chunk_width` is the extent of a storage chunk along the neurons: a unit of whole chunks lets each
/// chunk be inflated once.
pub fn unit_neurons(
    neurons: usize,
    frames: usize,
    chunk_width: Option<usize>,
    batch_size: usize,
) -> usize {
    let frames = frames.max(1);
    let shared = neurons.div_ceil(UNITS_PER_SUBJECT).max(SMALLEST_UNIT);
    let mut width = shared.min(UNIT_SAMPLES / frames);
    if let Some(chunk) = chunk_width {
        width = width
            .next_multiple_of(chunk.max(1))
            .min(CHUNKED_UNIT_SAMPLES / frames);
    }
    width.min(neurons).min(batch_size).max(1)
}

/// The neurons of the PDF: `count` different ones of `neurons`, drawn by the seed, ascending (rule 8.3).
pub fn drawn_neurons(neurons: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut all: Vec<usize> = (0..neurons).collect();
    let count = count.min(neurons);
    for place in 0..count {
        let left = (neurons - place) as u128;
        let pick = place + ((u128::from(generator.next_u64()) * left) >> 64) as usize;
        all.swap(place, pick);
    }
    all.truncate(count);
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_1_2_batch_size_is_the_most_neurons_in_a_unit() {
        for (neurons, frames) in [(1, 1), (1005, 1040), (100_000, 8_000), (70_000, 100)] {
            for batch in [1, 7, 30_000] {
                assert!((1..=batch).contains(&unit_neurons(neurons, frames, None, batch)));
                assert!((1..=batch).contains(&unit_neurons(neurons, frames, Some(29), batch)));
            }
        }
    }

    #[test]
    fn a_thousand_ranks_can_share_a_subject() {
        assert!(80_000 / unit_neurons(80_000, 8_000, None, 30_000) >= 1024);
    }

    #[test]
    fn units_are_whole_storage_chunks_where_memory_allows() {
        assert_eq!(unit_neurons(10_000, 1_000, Some(29), 30_000) % 29, 0);
        assert_eq!(unit_neurons(100_000, 1_000, Some(100_000), 30_000), 30_000);
        assert_eq!(unit_neurons(100_000, 1 << 40, Some(100_000), 30_000), 1);
    }

    #[test]
    fn rule_8_3_drawn_neurons_are_different_and_repeatable() {
        let drawn = drawn_neurons(1000, 10, 42);
        assert_eq!(drawn, drawn_neurons(1000, 10, 42));
        assert_ne!(drawn, drawn_neurons(1000, 10, 43));
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]) && drawn.len() == 10);
        assert_eq!(drawn_neurons(3, 10, 42), [0, 1, 2]);
        assert!(drawn_neurons(0, 10, 42).is_empty());
    }
}
