//! The results of a work unit: neighbouring neurons of one subject, over all frames.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// How a subject of `N` neurons and `T` frames is cut into work units of neighbouring neurons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    pub frames: usize,
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
    pub neurons: Range<usize>,
    /// ΔF/F, (n, T), where traces were asked for; else empty.
    pub dff: Vec<f32>,
    /// Spike rates in spikes per frame, (n, T), where traces were asked for; else empty.
    pub rate: Vec<f32>,
    /// Spikes, (n, ceil(T / 8)), one bit per frame, least significant first.
    pub spikes: Vec<u8>,
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
    pub spikes: u64,
    /// The traces of the neurons to be drawn.
    pub plotted: Vec<PlottedNeuron>,
    pub read_sec: f64,
    /// Summed over threads.
    pub compute_sec: f64,
    /// Computed by an earlier run that was interrupted.
    pub from_journal: bool,
}

/// ΔF/F, spike rate and bit-packed spikes of a neuron to be drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlottedNeuron {
    pub neuron: usize,
    pub dff: Vec<f32>,
    pub rate: Vec<f32>,
    pub spikes: Vec<u8>,
}
