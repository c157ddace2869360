//! Findings about the neurons of a recording, from what was noted while they were computed.

use std::collections::HashMap;

use super::numbers::{median, of_all, percent, rounded, whole};
use super::{Code, Finding, Severity};
use crate::baseline::Baseline;
use crate::unit::{NeuronFacts, NeuronFlags};

/// Noise level below which traces are smoother than a microscope's, in % per √Hz.
const DENOISED: f64 = 0.3;
/// Share of frames at which a neuron's F0 must be 0 or below.
const NOT_POSITIVE: f64 = 0.01;
/// Share of neighbouring frames that must be equal.
const REPEATED: f64 = 0.001;
/// How far a noise level may lie beyond the model's, and the share of neurons that must be farther.
const BEYOND_MODEL: f32 = 1.0;
const NOISE_SHARE: f64 = 0.05;
/// The largest rate that is plausible, in spikes per frame.
const LARGEST_RATE: f32 = 5.0;
/// Share of the expected spikes that may be clipped before it is a warning.
const CLIPPED_SPIKES: f64 = 0.05;

/// What is known of a recording when all its neurons are computed.
#[derive(Clone, Copy, Debug)]
pub struct Computed<'a> {
    /// What was noted of each neuron, (N,).
    pub facts: &'a [NeuronFacts],
    /// Noise level of each neuron (rule 4.3), (N,); NaN where it has none.
    pub noise_levels: &'a [f32],
    /// Least and greatest noise level for which the model has an ensemble.
    pub model_noise_levels: (i32, i32),
    /// Frames, T.
    pub frames: usize,
    /// Frames of the network's window.
    pub windowsize: usize,
    /// What was taken from the fluorescence.
    pub baseline: Baseline,
    /// Number of frames that equal the frame before in all neurons.
    pub repeated_frames: usize,
    /// Frames in which all neurons are 0, ascending.
    pub blank_frames: &'a [u32],
}

/// What was found out about the neurons (rule 9.3), in no particular order.
#[must_use]
pub fn of_neurons(computed: &Computed) -> Vec<Finding> {
    let mut found = computed.of_samples();
    found.extend(computed.of_baselines());
    found.extend(computed.of_frames());
    found.extend(computed.of_noise());
    found.extend(computed.of_rates());
    found
}

/// The neurons of which something holds.
#[derive(Clone, Copy)]
struct Concerned {
    neurons: usize,
    all: usize,
    first: Option<usize>,
}

impl Concerned {
    fn share(self) -> f64 {
        self.neurons as f64 / self.all.max(1) as f64
    }

    /// As in `12 of 1,005 neurons (1.2 %)`.
    fn text(self) -> String {
        of_all(self.neurons as u64, self.all as u64, "neuron")
    }

    /// A finding about these neurons, if there are any and they are at least this share.
    fn finding(
        self,
        code: Code,
        least: f64,
        message: impl FnOnce(&str) -> String,
        advice: &str,
    ) -> Option<Finding> {
        (self.neurons > 0 && self.share() >= least).then(|| Finding {
            neurons: self.neurons as u64,
            share: self.share(),
            first_neuron: self.first.map(|first| first as u64),
            ..Finding::new(code, message(&self.text()), advice)
        })
    }
}

