//! The results of a work unit: neighbouring neurons of one subject, over all frames.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::activity::StoredRates;
use crate::facts::RepeatedFrames;

/// How a subject of `N` neurons and `T` frames is cut into work units of neighbouring neurons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Frames of the recording, T.
    pub frames: usize,
    /// Neurons of the recording, N.
    pub neurons: usize,
    /// Neurons of a unit; the last one may have fewer.
    pub unit_neurons: usize,
}

impl Units {
    /// The number of work units.
    pub fn count(&self) -> usize {
        self.neurons.div_ceil(self.unit_neurons)
    }

    /// The neurons of a work unit.
    pub fn neurons_of(&self, unit: usize) -> Range<usize> {
        let start = unit * self.unit_neurons;
        start..(start + self.unit_neurons).min(self.neurons)
    }
}

/// The results of a work unit of `n` neurons and `T` frames.
pub struct UnitOutput {
    /// The neurons of the unit.
    pub neurons: Range<usize>,
    /// ΔF/F, (n, T), where traces were asked for; else empty.
    pub dff: Vec<f32>,
    /// Spike rates in spikes per frame, (n, T), where traces were asked for; else empty.
    pub rate: Vec<f32>,
    /// Spikes, (n, ceil(T / 8)), one bit per frame, least significant first.
    pub spikes: Vec<u8>,
    /// What rank 0 learns of the unit.
    pub summary: UnitSummary,
}

/// What rank 0 learns of a work unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UnitSummary {
    /// Noise level of each neuron (rule 4.3).
    pub noise_level: Vec<f32>,
    /// Noise level of the ensemble that each neuron uses.
    pub model_noise_level: Vec<i32>,
    /// What was found out about each neuron on the way.
    pub facts: Vec<NeuronFacts>,
    /// Frames in which all neurons of the unit have the same samples as in the frame before.
    pub repeated_frames: RepeatedFrames,
    /// Frames, ascending, in which all neurons of the recording are 0.
    pub blank_frames: Vec<u32>,
    /// Spikes of all neurons and frames of the unit.
    pub spikes: u64,
    /// The traces of those neurons that are plotted.
    pub plotted: Vec<PlottedNeuron>,
    /// Where its rates lie in `activity.h5`, if that is written.
    pub stored_rates: Option<StoredRates>,
    /// Seconds of reading the unit from the journal, if it comes from there.
    pub read_sec: f64,
    /// Seconds of computing, summed over threads.
    pub compute_sec: f64,
    /// Whether an earlier run that was interrupted computed the unit.
    pub from_journal: bool,
}

/// What was found out about a neuron while it was computed: what findings and `neurons.tsv` are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct NeuronFacts {
    /// Hash of its samples as they were read.
    pub hash: u64,
    /// Samples that are missing, blank frames apart.
    pub missing_frames: u32,
    /// Samples of the value that the user says missing samples have, in blank frames too.
    pub marked_frames: u32,
    /// Median of F0 in the unit of the scaled samples; NaN where there is no F0.
    pub f0_median: f32,
    /// Frames with F0 <= 0, where the baseline divides.
    pub f0_not_positive: u32,
    /// Frames without ΔF/F between two that have one, those with F0 <= 0 apart: what a longer bridge over gaps would give ΔF/F.
    pub gap_frames: u32,
    /// Frames without a rate, beside those at the ends; 0 where the recording is shorter than the network's window.
    pub frames_without_rate: u32,
    /// Sum of its spike probabilities.
    pub expected_spikes: f32,
    /// Sum of what its rates are above one spike per frame.
    pub clipped_spikes: f32,
    /// Its largest rate, in spikes per frame; 0 where it has none.
    pub largest_rate: f32,
    /// Its spikes.
    pub spikes: u32,
    /// What is odd about it.
    pub flags: NeuronFlags,
}

impl NeuronFacts {
    /// Whether it has samples that differ.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !self.flags.has(NeuronFlags::DEAD) && !self.flags.has(NeuronFlags::MISSING)
    }

    /// Share of its expected spikes that lies above one per frame, which a grid cannot hold.
    #[must_use]
    pub fn clipped_share(&self) -> f32 {
        match self.expected_spikes + self.clipped_spikes {
            all if all > 0.0 => self.clipped_spikes / all,
            _ => 0.0,
        }
    }
}

/// What is odd about a neuron, as a set of bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeuronFlags(u16);

impl NeuronFlags {
    /// Its samples are all equal, those of blank frames apart.
    pub const DEAD: Self = Self(1);
    /// It has no sample, blank frames apart.
    pub const MISSING: Self = Self(1 << 1);
    /// At least 1 % of its samples, and at least 5, are at its largest value, and at least twice as many as at the next one below.
    pub const CLIPPED: Self = Self(1 << 2);
    /// It has samples of exactly 0 below half of the 8th percentile of the others.
    pub const ZEROS: Self = Self(1 << 3);
    /// Some ΔF/F is beyond 20 on either side, where the baseline divides.
    pub const NEAR_ZERO: Self = Self(1 << 4);
    /// F0 changes by more than half of it from the first to the last tenth (medians of both), where the baseline divides.
    pub const DRIFT: Self = Self(1 << 5);

    /// The flags with their names in `neurons.tsv`.
    pub const NAMES: [(Self, &'static str); 6] = [
        (Self::DEAD, "dead"),
        (Self::MISSING, "missing"),
        (Self::CLIPPED, "clipped"),
        (Self::ZEROS, "zeros"),
        (Self::NEAR_ZERO, "near_zero"),
        (Self::DRIFT, "drift"),
    ];

    /// Adds a flag where something holds.
    pub fn set(&mut self, flag: Self, holds: bool) {
        if holds {
            self.0 |= flag.0;
        }
    }

    /// Whether it has a flag.
    #[must_use]
    pub const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

/// A neuron that is plotted in the subject's PDF.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlottedNeuron {
    /// Its place in the recording, from 0.
    pub neuron: usize,
    /// ΔF/F, (T,).
    pub dff: Vec<f32>,
    /// Spike rate in spikes per frame, (T,); NaN where a frame has none.
    pub rate: Vec<f32>,
    /// Bit-packed spikes, (ceil(T / 8),).
    pub spikes: Vec<u8>,
}
