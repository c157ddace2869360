//! Findings about the samples of single neurons.

use std::collections::HashMap;

use super::wording::{Scope, Touched, rounded};
use super::{Code, Finding};
use crate::unit::NeuronFacts;

/// Share of neurons from which clipped samples and zeros matter.
const ONE_PERCENT: f64 = 0.01;
/// Median noise level, in % per √Hz, below which hardly any microscope gets.
const LEAST_NOISE: f64 = 0.3;
/// An excerpt gives the noise level to about a tenth.
const EXCERPT_MARGIN: f64 = 0.9;
/// Fewest frames in which equal samples, or no noise, are no coincidence.
const FEWEST_FRAMES: usize = 16;

/// Traces with less noise than a microscope leaves; `frames` is how many there are.
pub(super) fn denoised(scope: Scope, noise_level: f64, frames: usize) -> Option<Finding> {
    let (about, margin) = match scope {
        Scope::Recording => ("", 1.0),
        Scope::Excerpt => ("about ", EXCERPT_MARGIN),
    };
    (noise_level < LEAST_NOISE * margin && frames >= FEWEST_FRAMES).then(|| {
        Finding::new(
            Code::Denoised,
            format!(
                "The median noise level{} is {about}{} % per √Hz, below {LEAST_NOISE}, which is less than microscopes leave.",
                scope.suffix(),
                rounded(noise_level)
            ),
            "Give traces that were not denoised, smoothed or deconvolved, because models are trained on noisy ones. If ΔF/F has \
             another unit, correct it with --scale.",
        )
    })
}

pub(super) fn clipped(touched: Touched) -> Option<Finding> {
    (touched.share() >= ONE_PERCENT).then(|| {
        touched.finding(
            Code::Clipped,
            &format!(
                "{} at least 1 % of {} samples at one and the same largest value.",
                touched.verb("has", "have"),
                touched.verb("its", "their")
            ),
            "What was above this value is lost: record with a lower gain, or export the traces with a type that holds larger numbers.",
        )
    })
}

pub(super) fn zeros(touched: Touched) -> Option<Finding> {
    (touched.share() >= ONE_PERCENT).then(|| {
        touched.finding(
            Code::Zeros,
            &format!(
                "{} samples of exactly 0, below half of the 8th percentile of {} other samples.",
                touched.verb("has", "have"),
                touched.verb("its", "their")
            ),
            "If 0 stands for a sample that is missing, use --missing 0.",
        )
    })
}

pub(super) fn dead(touched: Touched) -> Option<Finding> {
    (touched.count > 0).then(|| {
        touched.finding(
            Code::DeadNeurons,
            &format!("{} the same sample in all frames.", touched.verb("has", "have")),
            "Such neurons never spike. Leave them out of the recording, or find out why nothing was recorded at their place.",
        )
    })
}

pub(super) fn missing(touched: Touched) -> Option<Finding> {
    (touched.count > 0).then(|| {
        touched.finding(
            Code::MissingNeurons,
            &format!("{} no sample.", touched.verb("has", "have")),
            "Such neurons have no rates and no spikes. Leave them out of the recording if nothing is known of them.",
        )
    })
}

/// Neurons with the samples of another one; `frames` is how many there are, and so few may be equal by chance.
pub(super) fn repeated(
    scope: Scope,
    neurons: impl Iterator<Item = (usize, NeuronFacts)> + Clone,
    frames: usize,
) -> Option<Finding> {
    if frames < FEWEST_FRAMES {
        return None;
    }
    let mut times: HashMap<u64, u32> = HashMap::new();
    for (_, facts) in neurons.clone().filter(|(_, facts)| facts.is_live()) {
        *times.entry(facts.hash).or_default() += 1;
    }
    let shared = |facts: &NeuronFacts| facts.is_live() && times.get(&facts.hash) > Some(&1);
    let touched = Touched::among(scope, neurons.map(|(place, facts)| (place, shared(&facts))));
    (touched.count > 0).then(|| {
        touched.finding(
            Code::RepeatedNeurons,
            &format!(
                "{} the same samples as another neuron.",
                touched.verb("has", "have")
            ),
            "Leave the copies out of the recording, because one cell counts as several. Their spikes differ, as each neuron has random \
             numbers of its own.",
        )
    })
}
