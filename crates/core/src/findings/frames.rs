//! Findings about frames.

use super::wording::{Scope, Touched, counted, percent, share, whole};
use super::{Code, Finding};

/// Share of neighbouring frames from which equal ones matter.
const REPEATED: f64 = 0.001;
/// Fewest neurons whose samples do not stay the same by chance, as those of few neurons do that are whole numbers.
const FEWEST_NEURONS: usize = 5;

/// Frames in which all `neurons` are 0, of `frames` frames. `blank` gives their places in the recording, ascending.
pub(super) fn blank(scope: Scope, blank: &[u32], frames: usize, neurons: usize) -> Option<Finding> {
    let (count, frames) = (blank.len() as u64, frames as u64);
    let first = whole(u64::from(*blank.first()?));
    let suffix = scope.suffix();
    let (message, advice) = if count == frames {
        (
            format!(
                "All neurons are 0 in all {}{suffix}.",
                counted(frames, "frame")
            ),
            "Check whether the recording is complete, and whether --calcium_dataset names the right dataset.",
        )
    } else {
        (
            format!(
                "All neurons are 0 in {} of {}{suffix} ({}), first in frame {first}.",
                whole(count),
                counted(frames, "frame"),
                percent(share(count, frames))
            ),
            "Such frames count as missing, and the frames around them have no rate. Use --bridge_gaps SEC to draw ΔF/F over short gaps.",
        )
    };
    Some(Finding {
        frames: count,
        share: share(count, frames),
        ..of_all_neurons(neurons, Finding::new(Code::BlankFrames, message, advice))
    })
}

/// A finding that concerns all neurons.
fn of_all_neurons(neurons: usize, finding: Finding) -> Finding {
    Finding {
        neurons: neurons as u64,
        first_neuron: (neurons > 0).then_some(0),
        ..finding
    }
}

/// Frames of single neurons: how many in all, their share in all `frames` of all neurons, and the most of one neuron.
struct OfNeurons {
    all: u64,
    share: f64,
    most: u64,
}

impl OfNeurons {
    /// Of how many frames each neuron has.
    fn of(frames: usize, of_neurons: impl Iterator<Item = u64>) -> Self {
        let (mut neurons, mut all, mut most) = (0, 0, 0);
        for count in of_neurons {
            neurons += 1;
            all += count;
            most = count.max(most);
        }
        Self {
            all,
            share: share(all, frames as u64 * neurons),
            most,
        }
    }
}

/// Missing samples of neurons that have others; `missing` is how many each neuron has.
pub(super) fn missing(
    touched: Touched,
    frames: usize,
    missing: impl Iterator<Item = u64>,
) -> Option<Finding> {
    let missing = OfNeurons::of(frames, missing);
    (touched.count > 0).then(|| Finding {
        frames: missing.most,
        ..touched.finding(
            Code::MissingSamples,
            &format!(
                "{} missing samples: {} in all, {} of those of all neurons, and up to {} in one neuron.",
                touched.verb("has", "have"),
                whole(missing.all),
                percent(missing.share),
                whole(missing.most)
            ),
            "Frames around a missing sample have no rate. Use --bridge_gaps SEC to draw ΔF/F over short gaps.",
        )
    })
}

/// Frames that equal the one before in all neurons. `pairs` is how many frames were compared with the one before, `neurons` how many
/// there are, and of how many the samples change.
pub(super) fn repeated(
    scope: Scope,
    repeated: usize,
    pairs: usize,
    neurons: [usize; 2],
) -> Option<Finding> {
    let [all, live] = neurons;
    let (repeated, pairs) = (repeated as u64, pairs as u64);
    let share = share(repeated, pairs);
    (repeated > 0 && share >= REPEATED && live >= FEWEST_NEURONS).then(|| Finding {
        frames: repeated,
        share,
        ..of_all_neurons(all, Finding::new(
            Code::RepeatedFrames,
            format!(
                "{}{} ({} of those compared) {} the frame before in all neurons.",
                counted(repeated, "frame"),
                scope.suffix(),
                percent(share),
                if repeated == 1 { "equals" } else { "equal" }
            ),
            "Take copies out of the recording, because they make the noise level too low. If frames were repeated to reach a higher \
             rate, keep one of each and give the true rate with --sampling_rate HZ.",
        ))
    })
}

/// Why frames have no rate beside the padding.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    /// In some neurons samples are missing between two that are there, which can be bridged.
    Gaps,
    /// Only F0 of 0 or below.
    NotPositive,
    /// Only samples that are missing up to an end.
    Ends,
}

impl Cause {
    /// What can be done about it.
    const fn advice(self) -> &'static str {
        match self {
            Self::Gaps => "Use --bridge_gaps SEC to draw ΔF/F over short gaps.",
            Self::NotPositive => {
                "Their baseline is 0 or below: give the fluorescence with less background or neuropil subtracted."
            }
            Self::Ends => {
                "Nothing can be bridged, because samples are missing up to an end of the recording: leave these frames or neurons out of \
                 training."
            }
        }
    }
}

/// Frames without a rate beside the padding; `without` is how many each neuron has.
pub(super) fn no_rate(
    touched: Touched,
    frames: usize,
    without: impl Iterator<Item = u64>,
    cause: Cause,
) -> Option<Finding> {
    let without = OfNeurons::of(frames, without);
    (touched.count > 0).then(|| Finding {
        frames: without.most,
        ..touched.finding(
            Code::NoRate,
            &format!(
                "{} frames without a spike rate beside those at the ends: up to {} in one neuron, {} of all frames of all neurons.",
                touched.verb("has", "have"),
                whole(without.most),
                percent(without.share)
            ),
            format!(
                "These frames have no spikes, which is not the same as silence: spike_rate of --save_traces is NaN there. {}",
                cause.advice()
            ),
        )
    })
}

/// What is to be said of a recording of `frames` frames for a network with a window of `windowsize` frames (rule 9.3).
#[must_use]
pub fn of_length(frames: usize, windowsize: usize) -> Option<Finding> {
    (frames < windowsize).then(|| Finding {
        frames: frames as u64,
        ..Finding::new(
            Code::Short,
            format!(
                "{} {} fewer than the model's window of {}: no frame has a spike rate, and there are no spikes.",
                counted(frames, "frame"),
                if frames == 1 { "is" } else { "are" },
                whole(windowsize)
            ),
            "Record longer, or choose a model with a shorter window with --cascade_model.",
        )
    })
}
