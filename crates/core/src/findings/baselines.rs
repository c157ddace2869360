//! Findings about the baseline.

use super::wording::{Touched, rounded, whole};
use super::{Code, Finding, numbers};
use crate::cascade::noise::MEDIAN_STEP;

/// Share of a neuron's frames with F0 <= 0 from which it matters.
pub(super) const NOT_POSITIVE_FRAMES: f64 = 0.01;
/// Share of neurons from which huge ΔF/F and a drift matter.
const NEAR_ZERO: f64 = 0.01;
const DRIFT: f64 = 0.1;
/// Share of neurons from which it matters that rest has this ΔF/F, about that of one spike of a common indicator.
const LOW: f64 = 0.05;
const REST: f64 = 0.15;

/// Neurons with F0 <= 0 in many frames: at most `most_frames` of one.
pub(super) fn not_positive(touched: Touched, most_frames: u64) -> Option<Finding> {
    (touched.count > 0).then(|| Finding {
        frames: most_frames,
        ..touched.finding(
            Code::NotPositive,
            &format!(
                "{} a baseline of 0 or below in at least 1 % of {} frames, up to {}, and no ΔF/F there.",
                touched.verb("has", "have"),
                touched.verb("its", "their"),
                whole(most_frames)
            ),
            "Give the fluorescence with less background or neuropil subtracted from it. If the traces are ΔF/F already, use \
             --baseline subtract or --baseline none.",
        )
    })
}

pub(super) fn near_zero(touched: Touched) -> Option<Finding> {
    (touched.share() >= NEAR_ZERO).then(|| {
        touched.finding(
            Code::NearZero,
            &format!(
                "{} ΔF/F beyond 20, which is 2,000 %, because {} baseline is close to 0.",
                touched.verb("has", "have"),
                touched.verb("its", "their")
            ),
            "Give the fluorescence with less background or neuropil subtracted from it, or leave these neurons out. If the traces \
             are ΔF/F already, use --baseline subtract or --baseline none.",
        )
    })
}

pub(super) fn drift(touched: Touched) -> Option<Finding> {
    (touched.share() >= DRIFT).then(|| {
        touched.finding(
            Code::Drift,
            &format!(
                "{} a baseline that changes by more than half from the first to the last tenth of the recording.",
                touched.verb("has", "have")
            ),
            "Look for bleaching, movement of the tissue and changes of the laser power. A shorter --window_sec follows faster changes.",
        )
    })
}

/// Neurons whose noise alone moves F0, a `percentile` in %, far below resting fluorescence. `noise_levels`, (N,), in % per √Hz, were taken
/// at `rate_hz`.
pub(super) fn low(noise_levels: &[f64], rate_hz: f64, percentile: f64) -> Option<Finding> {
    let of_level = depth(percentile) * rate_hz.sqrt() / 100.0 / MEDIAN_STEP;
    let touched = Touched::of(noise_levels, |&noise| noise * of_level > REST);
    (touched.share() >= LOW).then(|| {
        let median = numbers::median(noise_levels.to_vec()) * of_level;
        touched.finding(
            Code::Low,
            &format!(
                "{} ΔF/F above {REST} at rest, which the network takes for activity: noise moves F0 (--percentile {}) that far below \
                 resting fluorescence; the median of all neurons is {}.",
                touched.verb("has", "have"),
                rounded(percentile),
                rounded(median)
            ),
            "If neurons rest for more than half of --window_sec, use --percentile 50. Or average neighbouring frames of the recording, and \
             choose the model for the lower rate.",
        )
    })
}

/// Standard deviations by which a percentile of normally distributed samples lies below their median; 0 above it.
///
/// Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.23; off by less than 5e-4.
fn depth(percentile: f64) -> f64 {
    let share = (percentile / 100.0).clamp(0.001, 0.5);
    let t = (-2.0 * share.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (t - above / below).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_3_percentiles_lie_so_many_standard_deviations_below_the_median() {
        for (percentile, expected) in [(8.0, 1.405_07), (25.0, 0.674_49), (50.0, 0.0), (80.0, 0.0)]
        {
            assert!((depth(percentile) - expected).abs() < 5e-4, "{percentile}");
        }
    }
}
