//! What is to be said of a recording once all of its neurons were computed (rule 9.3).

use super::frames::Cause;
use super::survey::Survey;
use super::wording::{Scope, Touched};
use super::{Finding, baselines, flags, frames, neurons, numbers, results};
use crate::baseline::Baseline;
use crate::unit::{NeuronFacts, NeuronFlags};

/// What is known of a recording when all its neurons are computed.
#[derive(Clone, Copy, Debug)]
pub struct Computed<'a> {
    /// What was noted of each neuron, (N,).
    pub facts: &'a [NeuronFacts],
    /// Noise level of each neuron in % per √Hz (rule 4.3), (N,); NaN where it has none.
    pub noise_levels: &'a [f32],
    /// Least and greatest noise level for which the model has an ensemble.
    pub model_noise_levels: (i32, i32),
    /// Frames, T.
    pub frames: usize,
    /// Frames of the network's window.
    pub windowsize: usize,
    /// Frames per second for which the model is made, and by which noise levels were taken.
    pub model_rate_hz: f64,
    /// What was taken from the fluorescence.
    pub baseline: Baseline,
    /// Of the samples in the window, in %.
    pub percentile: f64,
    /// The value that the user says missing samples have.
    pub missing: Option<f32>,
    /// Number of frames that equal the frame before in all neurons.
    pub repeated_frames: usize,
    /// Frames in which all neurons are 0, ascending.
    pub blank_frames: &'a [u32],
}

/// What was found out about the neurons (rule 9.3), in no particular order.
#[must_use]
pub fn of_neurons(computed: &Computed) -> Vec<Finding> {
    let mut findings = computed.survey();
    findings.extend(computed.absent_value());
    findings.extend(computed.baselines());
    findings.extend(computed.noise_levels());
    findings.extend(computed.no_rate());
    findings.extend(results::implausible(computed.facts));
    findings.extend(results::clipped(computed.facts));
    findings.extend(results::none(computed.facts, computed.frames));
    findings
}

impl Computed<'_> {
    fn survey(&self) -> Vec<Finding> {
        let survey = Survey {
            scope: Scope::Recording,
            places: &(0..self.facts.len()).collect::<Vec<_>>(),
            facts: self.facts,
            frames: self.frames,
            blank: self.blank_frames,
            pairs: self.frames.saturating_sub(1),
            repeated: self.repeated_frames,
            raw: self.baseline == Baseline::Dff,
        };
        survey.findings()
    }

    fn absent_value(&self) -> Option<Finding> {
        let any = self.facts.iter().any(|facts| facts.marked_frames > 0);
        let missing = self.missing.filter(|_| !any)?;
        let neurons = self.facts.len();
        Some(flags::absent_value(Scope::Recording, missing, neurons))
    }

    fn baselines(&self) -> impl Iterator<Item = Finding> + use<> {
        let least = baselines::NOT_POSITIVE_FRAMES * self.frames as f64;
        let often = |facts: &NeuronFacts| {
            facts.f0_not_positive > 0 && f64::from(facts.f0_not_positive) >= least
        };
        let concerned = self.facts.iter().filter(|facts| often(facts));
        let frames = concerned.map(|facts| u64::from(facts.f0_not_positive));
        let flagged = |flag| Touched::of(self.facts, |facts| facts.flags.has(flag));
        let findings = [
            baselines::not_positive(Touched::of(self.facts, often), frames.max().unwrap_or(0)),
            baselines::near_zero(flagged(NeuronFlags::NEAR_ZERO)),
            baselines::drift(flagged(NeuronFlags::DRIFT)),
        ];
        findings.into_iter().flatten()
    }

    /// Noise levels say nothing of a neuron that has no noise, and nothing of one that gets no rate.
    fn noise_levels(&self) -> impl Iterator<Item = Finding> + use<> {
        let noise = |(facts, &noise): (&NeuronFacts, &f32)| match facts.flags.has(NeuronFlags::DEAD)
        {
            true => f64::NAN,
            false => f64::from(noise),
        };
        let noise: Vec<f64> = self
            .facts
            .iter()
            .zip(self.noise_levels)
            .map(noise)
            .collect();
        let median = numbers::median(noise.clone());
        let model = self.model_noise_levels;
        let long = self.frames >= self.windowsize;
        let of_model = long.then(|| {
            [
                results::above_model(&noise, median, model, self.baseline),
                results::below_model(&noise, median, model),
            ]
        });
        let denoised = neurons::denoised(Scope::Recording, median, self.frames);
        let takes_f0 = self.baseline != Baseline::None;
        let low = takes_f0.then(|| baselines::low(&noise, self.model_rate_hz, self.percentile));
        denoised
            .into_iter()
            .chain(low.flatten())
            .chain(of_model.into_iter().flatten().flatten())
    }

    fn no_rate(&self) -> Option<Finding> {
        let without = |facts: &NeuronFacts| u64::from(facts.frames_without_rate);
        let touched = Touched::of(self.facts, |facts| without(facts) > 0);
        let any =
            |frames: fn(&NeuronFacts) -> u32| self.facts.iter().any(|facts| frames(facts) > 0);
        let cause = if any(|facts| facts.gap_frames) {
            Cause::Gaps
        } else if any(|facts| facts.f0_not_positive) {
            Cause::NotPositive
        } else {
            Cause::Ends
        };
        let without = self.facts.iter().map(without);
        frames::no_rate(touched, self.frames, without, cause)
    }
}

#[cfg(test)]
mod tests;
