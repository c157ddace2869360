//! Findings about noise levels, rates and spikes.

use super::wording::{Touched, counted, percent, rounded, share, whole};
use super::{Code, Finding, Severity};
use crate::baseline::Baseline;
use crate::unit::NeuronFacts;

/// Share of neurons beyond the model's noise levels from which it matters, and by how much they are beyond.
const BEYOND_MODEL: f64 = 0.05;
const BEYOND_BY: f64 = 1.0;
/// Spikes per frame that hardly any neuron has.
const IMPLAUSIBLE: f32 = 5.0;
/// Share of the expected spikes above one per frame that is worth a warning.
const CLIPPED: f64 = 0.05;

/// Neurons whose noise level is above those of the model. `noise_levels`, (N,), in % per √Hz; `median` is theirs.
pub(super) fn above_model(
    noise_levels: &[f64],
    median: f64,
    model: (i32, i32),
    baseline: Baseline,
) -> Option<Finding> {
    let limit = f64::from(model.1) + BEYOND_BY;
    let touched = Touched::of(noise_levels, |&noise| noise > limit);
    let advice = match baseline {
        Baseline::Dff => {
            "Rates of such neurons are not reliable: leave those out whose noise_level in neurons.tsv is high. If another model for this \
             rate has higher noise levels (spikegrid-mpi models list), use it."
        }
        Baseline::Subtract | Baseline::None => {
            "Rates of such neurons are not reliable: leave those out whose noise_level in neurons.tsv is high. If all are high, the \
             traces may be no ΔF/F: use --baseline dff for raw fluorescence, --scale 0.01 for per cent."
        }
    };
    (touched.share() >= BEYOND_MODEL).then(|| {
        touched.finding(
            Code::NoiseAboveModel,
            &format!(
                "{} a noise level above {}, more than 1 above the model's highest; the median is {} % per √Hz.",
                touched.verb("has", "have"),
                rounded(limit),
                rounded(median)
            ),
            advice,
        )
    })
}

/// Neurons whose noise level is below those of the model.
pub(super) fn below_model(noise_levels: &[f64], median: f64, model: (i32, i32)) -> Option<Finding> {
    let limit = f64::from(model.0) - BEYOND_BY;
    let touched = Touched::of(noise_levels, |&noise| noise < limit);
    (touched.share() >= BEYOND_MODEL).then(|| {
        touched.finding(
            Code::NoiseBelowModel,
            &format!(
                "{} a noise level below {}, more than 1 below the model's lowest; the median is {} % per √Hz.",
                touched.verb("has", "have"),
                rounded(limit),
                rounded(median)
            ),
            "The model for the lowest noise level is used. Check that the traces were not denoised or smoothed, and that ΔF/F is a \
             fraction, else correct it with --scale.",
        )
    })
}

/// Neurons with rates that hardly any neuron has.
pub(super) fn implausible(facts: &[NeuronFacts]) -> Option<Finding> {
    let touched = Touched::of(facts, |facts| facts.largest_rate > IMPLAUSIBLE);
    let largest = facts
        .iter()
        .map(|facts| facts.largest_rate)
        .fold(0.0, f32::max);
    (touched.count > 0).then(|| {
        touched.finding(
            Code::ImplausibleRates,
            &format!(
                "{} a rate above {IMPLAUSIBLE} spikes per frame; the largest is {}.",
                touched.verb("has", "have"),
                rounded(largest.into())
            ),
            "Look at these neurons in the report: artefacts, lost frames and a baseline close to 0 make such rates, and a burst at a low \
             frame rate seldom does. Mark lost samples with --missing VALUE, and check the unit of ΔF/F.",
        )
    })
}

/// Expected spikes above one per frame.
pub(super) fn clipped(facts: &[NeuronFacts]) -> Option<Finding> {
    let sum =
        |value: fn(&NeuronFacts) -> f32| facts.iter().map(|facts| f64::from(value(facts))).sum();
    let clipped: f64 = sum(|facts| facts.clipped_spikes);
    let kept: f64 = sum(|facts| facts.expected_spikes);
    let touched = Touched::of(facts, |facts| facts.clipped_spikes > 0.0);
    if touched.count == 0 {
        return None;
    }
    // A network that overflows makes sums infinite, which JSON does not know.
    let share = match clipped.is_finite() {
        true => clipped / (clipped + kept),
        false => 1.0,
    };
    Some(Finding {
        severity: if share >= CLIPPED { Severity::Warning } else { Severity::Note },
        share,
        ..touched.finding(
            Code::ClippedRates,
            &format!(
                "{} rates above one spike per frame, which a grid cannot hold: {} of the {} expected spikes are lost.",
                touched.verb("has", "have"),
                percent(share),
                rounded(clipped + kept)
            ),
            "Use spike_rate of --save_traces where the number of spikes matters, or record at a higher frame rate.",
        )
    })
}

/// A subject without a spike.
pub(super) fn none(facts: &[NeuronFacts], frames: usize) -> Option<Finding> {
    let spikes: u64 = facts.iter().map(|facts| u64::from(facts.spikes)).sum();
    (spikes == 0).then(|| {
        Finding::new(
            Code::NoSpikes,
            format!(
                "No spike was found in {} of {}.",
                counted(frames, "frame"),
                counted(facts.len(), "neuron")
            ),
            "Look at the other findings first. If there are none, check the unit of the traces (--scale), the frame rate \
             (--sampling_rate) and --threshold.",
        )
    })
}

/// The share of spikes that a grid loses, as a finding that is worth a warning from a share on.
pub(super) fn unseen(
    code: Code,
    lost: u64,
    spikes: u64,
    warning_from: f64,
    why: &str,
    advice: &str,
) -> Option<Finding> {
    let share = share(lost, spikes);
    (lost > 0).then(|| Finding {
        severity: if share >= warning_from {
            Severity::Warning
        } else {
            Severity::Note
        },
        share,
        ..Finding::new(
            code,
            format!(
                "{} of {} ({}) {} {why}.",
                whole(lost),
                counted(spikes, "spike"),
                percent(share),
                if lost == 1 { "is" } else { "are" }
            ),
            advice,
        )
    })
}
