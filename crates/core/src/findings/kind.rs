//! What a recording holds: raw fluorescence, ΔF/F, or something that has no unit (rule 3.5).

use super::numbers::{ascending, median, percentile, rounded};
use super::{Code, Excerpt, Finding, Severity};
use crate::baseline::Baseline;

/// Above this ratio of baseline to what the median rises over it, the baseline is a baseline beyond doubt.
const HIGH_BASELINE: f64 = 2.0;
/// Above this one, the baseline is clear of 0.
const SOME_BASELINE: f64 = 0.3;
/// Share of neurons above `HIGH_BASELINE`, or above `SOME_BASELINE`, that tells what the recording is.
const HALF: f64 = 0.5;
/// Raw traces of which some are below 0: share of neurons whose baseline is clear of 0, and share of those together with the
/// neurons whose baseline is far below 0.
const SOME_ABOVE: f64 = 0.2;
const MOST_BEYOND: f64 = 0.6;
/// Largest noise level of ΔF/F as a fraction, in % per √Hz, and largest standard deviation.
const DFF_NOISE: f64 = 40.0;
const DFF_DEVIATION: f64 = 2.0;
/// The same of ΔF/F in per cent.
const PERCENT_NOISE: f64 = 800.0;
const PERCENT_DEVIATION: f64 = 25.0;
/// z-scored traces have a standard deviation of about 1, all the same one, and a mean of about 0.
const Z_DEVIATION: std::ops::RangeInclusive<f64> = 0.75..=1.25;
const Z_SPREAD: f64 = 0.2;
const Z_MEAN: f64 = 0.2;

/// What is to be done with the samples of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Make ΔF/F with this baseline.
    Use(Baseline),
    /// Nothing makes ΔF/F of them; the code says what they are.
    Refuse(Code),
}

/// What was seen of the neurons of an excerpt: medians over those whose median lies above their 8th percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Neurons that were usable.
    pub neurons: usize,
    /// 8th percentile of the scaled samples.
    pub low: f64,
    /// The 8th percentile over what the median rises above it.
    pub ratio: f64,
    /// Noise level of the scaled samples as if they were ΔF/F, in % per √Hz; NaN where no two neighbouring frames are there.
    pub noise_level: f64,
    /// Standard deviation of the scaled samples.
    pub deviation: f64,
}

/// What a recording holds, decided from its excerpt (rule 3.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// What `--baseline auto` does with it.
    pub decision: Decision,
    /// What the decision was made of.
    pub seen: Seen,
}

impl Kind {
    /// Decides what the `excerpt` is an excerpt of.
    ///
    /// `rate_hz` is the recording's sampling rate, `scale` what every sample is multiplied by, `missing` the value of samples
    /// that count as missing.
    #[must_use]
    pub fn of(excerpt: &Excerpt, rate_hz: f64, scale: f64, missing: Option<f32>) -> Self {
        let neurons = Traits::of_neurons(excerpt, rate_hz, scale, missing);
        let of = |value: fn(&Traits) -> f64| median(neurons.iter().map(value).collect());
        let seen = Seen {
            neurons: neurons.len(),
            low: of(|neuron| neuron.low),
            ratio: of(|neuron| neuron.ratio),
            noise_level: of(|neuron| neuron.noise_level),
            deviation: of(|neuron| neuron.deviation),
        };
        Self {
            decision: decide(&neurons, &seen),
            seen,
        }
    }

    /// What the network gets under `auto`, unless the recording is refused.
    #[must_use]
    pub fn baseline(&self) -> Option<Baseline> {
        match self.decision {
            Decision::Use(baseline) => Some(baseline),
            Decision::Refuse(_) => None,
        }
    }

    /// What is to be said of the kind of recording, where `explicit` is the baseline that a flag names, None for `auto`.
    ///
    /// A recording without a unit fails under `auto`; a flag takes the decision from the program, which then warns.
    #[must_use]
    pub fn finding(&self, explicit: Option<Baseline>) -> Option<Finding> {
        match (self.decision, explicit) {
            (Decision::Use(Baseline::Subtract), None) => Some(self.already_dff()),
            (Decision::Use(Baseline::Subtract), Some(Baseline::Dff)) => Some(self.divided_again()),
            (Decision::Use(_), _) => None,
            (Decision::Refuse(code), explicit) => Some(self.without_unit(code, explicit)),
        }
    }

    fn already_dff(&self) -> Finding {
        Finding::new(
            Code::AlreadyDff,
            format!(
                "The traces look like ΔF/F already ({}), so that the baseline is subtracted and nothing is divided by it.",
                self.seen
            ),
            "Confirm this with --baseline subtract, or take the traces as they are with --baseline none. If the traces are raw \
             fluorescence, use --baseline dff; if they are ΔF/F in per cent, use --scale 0.01.",
        )
    }

    fn divided_again(&self) -> Finding {
        Finding::new(
            Code::AlreadyDff,
            format!(
                "The traces look like ΔF/F already ({}), and --baseline dff divides them by a baseline once more.",
                self.seen
            ),
            "Use --baseline subtract or --baseline none unless the traces are raw fluorescence.",
        )
    }

