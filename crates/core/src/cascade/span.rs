//! Which windows of a trace are evaluated, and which of their rates count (rule 4.4).

use super::config::ModelConfig;
use super::features::{PHASES, row_length};

/// The windows of a trace that are evaluated: from the first to the last without a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First frame of the first window.
    start: usize,
    /// At least 1.
    windows: usize,
}

impl Span {
    /// None if every window of `dff` has a missing value.
    pub fn of(config: &ModelConfig, dff: &[f32]) -> Option<Self> {
        let mut run = 0;
        let mut span: Option<Self> = None;
        for (frame, value) in dff.iter().enumerate() {
            run = if value.is_finite() { run + 1 } else { 0 };
            if run >= config.windowsize {
                let window = frame + 1 - config.windowsize;
                let start = span.map_or(window, |span| span.start);
                let windows = window - start + 1;
                span = Some(Self { start, windows });
            }
        }
        span
    }

    fn of_trace<'a>(&self, config: &ModelConfig, dff: &'a [f32]) -> &'a [f32] {
        &dff[self.start..][..self.windows + config.windowsize - 1]
    }

    /// Copies the samples of its windows to `samples`, one channel of [`Features`](super::features::Features), with 0 for what is missing or follows. The last ones, if
    /// there is no room for them, are such as poolings leave out.
    ///
    /// # Panics
    /// If `samples` is not (8, n).
    pub fn samples(&self, config: &ModelConfig, dff: &[f32], samples: &mut [f32]) {
        let dff = self.of_trace(config, dff);
        let length = row_length(samples);
        samples.fill(0.0);
        for (phase, row) in samples.chunks_exact_mut(length).enumerate() {
            let frames = dff.iter().skip(phase).step_by(PHASES);
            for (sample, &value) in row.iter_mut().zip(frames) {
                *sample = if value.is_finite() { value } else { 0.0 };
            }
        }
    }

    /// Those of its windows among the rates of all windows.
    pub(super) fn rates<'a>(&self, rates: &'a mut [f32]) -> &'a mut [f32] {
        &mut rates[self.start..][..self.windows]
    }

    /// Sums over members to means, NaN for every window that holds a missing value.
    pub(super) fn mean(&self, config: &ModelConfig, members: usize, dff: &[f32], sums: &mut [f32]) {
        let count = members as f32;
        for sum in &mut *sums {
            let mean = *sum / count;
            // Networks that overflow return NaN, whose bits would depend on the processor.
            *sum = if mean.is_nan() { f32::NAN } else { mean };
        }
        let mut blanked = 0;
        let values = self.of_trace(config, dff).iter().enumerate();
        for (frame, _) in values.filter(|(_, value)| !value.is_finite()) {
            let end = (frame + 1).min(sums.len());
            let start = (frame + 1).saturating_sub(config.windowsize);
            let start = start.max(blanked).min(end);
            sums[start..end].fill(f32::NAN);
            blanked = end;
        }
    }
}
