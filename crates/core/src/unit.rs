//! The results of a work unit: neighbouring neurons of one subject, over all frames.

use std::ops::Range;

use serde::{Deserialize, Serialize};

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
    /// Neurons with frames that have no rate, beside those at the ends.
    pub neurons_with_gaps: usize,
    /// Spikes of all neurons and frames of the unit.
    pub spikes: u64,
    /// The traces of those neurons that are plotted.
    pub plotted: Vec<PlottedNeuron>,
    /// Seconds of reading the unit from the journal, if it comes from there.
    pub read_sec: f64,
    /// Seconds of computing, summed over threads.
    pub compute_sec: f64,
    /// Whether an earlier run that was interrupted computed the unit.
    pub from_journal: bool,
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