    fn without_unit(&self, code: Code, explicit: Option<Baseline>) -> Finding {
        let (what, repair) = match code {
            Code::ZScored => (
                "The traces look z-scored",
                "Give the traces as they were before they were z-scored, because their unit is lost.",
            ),
            Code::Percent => (
                "The traces look like ΔF/F in per cent",
                "If they are, use --scale 0.01.",
            ),
            _ => (
                "The traces lie around 0 in an unknown unit",
                "Give the raw fluorescence, because nothing but its baseline makes ΔF/F of it; for ΔF/F in per cent use --scale 0.01.",
            ),
        };
        let result = explicit.map_or_else(
            || ", and no ΔF/F can be made of them".to_owned(),
            |baseline| format!(", and --baseline {baseline} takes them as they are all the same"),
        );
        let force = match explicit {
            None => {
                "If the program is wrong, say what they are: raw fluorescence with --baseline dff, ΔF/F with --baseline subtract \
                 or --baseline none."
            }
            Some(_) => "The rates and spikes are right only if the flag is.",
        };
        let mut finding = Finding::new(
            code,
            format!("{what} ({}){result}.", self.seen),
            format!("{repair} {force}"),
        );
        if explicit.is_some() {
            finding.severity = Severity::Warning;
        }
        finding
    }
}

/// As messages show it: `8th percentile 0.004, noise level 1,200 % per √Hz, standard deviation 14`.
impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "8th percentile {}, noise level {} % per √Hz, standard deviation {}",
            rounded(self.low),
            rounded(self.noise_level),
            rounded(self.deviation)
        )
    }
}

/// What is seen of one neuron.
struct Traits {
    low: f64,
    ratio: f64,
    noise_level: f64,
    mean: f64,
    deviation: f64,
}

impl Traits {
    /// Those of all neurons of an excerpt whose median lies above their 8th percentile.
    fn of_neurons(excerpt: &Excerpt, rate_hz: f64, scale: f64, missing: Option<f32>) -> Vec<Self> {
        let blank = excerpt.blank();
        let runs = excerpt.runs_of_trace();
        let mut trace = Vec::with_capacity(blank.len());
        let mut neurons = Vec::with_capacity(excerpt.neurons());
        for samples in excerpt.traces() {
            trace.clear();
            trace.extend(samples.iter().zip(&blank).map(|(&sample, &blank)| {
                let there = sample.is_finite() && !blank && missing != Some(sample);
                if there {
                    f64::from(sample) * scale
                } else {
                    f64::NAN
                }
            }));
            let steps = runs
                .iter()
                .flat_map(|run| trace[run.clone()].windows(2))
                .map(|pair| (pair[1] - pair[0]).abs())
                .collect();
            let noise_level = 100.0 * median(steps) / rate_hz.sqrt();
            neurons.extend(Self::of_neuron(&trace, noise_level));
        }
        neurons
    }

    fn of_neuron(trace: &[f64], noise_level: f64) -> Option<Self> {
        let samples = ascending(trace.to_vec());
        let low = percentile(&samples, 8.0);
        let rise = percentile(&samples, 50.0) - low;
        if rise.is_nan() || rise <= 0.0 {
            return None;
        }
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        Some(Self {
            low,
            ratio: low / rise,
            noise_level,
            mean,
            deviation: variance.sqrt(),
        })
    }
}

fn decide(neurons: &[Traits], seen: &Seen) -> Decision {
    if neurons.is_empty() {
        return Decision::Use(Baseline::Dff);
    }
    let share = |holds: fn(&Traits) -> bool| {
        neurons.iter().filter(|neuron| holds(neuron)).count() as f64 / neurons.len() as f64
    };
    let noise = seen.noise_level;
    let above = share(|neuron| neuron.ratio > SOME_BASELINE);
    if share(|neuron| neuron.ratio > HIGH_BASELINE) >= HALF {
        return Decision::Use(Baseline::Dff);
    }
    if above >= HALF {
        return Decision::Use(if noise > DFF_NOISE {
            Baseline::Dff
        } else {
            Baseline::Subtract
        });
    }
    let below = share(|neuron| neuron.ratio < -HIGH_BASELINE);
    if above >= SOME_ABOVE && above + below >= MOST_BEYOND && noise > DFF_NOISE {
        return Decision::Use(Baseline::Dff);
    }
    if z_scored(neurons, seen) {
        return Decision::Refuse(Code::ZScored);
    }
    if noise <= DFF_NOISE && seen.deviation <= DFF_DEVIATION {
        return Decision::Use(Baseline::Subtract);
    }
    if noise <= PERCENT_NOISE && seen.deviation <= PERCENT_DEVIATION {
        return Decision::Refuse(Code::Percent);
    }
    Decision::Refuse(Code::Scale)
}

fn z_scored(neurons: &[Traits], seen: &Seen) -> bool {
    let deviations = ascending(neurons.iter().map(|neuron| neuron.deviation).collect());
    let spread = percentile(&deviations, 75.0) - percentile(&deviations, 25.0);
    let offsets = neurons
        .iter()
        .map(|neuron| neuron.mean.abs() / neuron.deviation);
    Z_DEVIATION.contains(&seen.deviation)
        && spread < Z_SPREAD * seen.deviation
        && median(offsets.collect()) < Z_MEAN
}

#[cfg(test)]
mod tests;