impl Computed<'_> {
    fn neurons(&self, holds: impl Fn(usize, &NeuronFacts) -> bool) -> Concerned {
        let all = self.facts.iter().enumerate();
        let mut concerned = all.filter(|(neuron, facts)| holds(*neuron, facts));
        let first = concerned.next().map(|(neuron, _)| neuron);
        Concerned {
            neurons: usize::from(first.is_some()) + concerned.count(),
            all: self.facts.len(),
            first,
        }
    }

    fn flagged(&self, flag: NeuronFlags) -> Concerned {
        self.neurons(|_, facts| facts.flags.has(flag))
    }

    pub(super) fn of_samples(&self) -> Vec<Finding> {
        let clipped = self.flagged(NeuronFlags::CLIPPED).finding(
            Code::Clipped,
            0.01,
            |neurons| format!("{neurons} have 1 % of their samples or more at one and the same largest value."),
            "The detector or a number type has cut off the peaks, and spikes are missing there. Record with less light or gain, or export without clipping.",
        );
        let zeros = self.flagged(NeuronFlags::ZEROS).finding(
            Code::Zeros,
            0.01,
            |neurons| {
                format!("{neurons} have samples of exactly 0 far below all their other samples.")
            },
            "If 0 marks samples that were lost, use --missing 0.",
        );
        let dead = self.flagged(NeuronFlags::DEAD).finding(
            Code::DeadNeurons,
            0.0,
            |neurons| format!("{neurons} have the same sample in all frames."),
            "Leave them out of the recording: they carry no signal, and their spikes, if any, mean nothing.",
        );
        let missing = self.flagged(NeuronFlags::MISSING).finding(
            Code::MissingNeurons,
            0.0,
            |neurons| format!("{neurons} have no sample at all."),
            "Leave them out of the recording: they have no rates and no spikes.",
        );
        let repeated = self.repeated().finding(
            Code::RepeatedNeurons,
            0.0,
            |neurons| format!("{neurons} have the same samples as a neuron before them."),
            "Check how the traces were put together: a cell that is there twice counts twice.",
        );
        [clipped, zeros, dead, missing, repeated]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Neurons that have the samples of an earlier one, dead and missing ones apart.
    fn repeated(&self) -> Concerned {
        let mut first_of: HashMap<u64, usize> = HashMap::with_capacity(self.facts.len());
        for (neuron, facts) in self.facts.iter().enumerate() {
            first_of.entry(facts.hash).or_insert(neuron);
        }
        self.neurons(|neuron, facts| {
            let silent =
                facts.flags.has(NeuronFlags::DEAD) || facts.flags.has(NeuronFlags::MISSING);
            // A single frame tells no two neurons apart.
            self.frames > 1 && !silent && first_of.get(&facts.hash) != Some(&neuron)
        })
    }

    fn of_baselines(&self) -> Vec<Finding> {
        let least = NOT_POSITIVE * self.frames as f64;
        let is_concerned = |facts: &NeuronFacts| {
            facts.f0_not_positive > 0 && f64::from(facts.f0_not_positive) >= least
        };
        let concerned = self.facts.iter().filter(|facts| is_concerned(facts));
        let frames: u64 = concerned
            .map(|facts| u64::from(facts.f0_not_positive))
            .sum();
        let not_positive = self.neurons(|_, facts| is_concerned(facts)).finding(
            Code::NotPositive,
            0.0,
            |neurons| format!("{neurons} have a baseline F0 of 0 or below in 1 % of their frames or more, and no ΔF/F there."),
            "Dividing by such a baseline turns transients upside down. Give the fluorescence before background or neuropil was subtracted, or use --baseline subtract if the traces are ΔF/F.",
        );
        let not_positive = not_positive.map(|finding| Finding { frames, ..finding });
        let near_zero = self.flagged(NeuronFlags::NEAR_ZERO).finding(
            Code::NearZero,
            0.01,
            |neurons| {
                format!("{neurons} reach a ΔF/F beyond 20, because their baseline is nearly 0.")
            },
            "Their rates are too high. Check whether too much background was subtracted.",
        );
        let drift = self.flagged(NeuronFlags::DRIFT).finding(
            Code::Drift,
            0.1,
            |neurons| format!("The baseline of {neurons} changes by more than half from the first to the last tenth of the recording."),
            "Bleaching, drift of the focus or a change of laser power can be the cause. Compare rates of early and late frames with care.",
        );
        [not_positive, near_zero, drift]
            .into_iter()
            .flatten()
            .collect()
    }

    pub(super) fn of_frames(&self) -> Vec<Finding> {
        let frames = self.frames as u64;
        let blank = self.blank_frames.len() as u64;
        let blank = (blank > 0).then(|| Finding {
            neurons: self.facts.len() as u64,
            frames: blank,
            share: 1.0,
            first_neuron: Some(0),
            ..Finding::new(
                Code::BlankFrames,
                format!(
                    "In {} all neurons are 0, first in frame {}.",
                    of_all(blank, frames, "frame"),
                    whole(u64::from(self.blank_frames[0]))
                ),
                "These frames count as missing. Short gaps can be bridged with --bridge_gaps SEC.",
            )
        });
        let is_gap = |facts: &NeuronFacts| {
            facts.missing_frames > 0 && !facts.flags.has(NeuronFlags::MISSING)
        };
        let missing = self.with_frames(Code::MissingSamples, |facts| is_gap(facts).then_some(facts.missing_frames), "samples are missing (NaN, infinite, --missing, or never stored)", "Frames whose window holds a missing sample have no rate. Short gaps can be bridged with --bridge_gaps SEC.");
        let has_window = self.frames >= self.windowsize;
        let no_rate = self.with_frames(Code::NoRate, |facts| (has_window && facts.frames_without_rate > 0).then_some(facts.frames_without_rate), "frames have no rate, beside those at both ends", "No rate is not silence: leave these frames out, or bridge short gaps with --bridge_gaps SEC.");
        let pairs = self.frames.saturating_sub(1);
        let share = self.repeated_frames as f64 / pairs.max(1) as f64;
        let repeated = (self.repeated_frames > 0 && share >= REPEATED).then(|| Finding {
            neurons: self.facts.len() as u64,
            frames: self.repeated_frames as u64,
            share,
            first_neuron: Some(0),
            ..Finding::new(
                Code::RepeatedFrames,
                format!(
                    "{} the frame before in all neurons.",
                    match self.repeated_frames {
                        1 => format!("1 of {} frames equals", whole(frames)),
                        many => format!("{} of {} frames equal", whole(many as u64), whole(frames)),
                    }
                ),
                "The microscope or the export has written frames twice, so that times are wrong after them. Check the sampling rate, and mark repeated frames as missing.",
            )
        });
        [blank, missing, no_rate, repeated]
            .into_iter()
            .flatten()
            .collect()
    }

    /// A finding about frames of single neurons; `frames` says how many of a neuron are concerned, if any are.
    fn with_frames(
        &self,
        code: Code,
        frames: impl Fn(&NeuronFacts) -> Option<u32>,
        what: &str,
        advice: &str,
    ) -> Option<Finding> {
        let all: u64 = self.facts.iter().filter_map(&frames).map(u64::from).sum();
        let finding = self.neurons(|_, facts| frames(facts).is_some()).finding(
            code,
            0.0,
            |neurons| format!("{} {what}, in {neurons}.", whole(all)),
            advice,
        );
        finding.map(|finding| Finding {
            frames: all,
            ..finding
        })
    }

    fn of_noise(&self) -> Vec<Finding> {
        let level = |neuron: usize| self.noise_levels.get(neuron).copied().unwrap_or(f32::NAN);
        let (least, greatest) = self.model_noise_levels;
        let above = self.neurons(|neuron, _| level(neuron) > greatest as f32 + BEYOND_MODEL).finding(
            Code::NoiseAboveModel,
            NOISE_SHARE,
            |neurons| format!("{neurons} are noisier than the model's highest noise level, {greatest} % per √Hz, by more than 1."),
            "Their rates are less reliable than the model's accuracy says. Leave out noisy neurons (noise_level in neurons.tsv), or use a model with higher noise levels.",
        );
        let below = self.neurons(|neuron, _| level(neuron) < least as f32 - BEYOND_MODEL).finding(
            Code::NoiseBelowModel,
            NOISE_SHARE,
            |neurons| format!("{neurons} have less noise than the model's lowest noise level, {least} % per √Hz, by more than 1."),
            "Such traces were often smoothed or denoised, for which the model was not trained. Give the traces as recorded.",
        );
        let middle = median(self.noise_levels.iter().copied().map(f64::from).collect());
        let denoised = (middle < DENOISED && self.frames > 2).then(|| {
            let finding = Finding::new(
                Code::Denoised,
                format!(
                    "The median noise level is {} % per √Hz, and recordings have more than {DENOISED}.",
                    rounded(middle)
                ),
                "The traces were denoised or smoothed, and the model was trained on traces as recorded: rates may be wrong in time and size. Give the traces as recorded.",
            );
            Finding {
                neurons: self.facts.len() as u64,
                share: 1.0,
                first_neuron: Some(0),
                ..finding
            }
        });
        [above, below, denoised].into_iter().flatten().collect()
    }

    fn of_rates(&self) -> Vec<Finding> {
        let largest = self.facts.iter().map(|facts| facts.largest_rate);
        let largest = largest.fold(0.0, f32::max);
        let implausible = self.neurons(|_, facts| facts.largest_rate > LARGEST_RATE).finding(
            Code::ImplausibleRates,
            0.0,
            |neurons| format!("{neurons} have a rate above {LARGEST_RATE} spikes per frame, at most {}.", rounded(f64::from(largest))),
            "No neuron fires like that. Look at their traces for artefacts, baselines near 0, or a wrong --baseline or --scale.",
        );
        let sum = |of: fn(&NeuronFacts) -> f32| -> f64 {
            self.facts.iter().map(|facts| f64::from(of(facts))).sum()
        };
        let clipped = sum(|facts| facts.clipped_spikes);
        let share = clipped / (clipped + sum(|facts| facts.expected_spikes));
        let clipped = self.neurons(|_, facts| facts.clipped_spikes > 0.0).finding(
            Code::ClippedRates,
            0.0,
            |neurons| format!("{} of the inferred spikes lie above one per frame and are lost, in {neurons}.", percent(share)),
            "A grid holds one spike per neuron and frame. Use spike_rate of traces.h5 (--save_traces) where counts matter.",
        );
        let clipped = clipped.map(|finding| Finding {
            share,
            severity: if share >= CLIPPED_SPIKES {
                Severity::Warning
            } else {
                Severity::Note
            },
            ..finding
        });
        let silent = self.facts.iter().all(|facts| facts.spikes == 0);
        let none = silent.then(|| Finding {
            neurons: self.facts.len() as u64,
            share: 1.0,
            first_neuron: Some(0),
            ..Finding::new(
                Code::NoSpikes,
                "No neuron has a spike.",
                "The grids hold nothing but the marker. Check --baseline, --scale and the model against the traces.",
            )
        });
        [implausible, clipped, none].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;
