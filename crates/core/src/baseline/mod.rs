//! Fluorescence to ΔF/F with a sliding-percentile baseline (rules 3.1 to 3.4).
//!
//! For every frame `t` of a trace, the baseline `F0[t]` is a low percentile (8 by default) of the samples around it,
//! and ΔF/F is `(F - F0) / F0`: Rupprecht et al. 2021 (doi:10.1038/s41593-021-00895-5) feed CASCADE the same quantity.
//! The percentile itself is [`SlidingPercentile`].

mod percentile;
mod ranks;
mod settings;

pub use percentile::SlidingPercentile;
pub use settings::DffSettings;

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is taken from the fluorescence before spike inference (rule 3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Baseline {
    /// `(F - F0) / F0`, and nothing where `F0 <= 0`
    #[default]
    Dff,
    /// `F - F0`, what the reference script's code does
    Subtract,
    /// nothing: the input already is ΔF/F
    None,
}

impl Baseline {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Dff, Self::Subtract, Self::None];

    /// Its name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dff => "dff",
            Self::Subtract => "subtract",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a window length makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WindowError {
    /// The length is negative, infinite or not a number.
    #[error("the baseline window must be a finite number of seconds, 0 or more, not {0}")]
    Seconds(f64),
    /// The rate is not positive, infinite or not a number.
    #[error("the sampling rate must be a finite number of Hz above 0, not {0}")]
    Rate(f64),
    /// The product of both is more frames than can be counted.
    #[error(
        "a baseline window of {window_sec} s at {rate_hz} Hz has more frames than can be counted"
    )]
    TooLong {
        /// Length of the window in seconds.
        window_sec: f64,
        /// Sampling rate in Hz.
        rate_hz: f64,
    },
}

/// The frames around a frame from which its baseline is taken (rule 3.1).
///
/// Frame `t` of `T` uses frames `max(0, t - half) ..= min(T - 1, t + half)`: `2 * half + 1` of them, fewer at the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    half: usize,
}

impl Window {
    /// The longest window: far above any recording, far below where an f64 stops counting whole frames.
    const MOST_FRAMES: f64 = (1u64 << 48) as f64;

    /// The window of `w = int(window_sec * rate_hz)` frames, of which `half = w / 2` lie on each side.
    ///
    /// # Errors
    /// [`WindowError`] when the length is negative or not finite, or the rate not a finite number above 0.
    pub fn new(window_sec: f64, rate_hz: f64) -> Result<Self, WindowError> {
        if !(window_sec.is_finite() && window_sec >= 0.0) {
            return Err(WindowError::Seconds(window_sec));
        }
        if !(rate_hz.is_finite() && rate_hz > 0.0) {
            return Err(WindowError::Rate(rate_hz));
        }
        let frames = (window_sec * rate_hz).trunc();
        if frames > Self::MOST_FRAMES {
            return Err(WindowError::TooLong {
                window_sec,
                rate_hz,
            });
        }
        Ok(Self::from_half(frames as usize / 2))
    }

    /// The window of `half` frames before and `half` frames after a frame.
    pub const fn from_half(half: usize) -> Self {
        Self { half }
    }

    /// Frames on each side of the frame in the middle.
    pub const fn half(self) -> usize {
        self.half
    }
}

/// Turns one neuron's fluorescence `trace` (T,) into ΔF/F in place (rules 3.2 and 3.3).
///
/// `percentile` is a number from 0 to 100. NaN and infinite samples count as missing: they become NaN, and so does every frame
/// without a baseline, every frame whose baseline divides and is not positive, and every result that is not finite. Returns F0,
/// (T,); nothing with [`Baseline::None`]. `scratch` is reused from call to call and leaves no trace in the results; it allocates
/// only while traces grow.
pub fn dff<'a>(
    baseline: Baseline,
    window: Window,
    percentile: f64,
    trace: &mut [f32],
    scratch: &'a mut SlidingPercentile,
) -> &'a [f32] {
    match baseline {
        Baseline::Dff => {
            let f0 = scratch.of(trace, window, percentile);
            for (f, &f0) in trace.iter_mut().zip(f0) {
                let divisor = if f0 > 0.0 { f0 } else { f32::NAN };
                *f = finite_or_nan((*f - f0) / divisor);
            }
            f0
        }
        Baseline::Subtract => {
            let f0 = scratch.of(trace, window, percentile);
            for (f, &f0) in trace.iter_mut().zip(f0) {
                *f = finite_or_nan(*f - f0);
            }
            f0
        }
        Baseline::None => {
            trace.iter_mut().for_each(|f| *f = finite_or_nan(*f));
            &[]
        }
    }
}

fn finite_or_nan(value: f32) -> f32 {
    if value.is_finite() { value } else { f32::NAN }
}

#[cfg(test)]
mod tests;
