//! Findings about the sampling rate.

use super::wording::{hertz, percent, rounded};
use super::{Code, Finding};

/// Part of the model's rate by which the recording's may differ.
const TOLERANCE: f64 = 0.05;
/// What rounding may add to the difference: 2.1 Hz is not off 2 Hz by more than 5 %.
const ROUNDING: f64 = 1e-9;

/// A model and its sampling rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Rated {
    /// Its name, as `--cascade_model` takes it.
    pub name: String,
    /// The sampling rate for which it was trained, in Hz.
    pub rate_hz: f64,
}

/// What is to be said of the rate of a recording in Hz, None where neither the recording nor a flag states it, for a model (rules 2.7
/// and 4.9). `installed` gives the models that could be used in its place; of two that are as near, the first is advised.
#[must_use]
pub fn of_rate(
    stated_hz: Option<f64>,
    model: &Rated,
    installed: impl FnOnce() -> Vec<Rated>,
) -> Option<Finding> {
    let Some(rate) = stated_hz else {
        return Some(unknown(model));
    };
    let off = (rate - model.rate_hz).abs() / model.rate_hz;
    (off > TOLERANCE + ROUNDING).then(|| Finding {
        share: off,
        ..Finding::new(
            Code::ModelRate,
            format!(
                "The recording has {}, {} the {} of the model {}.",
                hertz(rate),
                comparison(rate / model.rate_hz),
                hertz(model.rate_hz),
                model.name
            ),
            advice(rate, model, installed()),
        )
    })
}

/// What is to be said of a rate in Hz that the user states for a recording which states another one itself (rule 2.7).
#[must_use]
pub fn of_contradiction(stated_hz: Option<f64>, own_hz: Option<f64>) -> Option<Finding> {
    let (stated, own) = (stated_hz?, own_hz?);
    let off = (stated - own).abs() / own;
    (off > TOLERANCE + ROUNDING).then(|| Finding {
        share: off,
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

/// A ratio of rates in words: `50 % less than`, `10 % more than`, `3.9 times`.
fn comparison(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 2.0 => format!("{} times", rounded(ratio)),
        ratio if ratio > 1.0 => format!("{} more than", percent(ratio - 1.0)),
        ratio => format!("{} less than", percent(1.0 - ratio)),
    }
}

fn unknown(model: &Rated) -> Finding {
    let rate = hertz(model.rate_hz);
    Finding::new(
        Code::UnknownRate,
        format!(
            "Neither the recording nor --sampling_rate states the sampling rate, so that the model's, {rate}, is taken."
        ),
        format!("If the recording has not {rate}, state its rate with --sampling_rate HZ."),
    )
}

fn advice(rate: f64, model: &Rated, installed: Vec<Rated>) -> String {
    let distance = |model: &Rated| (rate / model.rate_hz).ln().abs();
    let nearer = installed
        .into_iter()
        .filter(|other| distance(other) < distance(model));
    match nearer.min_by(|a, b| distance(a).total_cmp(&distance(b))) {
        Some(nearest) => format!(
            "Use --cascade_model {}, which is for {}.",
            nearest.name,
            hertz(nearest.rate_hz)
        ),
        None => "No installed model is nearer: get or train one for this rate, or state the right rate with --sampling_rate HZ.".to_owned(),
    }
}

#[cfg(test)]
mod tests;
