//! What is found out about each neuron on its way from samples to spikes: what findings (rule 9.3) and `neurons.tsv` (rule 9.4) are
//! made of.
//!
//! Every function looks at one neuron, so that the facts depend on its samples and the settings alone, and sums run in the order of
//! the frames. They cost less than 2 % of what inference costs.

mod repeated;
mod samples;

pub use repeated::RepeatedFrames;
pub use samples::hash;

use crate::baseline::Baseline;
use crate::median::median;
use crate::unit::{NeuronFacts, NeuronFlags};

/// |ΔF/F| above which the baseline is nearly 0, or the input no fluorescence.
const LARGEST_DFF: f32 = 20.0;
/// The ends of a recording between which the baseline is compared are this part of it.
const DRIFT_PART: usize = 10;
/// Part of F0 at the start by which F0 at the end must differ to be a drift.
const DRIFT: f32 = 0.5;

impl NeuronFacts {
    /// Notes what the baseline says: `f0` (T,), nothing where none was taken, and the `dff` (T,) that was made with it. `scratch` is
    /// working memory.
    pub fn note_baseline(
        &mut self,
        baseline: Baseline,
        f0: &[f32],
        dff: &[f32],
        scratch: &mut Vec<f32>,
    ) {
        let any_missing = count(f0, f32::is_nan) > 0;
        let mut median_of = |f0: &[f32]| {
            scratch.clear();
            scratch.extend_from_slice(f0);
            if any_missing {
                scratch.retain(|f0| !f0.is_nan());
            }
            median(scratch).unwrap_or(f32::NAN)
        };
        self.f0_median = median_of(f0);
        self.gap_frames = gap_frames(dff, f0);
        if baseline != Baseline::Dff {
            return;
        }
        self.f0_not_positive = count(f0, |f0| f0 <= 0.0);
        let beyond = count(dff, |dff| dff.abs() > LARGEST_DFF);
        self.flags.set(NeuronFlags::NEAR_ZERO, beyond > 0);
        let end_frames = f0.len() / DRIFT_PART;
        let first = median_of(&f0[..end_frames]);
        let last = median_of(&f0[f0.len() - end_frames..]);
        let drifts = first > 0.0 && (last - first).abs() > first * DRIFT;
        self.flags.set(NeuronFlags::DRIFT, drifts);
    }

    /// Notes what the final `rate` (T,) says, in spikes per frame, NaN where a frame has none.
    #[expect(
        clippy::manual_clamp,
        reason = "clamp keeps NaN, which counts as 0 here"
    )]
    pub fn note_rates(&mut self, rate: &[f32]) {
        let (mut expected, mut clipped, mut largest) = (0.0, 0.0, f32::NEG_INFINITY);
        for &rate in rate {
            // Both return the number where one side is NaN.
            expected += f64::from(rate.max(0.0).min(1.0));
            clipped += f64::from(rate.max(1.0)) - 1.0;
            largest = rate.max(largest);
        }
        self.expected_spikes = expected as f32;
        self.clipped_spikes = clipped as f32;
        let any = largest != f32::NEG_INFINITY;
        self.largest_rate = if any { largest } else { 0.0 };
    }
}

/// The frames without ΔF/F between two that have one, (T,), where F0, (T,) or empty, is not 0 or below.
fn gap_frames(dff: &[f32], f0: &[f32]) -> u32 {
    let is_there = |dff: &f32| !dff.is_nan();
    let first = dff.iter().position(is_there).unwrap_or(0);
    let last = dff.iter().rposition(is_there).unwrap_or(0);
    let between = &dff[first..last.max(first)];
    let gaps = count(between, f32::is_nan);
    if gaps == 0 || f0.is_empty() {
        return gaps;
    }
    let both = between.iter().zip(&f0[first..]);
    gaps - both.filter(|(dff, f0)| dff.is_nan() && **f0 <= 0.0).count() as u32
}

/// The number of values of which something holds.
fn count(values: &[f32], holds: impl Fn(f32) -> bool) -> u32 {
    values.iter().map(|&value| u32::from(holds(value))).sum()
}

#[cfg(test)]
mod tests;
