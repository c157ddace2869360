//! What every rank knows of a subject, and how it is cut into work units.

use std::ops::Range;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use spikegrid_core::activity::CHUNK_NEURONS;
use spikegrid_core::baseline::{Baseline, DffSettings, Window};
use spikegrid_core::unit::Units;
use spikegrid_files::input::{Location, Piece, Storage};
use spikegrid_files::output::journal::Journal;
use spikegrid_files::output::unit_files::UnitFiles;

/// Fluorescence samples in one work unit, at most: 16 MiB as f32.
const UNIT_SAMPLES: usize = 4 << 20;
/// Units per subject that let a thousand ranks share a few subjects well (`spikegrid-mpi plan`); more where units would be wider than a
/// chunk of `activity.h5`.
const UNITS_PER_SUBJECT: usize = 2048;
/// Fewer neurons than this are not worth a unit of their own.
const SMALLEST_UNIT: usize = 32;

/// A subject as the ranks see it: `N` neurons of `T` frames, cut into work units.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubjectPlan {
    /// Place among the subjects of the run.
    pub index: usize,
    /// Name of its folder.
    pub name: String,
    /// Where its fluorescence lies.
    pub location: Location,
    /// How it lies in its file.
    pub storage: Storage,
    /// The number in the run of the model by which rates are inferred.
    pub model: usize,
    /// How its samples become ΔF/F.
    pub dff: DffSettings,
    /// Frames, T.
    pub frames: usize,
    /// Neurons, N.
    pub neurons: usize,
    /// Neurons of a work unit; the last unit may have fewer.
    pub unit_neurons: usize,
    /// Units that are read together, at most.
    pub stretch_units: usize,
    /// The rank that collects the spikes of all neurons and writes the grids.
    pub writer: usize,
    /// The neurons of the PDF, ascending.
    pub plotted: Vec<usize>,
    /// The files that every rank fills unit by unit.
    pub unit_files: UnitFiles,
    /// What an interrupted run finished, and where this one notes what it finishes.
    pub journal: Journal,
}

impl SubjectPlan {
    /// A recording without files, as forecasts and tests have it: units of the size that `--batch_size` leaves by default, all read
    /// together.
    pub fn made_up(storage: Storage) -> Self {
        let (frames, neurons) = (storage.frames(), storage.neurons());
        let unit_neurons = unit_neurons(neurons, frames, usize::MAX);
        Self {
            index: 0,
            name: String::new(),
            location: Location::made_up(storage),
            storage,
            model: 0,
            dff: DffSettings::new(Baseline::Dff, Window::from_half(30)),
            frames,
            neurons,
            unit_neurons,
            stretch_units: neurons.div_ceil(unit_neurons).max(1),
            writer: 0,
            plotted: Vec::new(),
            unit_files: UnitFiles::default(),
            journal: Journal::default(),
        }
    }

    /// How the neurons are cut into work units.
    pub fn cut_into_units(&self) -> Units {
        Units {
            frames: self.frames,
            neurons: self.neurons,
            unit_neurons: self.unit_neurons,
        }
    }

    /// The number of work units.
    pub fn units(&self) -> usize {
        self.cut_into_units().count()
    }

    /// The neurons of a work unit.
    pub fn unit(&self, unit: usize) -> Range<usize> {
        self.cut_into_units().neurons_of(unit)
    }

    /// The neurons of neighbouring work units.
    pub fn neurons_of(&self, units: &Range<usize>) -> Range<usize> {
        let neuron = |unit: usize| (unit * self.unit_neurons).min(self.neurons);
        neuron(units.start)..neuron(units.end)
    }

    /// The stretch that a unit is read in.
    pub fn stretch_of(&self, unit: usize) -> usize {
        unit / self.stretch_units
    }

    /// The units of a stretch.
    pub fn stretch(&self, stretch: usize) -> Range<usize> {
        let start = stretch * self.stretch_units;
        start..(start + self.stretch_units).min(self.units())
    }

    /// The number of stretches.
    pub fn stretches(&self) -> usize {
        self.units().div_ceil(self.stretch_units)
    }

    /// The pieces in which each stretch is read.
    pub fn pieces(&self) -> Vec<Vec<Piece>> {
        let neurons = |stretch| self.neurons_of(&self.stretch(stretch));
        let stretches = (0..self.stretches()).map(neurons);
        stretches
            .map(|neurons| self.location.pieces(&neurons))
            .collect()
    }
}

/// Neurons per work unit, from the recording and `--batch_size` alone, so that it is the same for any ranks, threads
/// and memory.
pub fn unit_neurons(neurons: usize, frames: usize, batch_size: usize) -> usize {
    let shared = neurons.div_ceil(UNITS_PER_SUBJECT);
    let shared = shared.clamp(SMALLEST_UNIT, CHUNK_NEURONS);
    let width = shared.min(UNIT_SAMPLES / frames.max(1));
    width.min(neurons).min(batch_size).max(1)
}

/// The neurons of the PDF: `count` different ones of `neurons`, chosen by the seed, ascending (rule 8.3).
pub fn plotted_neurons(neurons: usize, count: usize, seed: u64) -> Vec<usize> {
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
                assert!((1..=batch).contains(&unit_neurons(neurons, frames, batch)));
            }
        }
    }

    #[test]
    fn a_thousand_ranks_can_share_a_subject() {
        assert!(80_000 / unit_neurons(80_000, 8_000, 30_000) >= 1024);
    }

    #[test]
    fn a_unit_is_no_larger_than_memory_allows() {
        assert_eq!(unit_neurons(100_000, 1 << 20, 30_000), 4);
        assert_eq!(unit_neurons(100_000, 1 << 40, 30_000), 1);
    }

    #[test]
    fn stretches_and_their_neurons_cover_the_subject_once() {
        let plan = SubjectPlan {
            unit_neurons: 7,
            stretch_units: 4,
            ..SubjectPlan::made_up(Storage::contiguous(10, 100))
        };
        let stretches: Vec<Range<usize>> = (0..plan.stretches())
            .map(|stretch| plan.stretch(stretch))
            .collect();
        assert!(stretches.iter().cloned().flatten().eq(0..plan.units()));
        let neurons = stretches.iter().flat_map(|units| plan.neurons_of(units));
        assert!(neurons.eq(0..100));
        assert!((0..plan.units()).all(|unit| plan.stretch(plan.stretch_of(unit)).contains(&unit)));
    }

    #[test]
    fn rule_8_3_plotted_neurons_are_different_and_repeatable() {
        let chosen = plotted_neurons(1000, 10, 42);
        assert_eq!(chosen, plotted_neurons(1000, 10, 42));
        assert_ne!(chosen, plotted_neurons(1000, 10, 43));
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen.len() == 10);
        assert_eq!(plotted_neurons(3, 10, 42), [0, 1, 2]);
        assert!(plotted_neurons(0, 10, 42).is_empty());
    }
}
