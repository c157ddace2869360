//! Which of the installed models suits the sampling rate of a recording (rule 4.9).

use std::cmp::Ordering;

use super::config::ModelConfig;

/// Largest |ln(rate / model's rate)| with which `--cascade_model auto` takes a model: a recording may be 15 % slower to 17 % faster.
/// docs/benchmark.md has the measurements.
pub const TOLERANCE: f64 = 0.16;
/// What rounding may add to a difference: 2.1 Hz is not off 2 Hz by more than 5 %.
const ROUNDING: f64 = 1e-9;
/// How the names of models begin that were trained on all indicators, of excitatory neurons.
const GENERAL: &str = "Global_EXC";

/// An installed model, as one chooses among models.
#[derive(Clone, Debug, PartialEq)]
pub struct InstalledModel {
    /// Name of its folder, as `--cascade_model` takes it.
    pub name: String,
    /// The sampling rate for which it was trained, in Hz.
    pub rate_hz: f64,
    /// Standard deviation of the Gaussian that smoothed the spikes of its ground truth, in seconds.
    pub smoothing_sec: f64,
    /// Whether its rates depend on earlier spikes alone.
    pub is_causal: bool,
}

impl InstalledModel {
    /// The model with this name and configuration.
    #[must_use]
    pub fn new(name: &str, config: &ModelConfig) -> Self {
        Self {
            name: name.to_owned(),
            rate_hz: config.sampling_rate,
            smoothing_sec: config.smoothing,
            is_causal: config.causal_kernel != 0,
        }
    }

    /// Whether it was trained on all indicators, of excitatory neurons.
    pub(crate) fn is_of_all(&self) -> bool {
        is_of_all(&self.name)
    }

    /// Whether `--cascade_model auto` may choose it: the `Global_EXC` models that are not causal.
    #[must_use]
    pub fn is_general(&self) -> bool {
        self.is_of_all() && !self.is_causal
    }

    /// How far a rate in Hz is from the model's, whichever is larger: |ln(rate / model's)|.
    #[must_use]
    pub fn distance(&self, rate_hz: f64) -> f64 {
        distance(rate_hz, self.rate_hz)
    }

    /// The nearer to a rate in Hz first, of two as near the one with the larger smoothing, then by name.
    pub(crate) fn compare(&self, other: &Self, rate_hz: f64) -> Ordering {
        let nearer = self
            .distance(rate_hz)
            .total_cmp(&other.distance(rate_hz))
            .then(other.smoothing_sec.total_cmp(&self.smoothing_sec));
        nearer.then_with(|| self.name.cmp(&other.name))
    }
}

/// Whether a model of this name was trained on all indicators, of excitatory neurons.
#[must_use]
pub fn is_of_all(name: &str) -> bool {
    name.starts_with(GENERAL)
}

fn distance(rate_hz: f64, model_hz: f64) -> f64 {
    (rate_hz / model_hz).ln().abs()
}

/// Part of the rate `model_hz` by which `rate_hz` differs from it.
#[must_use]
pub fn difference(rate_hz: f64, model_hz: f64) -> f64 {
    (rate_hz - model_hz).abs() / model_hz
}

/// Whether `rate_hz` differs from the rate `model_hz` by no more than the part `tolerance` of that rate.
#[must_use]
pub fn is_within(tolerance: f64, rate_hz: f64, model_hz: f64) -> bool {
    difference(rate_hz, model_hz) <= tolerance + ROUNDING
}

/// Whether a model for `model_hz` may be taken for a recording of `rate_hz`, as far as a benchmark supports it.
#[must_use]
pub fn is_near(rate_hz: f64, model_hz: f64) -> bool {
    distance(rate_hz, model_hz) <= TOLERANCE + ROUNDING
}

/// The model that `--cascade_model auto` takes for a recording of this rate in Hz.
///
/// # Errors
/// The nearest of the models that it may take, where none is near enough; none where no such model is installed.
pub fn choose(
    rate_hz: f64,
    installed: &[InstalledModel],
) -> Result<&InstalledModel, Option<&InstalledModel>> {
    let general = || installed.iter().filter(|model| model.is_general());
    let compare = |one: &&InstalledModel, other: &&InstalledModel| one.compare(other, rate_hz);
    general()
        .filter(|model| is_near(rate_hz, model.rate_hz))
        .min_by(compare)
        .ok_or_else(|| general().min_by(compare))
}

#[cfg(test)]
mod tests;
