//! From the network's rates to final ones: shift, threshold, padding (rules 4.5, 4.6 and 4.8).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::config::ModelConfig;

/// What becomes of small and negative rates (rule 4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Threshold {
    /// Rates count only near frames where one spike's smoothed peak is exceeded by more than 1/e.
    #[default]
    #[serde(rename = "1")]
    One,
    /// Negative rates become 0.
    #[serde(rename = "0")]
    Zero,
    /// Rates as the network returns them.
    #[serde(rename = "off")]
    Off,
}

impl Threshold {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::One, Self::Zero, Self::Off];

    /// Its name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Zero => "0",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What happens to the network's rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostProcess {
    /// What becomes of small and negative rates (rule 4.5).
    pub threshold: Threshold,
    /// Frames by which rates are moved later, negative for earlier (rule 4.8).
    pub shift_frames: i64,
}

impl PostProcess {
    /// Applies rules 4.8, 4.5 and 4.6, in this order, to the rates of one neuron (T), NaN where a frame has none.
    ///
    /// `mask` is scratch memory. Returns how many frames beside the padded ends have no rate, although their windows lie within
    /// the recording.
    pub fn apply(&self, config: &ModelConfig, rate: &mut [f32], mask: &mut Vec<bool>) -> usize {
        let before = config.frames_before();
        let without_rate = frames_without_rate(config, rate, self.shift_frames);
        shift(rate, self.shift_frames);
        match self.threshold {
            Threshold::One => {
                let reach = (config.smoothing * config.sampling_rate) as usize;
                keep_near_spikes(rate, spike_threshold(config), reach, mask);
            }
            Threshold::Zero => clip_negative(rate),
            Threshold::Off => {}
        }
        let frames = rate.len();
        rate[..before.min(frames)].fill(f32::NAN);
        rate[frames.saturating_sub(config.frames_after())..].fill(f32::NAN);
        without_rate
    }
}

/// Frames that rule 4.6 leaves, and whose windows lie within the recording, but that have no rate.
fn frames_without_rate(config: &ModelConfig, rate: &[f32], shift_frames: i64) -> usize {
    let frames = rate.len() as i64;
    let before = config.frames_before() as i64;
    let first_rate = before - 1;
    let end_rate = frames - config.windowsize as i64 + before;
    let first = first_rate.max(before.saturating_sub(shift_frames));
    let end = end_rate.min((frames - config.frames_after() as i64).saturating_sub(shift_frames));
    if first >= end {
        return 0;
    }
    let rates = &rate[first as usize..end as usize];
    rates.iter().filter(|rate| rate.is_nan()).count()
}

/// Moves rates `frames` frames later; frames that get none become NaN (rule 4.8).
fn shift(rate: &mut [f32], frames: i64) {
    let len = rate.len();
    let distance = usize::try_from(frames.unsigned_abs())
        .unwrap_or(len)
        .min(len);
    if frames >= 0 {
        rate.copy_within(..len - distance, distance);
        rate[..distance].fill(f32::NAN);
    } else {
        rate.copy_within(distance.., 0);
        rate[len - distance..].fill(f32::NAN);
    }
}

/// Peak of one spike smoothed by the model's Gaussian, over e (rule 4.5), in spikes per frame.
///
/// The Gaussian has taps `-r..=r` frames with `r = int(4 sigma + 0.5)` and sum 1.
pub fn spike_threshold(config: &ModelConfig) -> f64 {
    let sigma = config.smoothing * config.sampling_rate;
    let radius = (4.0 * sigma + 0.5) as usize;
    let tap = |frame: usize| (-0.5 * (frame as f64 / sigma).powi(2)).exp();
    let sum = 1.0 + 2.0 * (1..=radius).map(tap).sum::<f64>();
    1.0 / sum / std::f64::consts::E
}

/// Keeps rates within `reach` frames of one above `threshold`, and of them no negative ones; all else becomes 0.
///
/// `reach` 0 is SciPy's *until nothing changes*: one frame above the threshold keeps the whole trace. NaN is below the
/// threshold, and stays NaN: a frame without a rate is not one without spikes.
fn keep_near_spikes(rate: &mut [f32], threshold: f64, reach: usize, mask: &mut Vec<bool>) {
    let above = |rate: &f32| f64::from(*rate) > threshold;
    mask.clear();
    if reach == 0 {
        let any = rate.iter().any(above);
        mask.resize(rate.len(), any);
    } else {
        mask.resize(rate.len(), false);
        let mut covered = 0;
        for frame in (0..rate.len()).filter(|&frame| above(&rate[frame])) {
            let end = (frame + reach + 1).min(rate.len());
            mask[frame.saturating_sub(reach).max(covered)..end].fill(true);
            covered = end;
        }
    }
    for (rate, &kept) in rate.iter_mut().zip(mask.iter()) {
        if !rate.is_nan() && (!kept || *rate < 0.0) {
            *rate = 0.0;
        }
    }
}

/// Negative rates become 0; NaN stays.
fn clip_negative(rate: &mut [f32]) {
    for rate in rate.iter_mut().filter(|rate| **rate < 0.0) {
        *rate = 0.0;
    }
}

#[cfg(test)]
mod tests;
