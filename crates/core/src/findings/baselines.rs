//! Findings about the baseline, where ΔF/F is divided by it.

use super::wording::{Touched, whole};
use super::{Code, Finding};

/// Share of a neuron's frames with F0 <= 0 from which it matters.
pub(super) const NOT_POSITIVE_FRAMES: f64 = 0.01;
/// Share of neurons from which huge ΔF/F and a drift matter.
const NEAR_ZERO: f64 = 0.01;
const DRIFT: f64 = 0.1;

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
