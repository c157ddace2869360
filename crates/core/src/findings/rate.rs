//! Findings about the sampling rate.

use std::ops::RangeInclusive;

use super::wording::{hertz, percent, rounded};
use super::{Code, Finding, Severity};
use crate::cascade::choice::{self, InstalledModel, difference, is_within};

/// Part of a rate by which another one may differ before it is a finding.
const NOTICED: f64 = 0.05;
/// Ratios of a recording's rate to the model's of which docs/benchmark.md tells what a model loses.
const MEASURED: RangeInclusive<f64> = 0.72..=1.28;
/// Most frames that it is advised to average into one.
const MOST_AVERAGED: u32 = 100;

/// What is to be said of the rate of a recording in Hz, None where neither the recording nor a flag states it, for the model that the user
/// named (rules 2.7 and 4.9). `installed` gives the models that could be used in its place.
#[must_use]
pub fn of_rate(
    stated_hz: Option<f64>,
    model: &InstalledModel,
    installed: impl FnOnce() -> Vec<InstalledModel>,
) -> Option<Finding> {
    let Some(rate) = stated_hz else {
        return Some(unknown(model));
    };
    (!is_within(NOTICED, rate, model.rate_hz)).then(|| Finding {
        share: difference(rate, model.rate_hz),
        ..Finding::new(
            Code::ModelRate,
            format!(
                "The recording has {}, {} the {} of the model {}.",
                hertz(rate),
                comparison(rate / model.rate_hz),
                hertz(model.rate_hz),
                model.name
            ),
            advice(rate, model, &installed()),
        )
    })
}

/// The model that `--cascade_model auto` takes for a recording of this rate in Hz, None where neither the recording nor a flag states it
/// (rule 4.9).
///
/// # Errors
/// The failure of the subject, which names the nearest model: the rate is not known, or no model is near enough.
pub fn choose_model(
    stated_hz: Option<f64>,
    installed: &[InstalledModel],
) -> Result<&InstalledModel, Finding> {
    let failure = |code, message: String, advice: &str| Finding {
        severity: Severity::Failure,
        ..Finding::new(code, message, advice)
    };
    let Some(rate) = stated_hz else {
        let message = "Neither the recording nor --sampling_rate states the sampling rate, by which --cascade_model auto chooses the model.";
        let advice =
            "State the rate with --sampling_rate HZ, or name a model with --cascade_model NAME.";
        return Err(failure(Code::UnknownRate, message.to_owned(), advice));
    };
    choice::choose(rate, installed).map_err(|nearest| match nearest {
        Some(nearest) => Finding {
            share: difference(rate, nearest.rate_hz),
            ..failure(
                Code::ModelRate,
                format!(
                    "The recording has {}, and --cascade_model auto takes a model for recordings of {} to {} times its rate. The nearest is \
                     {}: the recording has {} times its {}.",
                    hertz(rate),
                    ratio((-choice::TOLERANCE).exp()),
                    ratio(choice::TOLERANCE.exp()),
                    nearest.name,
                    ratio(rate / nearest.rate_hz),
                    hertz(nearest.rate_hz)
                ),
                &advice_without_model(rate, nearest, installed),
            )
        },
        None => failure(
            Code::ModelRate,
            format!(
                "The recording has {}, and no model is installed among which --cascade_model auto chooses: one whose name begins with \
                 Global_EXC and that is not causal.",
                hertz(rate)
            ),
            "Get or train a model for this rate, say with --model_dir where models are, or name one with --cascade_model NAME.",
        ),
    })
}

/// What is to be said of a rate in Hz that the user states for a recording which states another one itself (rule 2.7).
#[must_use]
pub fn of_contradiction(stated_hz: Option<f64>, own_hz: Option<f64>) -> Option<Finding> {
    let (stated, own) = (stated_hz?, own_hz?);
    (!is_within(NOTICED, stated, own)).then(|| Finding {
        share: difference(stated, own),
        ..Finding::new(
            Code::ContradictedRate,
            format!(
                "--sampling_rate is {}, {} the {} that the recording itself states.",
                hertz(stated),
                comparison(stated / own),
                hertz(own)
            ),
            "The flag is used. Leave it out unless the recording is wrong; if recordings have different rates, process them in runs of \
             their own with --only.",
        )
    })
}

