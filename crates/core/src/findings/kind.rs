//! What a recording holds: raw fluorescence, ΔF/F, or something that has no unit (rule 3.5).
//!
//! The limits were tried on CASCADE's ground truth as it is (ΔF/F), made raw, z-scored and in per cent, at its own rates and
//! averaged down to 7.5 and 2 Hz, and on made-up recordings with baselines from 10 to 5,000. What nothing in the numbers tells: raw
//! fluorescence with a baseline of 10 to 30 that was detrended passes for ΔF/F, and ΔF/F in per cent with a baseline well above 0 for
//! raw fluorescence.

use super::numbers::{ascending, median, percentile};
use super::wording::rounded;
use super::{Code, Excerpt, Finding, Severity};
use crate::baseline::Baseline;

/// Ratio of the 8th percentile to what the median rises above it: from here on, the trace has a baseline far above its changes.
const HIGH_RATIO: f64 = 2.0;
/// From here on, it has a baseline that is clear of 0.
const SOME_RATIO: f64 = 0.3;
/// Share of neurons above `HIGH_RATIO`, or above `SOME_RATIO`, that tells what the recording is.
const HALF: f64 = 0.5;
/// ΔF/F that is denoised or averaged, and whose baseline was taken a little too low, has a high ratio, too. But its baseline lies
/// below this one, which F/F0 does not, and its ratio below `CERTAIN_RATIO`, which raw fluorescence between 0 and 1 does not.
const OFFSET: f64 = 0.5;
const CERTAIN_RATIO: f64 = 5.0;
/// No baseline of ΔF/F is as high as this.
const RAW_BASELINE: f64 = 3.0;
/// Raw traces of which some are below 0, as a neuropil correction leaves them: the share of neurons with a baseline clear of 0, and
/// the share of those together with the neurons whose ratio is below `BELOW_RATIO`.
const SOME_ABOVE: f64 = 0.2;
const MOST_BEYOND: f64 = 0.5;
const BELOW_RATIO: f64 = -1.5;
/// Largest noise level of ΔF/F as a fraction, in % per √Hz, and largest standard deviation.
const DFF_NOISE: f64 = 40.0;
const DFF_DEVIATION: f64 = 2.0;
/// The same of a few neurons that fire in bursts.
const BURSTING_NOISE: f64 = 12.0;
const BURSTING_DEVIATION: f64 = 5.0;
/// The same of ΔF/F in per cent.
const PERCENT_NOISE: f64 = 800.0;
const PERCENT_DEVIATION: f64 = 25.0;

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
    /// The noise level over the 8th percentile, of neurons where this is above 0: about the noise level of ΔF/F if they are raw.
    pub relative_noise_level: f64,
}

