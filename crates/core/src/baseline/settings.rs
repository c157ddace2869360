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
    /// `blank_frames`, ascending, are missing. Returns F0, (T,), of the scaled samples; nothing with [`Baseline::None`].
    pub fn apply<'a>(
        &self,
        trace: &mut [f32],
        blank_frames: &[u32],
        scratch: &'a mut SlidingPercentile,
    ) -> &'a [f32] {
        self.leave_out_missing(trace, blank_frames);
        self.dff(trace, scratch)
    }

    /// The second half of [`Self::apply`]: from samples of which the missing ones are NaN to ΔF/F.
    pub fn dff<'a>(&self, trace: &mut [f32], scratch: &'a mut SlidingPercentile) -> &'a [f32] {
        if self.scale != 1.0 {
            for sample in &mut *trace {
                *sample = (f64::from(*sample) * self.scale) as f32;
            }
        }
        let f0 = dff(self.baseline, self.window, self.percentile, trace, scratch);
        bridge(trace, self.bridge_frames);
        f0
    }

    /// The first half of [`Self::apply`]: makes NaN of the samples that `missing` names and of those of blank frames. What is not
    /// finite is missing in any case. Returns how many samples had the value `missing`.
    pub fn leave_out_missing(&self, trace: &mut [f32], blank_frames: &[u32]) -> u32 {
        let mut marked = 0;
        if let Some(missing) = self.missing {
            for sample in trace.iter_mut().filter(|sample| **sample == missing) {
                *sample = f32::NAN;
                marked += 1;
            }
        }
        for &frame in blank_frames {
            if let Some(sample) = trace.get_mut(frame as usize) {
                *sample = f32::NAN;
            }
        }
        marked
    }
}

/// Draws a straight line over every run of at most `most_frames` frames that are NaN, between the two beside it.
fn bridge(trace: &mut [f32], most_frames: usize) {
    if most_frames == 0 {
        return;
    }
    let mut last_there = None;
    for frame in 0..trace.len() {
        if trace[frame].is_nan() {
            continue;
        }
        if let Some(start) = last_there.replace(frame) {
            let steps = frame - start;
            if (2..=most_frames.saturating_add(1)).contains(&steps) {
                let (from, to) = (f64::from(trace[start]), f64::from(trace[frame]));
                for step in 1..steps {
                    let part = step as f64 / steps as f64;
                    trace[start + step] = (from + (to - from) * part) as f32;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    fn settings(baseline: Baseline) -> DffSettings {
        DffSettings {
            percentile: 0.0,
            ..DffSettings::new(baseline, Window::from_half(1))
        }
    }

    #[track_caller]
    fn assert_applied(
        settings: DffSettings,
        trace: &[f32],
        blank_frames: &[u32],
        expected: &[f32],
    ) {
        let mut found = trace.to_vec();
        settings.apply(&mut found, blank_frames, &mut SlidingPercentile::new());
        let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
        assert!(
            found.iter().zip(expected).all(same) && found.len() == expected.len(),
            "{found:?}, expected {expected:?}"
        );
    }

    #[test]
    fn rule_3_6_samples_of_the_missing_value_are_missing() {
        let missing = DffSettings {
            missing: Some(-1.0),
            ..settings(Baseline::Dff)
        };
        let trace = [2.0, -1.0, 2.0, 6.0, 3.0];
        assert_applied(missing, &trace, &[], &[0.0, NAN, 0.0, 2.0, 0.0]);
        // Without the flag it is a sample, and the baseline of its neighbours.
        let expected = [NAN, NAN, NAN, 2.0, 0.0];
        assert_applied(settings(Baseline::Dff), &trace, &[], &expected);
        let zero = DffSettings {
            missing: Some(0.0),
            ..settings(Baseline::None)
        };
        assert_applied(zero, &[0.0, -0.0, 1.0], &[], &[NAN, NAN, 1.0]);
        // Those of blank frames are counted as well.
        let count = |settings: DffSettings| {
            settings.leave_out_missing(&mut [0.0, 5.0, 0.0, NAN, -1.0], &[2])
        };
        assert_eq!(
            [zero, missing, settings(Baseline::Dff)].map(count),
            [2, 1, 0]
        );
    }

    #[test]
    fn rule_3_6_the_missing_value_is_compared_before_samples_are_scaled() {
        let scaled = DffSettings {
            missing: Some(200.0),
            scale: 0.01,
            ..settings(Baseline::None)
        };
        assert_applied(scaled, &[200.0, 2.0, 150.0], &[], &[NAN, 0.02, 1.5]);
        // What is too large once scaled is missing.
        let enlarged = DffSettings {
            scale: 1e30,
            ..settings(Baseline::None)
        };
        assert_applied(enlarged, &[1e30, 1.0], &[], &[NAN, 1e30]);
    }

    #[test]
    fn rule_3_6_blank_frames_are_missing() {
        let trace = [4.0, 0.0, 4.0, 4.0, 6.0];
        let expected = [0.0, NAN, 0.0, 0.0, 0.5];
        assert_applied(settings(Baseline::Dff), &trace, &[1, 9], &expected);
    }

    #[test]
    fn rule_3_6_short_runs_are_bridged_by_a_line_and_longer_ones_stay() {
        let trace = [NAN, 1.0, NAN, 2.0, NAN, NAN, 5.0, NAN, NAN, NAN, 1.0, NAN];
        let one = [NAN, 1.0, 1.5, 2.0, NAN, NAN, 5.0, NAN, NAN, NAN, 1.0, NAN];
        let two = [NAN, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, NAN, NAN, NAN, 1.0, NAN];
        let all = [NAN, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0, NAN];
        for (bridge_frames, expected) in
            [(0, trace), (1, one), (2, two), (3, all), (usize::MAX, all)]
        {
            let bridging = DffSettings {
                bridge_frames,
                ..settings(Baseline::None)
            };
            assert_applied(bridging, &trace, &[], &expected);
        }
    }

    #[test]
    fn rule_3_6_what_is_bridged_is_the_ratio_and_not_the_samples() {
        let bridging = DffSettings {
            bridge_frames: 1,
            ..settings(Baseline::Dff)
        };
        // F0 is 2 on the left and 4 on the right of the gap.
        let trace = [2.0, 2.0, 6.0, NAN, 4.0, 4.0];
        assert_applied(bridging, &trace, &[], &[0.0, 0.0, 2.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn rule_3_6_lines_between_extremes_stay_finite() {
        let bridging = DffSettings {
            bridge_frames: 1,
            ..settings(Baseline::None)
        };
        let trace = [f32::MAX, NAN, -f32::MAX];
        assert_applied(bridging, &trace, &[], &[f32::MAX, 0.0, -f32::MAX]);
    }
}