/// A ratio of rates to a thousandth: `0.85`, `1.174`.
fn ratio(ratio: f64) -> String {
    let text = format!("{ratio:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A ratio of rates in words: `50 % less than`, `10 % more than`, `3.9 times`.
fn comparison(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 2.0 => format!("{} times", rounded(ratio)),
        ratio if ratio > 1.0 => format!("{} more than", percent(ratio - 1.0)),
        ratio => format!("{} less than", percent(1.0 - ratio)),
    }
}

fn unknown(model: &InstalledModel) -> Finding {
    let rate = hertz(model.rate_hz);
    Finding::new(
        Code::UnknownRate,
        format!(
            "Neither the recording nor --sampling_rate states the sampling rate, so that the model's, {rate}, is taken."
        ),
        format!("If the recording has not {rate}, state its rate with --sampling_rate HZ."),
    )
}

/// What to do where `--cascade_model auto` takes no model.
fn advice_without_model(
    rate: f64,
    nearest: &InstalledModel,
    installed: &[InstalledModel],
) -> String {
    let other_way = if MEASURED.contains(&(rate / nearest.rate_hz)) {
        Some(format!(
            "take the nearest model with --cascade_model {}",
            nearest.name
        ))
    } else {
        (2..=MOST_AVERAGED).find_map(|frames| {
            let model = choice::choose(rate / f64::from(frames), installed).ok()?;
            Some(format!(
                "average every {frames} frames into one: the model {} is for {}",
                model.name,
                hertz(model.rate_hz)
            ))
        })
    };
    match other_way {
        Some(way) => format!(
            "Get or train a model for this rate, state the right rate with --sampling_rate HZ, or {way}."
        ),
        None => {
            "Get or train a model for this rate, or state the right rate with --sampling_rate HZ."
                .to_owned()
        }
    }
}

fn advice(rate: f64, model: &InstalledModel, installed: &[InstalledModel]) -> String {
    let nearer = installed
        .iter()
        .filter(|other| other.distance(rate) < model.distance(rate));
    // Causal rates and others are not for the same purposes, and a model for one indicator suits hardly anybody else.
    let kind = |other: &InstalledModel| (other.is_causal != model.is_causal, !other.is_of_all());
    let compare = |one: &&InstalledModel, other: &&InstalledModel| {
        let kinds = kind(one).cmp(&kind(other));
        kinds.then_with(|| one.compare(other, rate))
    };
    let is_near = |model: &InstalledModel| choice::is_near(rate, model.rate_hz);
    let named = |other: &InstalledModel| {
        let kind = match (model.is_causal, other.is_causal) {
            (true, false) => " and is not causal",
            (false, true) => " and is causal",
            _ => "",
        };
        format!(
            "--cascade_model {}, which is for {}{kind}",
            other.name,
            hertz(other.rate_hz)
        )
    };
    match nearer.min_by(compare) {
        Some(nearest) if is_near(nearest) => format!("Use {}.", named(nearest)),
        Some(nearest) => {
            let (kind, other) = match choice::choose(rate, installed) {
                Ok(general) if model.is_causal => (
                    " causal",
                    format!(" For this rate there is {}.", named(general)),
                ),
                _ => ("", String::new()),
            };
            format!(
                "No installed{kind} model is for this rate; the nearest is {}.{other} Get or train one, or state the right rate with \
                 --sampling_rate HZ.",
                named(nearest)
            )
        }
        None if is_near(model) => "No installed model is nearer, and so small a difference costs little accuracy. If the rate is wrong, state \
                                   the right one with --sampling_rate HZ."
            .to_owned(),
        None => "No installed model is nearer: get or train one for this rate, or state the right rate with --sampling_rate HZ.".to_owned(),
    }
}

#[cfg(test)]
mod tests;