/// What a recording holds, decided from its excerpt (rule 3.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// What `--baseline auto` does with it.
    pub decision: Decision,
    /// What the decision was made of.
    pub seen: Seen,
    /// Whether the recording itself says that its traces are ΔF/F.
    pub is_stated: bool,
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
            relative_noise_level: of(|neuron| match neuron.low {
                low if low > 0.0 => neuron.noise_level / low,
                _ => f64::NAN,
            }),
        };
        Self {
            decision: decide(&neurons, &seen),
            seen,
            is_stated: false,
        }
    }

    /// The kind of a recording that itself says that its traces are ΔF/F: it is not divided by a baseline, whatever it looks like. A
    /// recording without a unit stays one.
    #[must_use]
    pub fn stated_as_dff(self) -> Self {
        let decision = match self.decision {
            Decision::Use(_) => Decision::Use(Baseline::Subtract),
            refused => refused,
        };
        Self {
            decision,
            is_stated: true,
            ..self
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

    /// About the noise level that ΔF/F will have, in % per √Hz (rule 4.3); NaN where it is not known.
    pub(super) fn dff_noise_level(&self) -> f64 {
        match self.decision {
            Decision::Use(Baseline::Dff) => self.seen.relative_noise_level,
            Decision::Use(_) => self.seen.noise_level,
            Decision::Refuse(_) => f64::NAN,
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

    /// How it is known that the traces are ΔF/F.
    fn known_by(&self) -> &'static str {
        match self.is_stated {
            true => "The recording says that its traces are ΔF/F",
            false => "The traces look like ΔF/F already",
        }
    }

    fn already_dff(&self) -> Finding {
        Finding::new(
            Code::AlreadyDff,
            format!(
                "{} ({}), so that the baseline is subtracted and nothing is divided by it.",
                self.known_by(),
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
                "{} ({}), and --baseline dff divides them by a baseline once more.",
                self.known_by(),
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
        let samples = excerpt.cleaned(missing);
        let runs = excerpt.runs_of_trace();
        let mut trace = Vec::with_capacity(excerpt.frames());
        let mut neurons = Vec::with_capacity(excerpt.neurons());
        for samples in samples.chunks_exact(excerpt.frames().max(1)) {
            trace.clear();
            trace.extend(samples.iter().map(|&sample| f64::from(sample) * scale));
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
    let share = |holds: fn(&Traits) -> bool| {
        neurons.iter().filter(|neuron| holds(neuron)).count() as f64 / neurons.len() as f64
    };
    let Seen {
        low,
        ratio,
        noise_level,
        deviation,
        ..
    } = *seen;
    let high = share(|neuron| neuron.ratio > HIGH_RATIO);
    let some = share(|neuron| neuron.ratio > SOME_RATIO);
    let beyond = some + share(|neuron| neuron.ratio < BELOW_RATIO);
    let above_dff = noise_level > DFF_NOISE;
    if neurons.is_empty() || high >= HALF && (low >= OFFSET || ratio >= CERTAIN_RATIO) {
        Decision::Use(Baseline::Dff)
    } else if some >= HALF {
        let raw = low > RAW_BASELINE || above_dff && deviation > DFF_DEVIATION;
        Decision::Use(if raw {
            Baseline::Dff
        } else {
            Baseline::Subtract
        })
    } else if some >= SOME_ABOVE && beyond >= MOST_BEYOND && above_dff {
        Decision::Use(Baseline::Dff)
    } else if z_scored(neurons, deviation) {
        Decision::Refuse(Code::ZScored)
    } else if !above_dff && deviation <= DFF_DEVIATION
        || noise_level <= BURSTING_NOISE && deviation <= BURSTING_DEVIATION
    {
        Decision::Use(Baseline::Subtract)
    } else if noise_level <= PERCENT_NOISE && deviation <= PERCENT_DEVIATION {
        Decision::Refuse(Code::Percent)
    } else {
        Decision::Refuse(Code::Scale)
    }
}

/// Whether neurons have a standard deviation of 1 and a mean of 0, as well as the few runs of an excerpt can tell.
///
/// The standard deviation of a neuron with few spikes depends much on whether a run caught one. So the neurons may differ by half of
/// the median, and where that is not enough, all neurons together have to have a second moment of 1.
fn z_scored(neurons: &[Traits], deviation: f64) -> bool {
    let offsets = neurons
        .iter()
        .map(|neuron| neuron.mean.abs() / neuron.deviation);
    if median(offsets.collect()) >= 0.25 {
        return false;
    }
    let deviations = ascending(neurons.iter().map(|neuron| neuron.deviation).collect());
    let spread = percentile(&deviations, 75.0) - percentile(&deviations, 25.0);
    let count = neurons.len() as f64;
    let mean = neurons.iter().map(|neuron| neuron.mean).sum::<f64>() / count;
    let moments = neurons
        .iter()
        .map(|neuron| neuron.mean.powi(2) + neuron.deviation.powi(2));
    let root = (moments.sum::<f64>() / count).sqrt();
    (0.75..=1.25).contains(&deviation) && spread < 0.5 * deviation
        || (0.8..=1.25).contains(&root) && mean.abs() < 0.1 * root
}

#[cfg(test)]
mod tests;
