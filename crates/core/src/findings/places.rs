//! Findings about where neurons are, and about what the grids cannot hold.

use std::collections::HashMap;

use super::numbers::{of_all, percent, rounded, whole};
use super::{Code, Finding, Severity};
use crate::grid::{Layout, PlaneRule};

/// More planes, or fewer neurons per plane, mean that z is a continuous number.
const MOST_PLANES: usize = 256;
const NEURONS_PER_PLANE: usize = 3;
/// Share of neurons that must share their position with another.
const REPEATED: f64 = 0.01;
/// Shares of all spikes above which losses are warnings.
const COLLISIONS: f64 = 0.05;
const MARKER: f64 = 0.01;

/// What was found out about the positions `xyz`, (N, 3), which lie in the grids as `layout` says (rules 2.5 and 7.4).
#[must_use]
pub fn of_positions(xyz: &[[f64; 3]], layout: &Layout, rule: PlaneRule) -> Vec<Finding> {
    [missing(xyz), continuous(xyz, layout, rule), repeated(xyz)]
        .into_iter()
        .flatten()
        .collect()
}

fn has_position(xyz: &[f64; 3]) -> bool {
    !xyz.iter().any(|coordinate| coordinate.is_nan())
}

fn missing(xyz: &[[f64; 3]]) -> Option<Finding> {
    let first = xyz.iter().position(|xyz| !has_position(xyz))?;
    let neurons = xyz.iter().filter(|xyz| !has_position(xyz)).count();
    let all = neurons == xyz.len();
    let message = format!(
        "{} no position: a coordinate is NaN.",
        has(neurons as u64, xyz.len() as u64)
    );
    let advice = match all {
        true => "Without positions there are no grids. Check CellXYZ, and absIX if there is one.",
        false => {
            "Their rates and spikes are saved, but they are in no grid. Give their positions, or leave them out."
        }
    };
    Some(Finding {
        severity: if all {
            Severity::Failure
        } else {
            Severity::Warning
        },
        neurons: neurons as u64,
        share: neurons as f64 / xyz.len() as f64,
        first_neuron: Some(first as u64),
        ..Finding::new(Code::MissingPositions, message, advice)
    })
}

/// As in `1 of 24 neurons (4.2 %) has`.
fn has(neurons: u64, all: u64) -> String {
    let verb = if neurons == 1 { "has" } else { "have" };
    format!("{} {verb}", of_all(neurons, all, "neuron"))
}

fn continuous(xyz: &[[f64; 3]], layout: &Layout, rule: PlaneRule) -> Option<Finding> {
    let placed = xyz.iter().filter(|xyz| has_position(xyz)).count();
    let mut per_plane = layout.neurons_per_plane();
    per_plane.sort_unstable();
    let middle = *per_plane.get(per_plane.len() / 2)?;
    let planes = layout.planes();
    let is_continuous =
        planes > MOST_PLANES || (middle < NEURONS_PER_PLANE && placed >= NEURONS_PER_PLANE);
    (rule == PlaneRule::Levels && is_continuous).then(|| Finding {
        neurons: placed as u64,
        share: placed as f64 / xyz.len() as f64,
        first_neuron: xyz.iter().position(has_position).map(|first| first as u64),
        ..Finding::new(
            Code::ContinuousZ,
            format!(
                "z has {} different values, with {} neurons each (median), so that there are as many z-planes.",
                whole(planes as u64),
                whole(middle as u64)
            ),
            "Cut z into planes with --planes N (N of equal height) or --plane_step UNITS (of this height).",
        )
    })
}

fn repeated(xyz: &[[f64; 3]]) -> Option<Finding> {
    let key = |xyz: &[f64; 3]| xyz.map(|coordinate| (coordinate + 0.0).to_bits());
    let mut count: HashMap<[u64; 3], usize> = HashMap::with_capacity(xyz.len());
    for place in xyz.iter().filter(|xyz| has_position(xyz)) {
        *count.entry(key(place)).or_default() += 1;
    }
    let shares = |xyz: &&[f64; 3]| count.get(&key(xyz)).is_some_and(|neurons| *neurons > 1);
    let neurons = xyz.iter().filter(shares).count();
    let share = neurons as f64 / xyz.len().max(1) as f64;
    (neurons > 0 && share >= REPEATED).then(|| Finding {
        neurons: neurons as u64,
        share,
        first_neuron: xyz.iter().position(|xyz| shares(&xyz)).map(|first| first as u64),
        ..Finding::new(
            Code::RepeatedPositions,
            format!(
                "{} all three coordinates with another neuron.",
                match neurons {
                    1 => "1 neuron shares".to_owned(),
                    _ => format!("{} share", of_all(neurons as u64, xyz.len() as u64, "neuron")),
                }
            ),
            "They lie in one pixel, and their spikes cannot be told apart. Check whether cells are in the recording twice.",
        )
    })
}

/// What the grids lost of `spikes` spikes of neurons that have a pixel: `lost` to another neuron in the pixel, `marker` under the
/// marker.
#[must_use]
pub fn of_grids(spikes: u64, lost: u64, marker: u64) -> Vec<Finding> {
    let lost = share_of_spikes(
        Code::Collisions,
        lost,
        spikes,
        COLLISIONS,
        "because another neuron of the plane has the pixel in that frame",
        "Pixels are 1/256 and 1/128 of the range of x and y. Use spikes of traces.h5 (--save_traces) where each neuron matters.",
    );
    let marker = share_of_spikes(
        Code::Marker,
        marker,
        spikes,
        MARKER,
        "under the marker at the edge of their plane",
        "The marker covers rows 0 and 1 of the last columns, where x is least and y is greatest. traces.h5 (--save_traces) has these spikes.",
    );
    lost.into_iter().chain(marker).collect()
}

fn share_of_spikes(
    code: Code,
    lost: u64,
    spikes: u64,
    warning: f64,
    why: &str,
    advice: &str,
) -> Option<Finding> {
    let share = lost as f64 / spikes.max(1) as f64;
    (lost > 0).then(|| Finding {
        severity: if share >= warning {
            Severity::Warning
        } else {
            Severity::Note
        },
        share,
        ..Finding::new(
            code,
            format!(
                "{} of {} spikes ({}) are lost {why}.",
                whole(lost),
                whole(spikes),
                percent(share)
            ),
            advice,
        )
    })
}

/// The rate of a model, and its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Rated {
    /// Name of the model's folder.
    pub name: String,
    /// Sampling rate for which it was trained, in Hz.
    pub rate_hz: f64,
}

/// How far rates may be apart: part of the model's.
const RATE_TOLERANCE: f64 = 0.05;

/// What is to be said of a recording's rate in Hz, None where nothing states it, for a model (rules 2.7 and 4.9). `installed` gives the
/// models that there are.
#[must_use]
pub fn of_rate(
    stated_hz: Option<f64>,
    model: &Rated,
    installed: impl FnOnce() -> Vec<Rated>,
) -> Option<Finding> {
    let Some(rate) = stated_hz else {
        return Some(Finding::new(
            Code::UnknownRate,
            format!(
                "Neither the recording nor --sampling_rate states the sampling rate, and the model's, {} Hz, is taken.",
                rounded_rate(model.rate_hz)
            ),
            "Say the recording's with --sampling_rate HZ.",
        ));
    };
    let distance = |of: f64| (rate / of).ln().abs();
    // 2.1 Hz is 5 % off 2 Hz, although its f64 is a little more.
    if (rate / model.rate_hz - 1.0).abs() <= RATE_TOLERANCE + 1e-9 {
        return None;
    }
    let nearest = installed()
        .into_iter()
        .filter(|other| distance(other.rate_hz) < distance(model.rate_hz))
        .min_by(|a, b| distance(a.rate_hz).total_cmp(&distance(b.rate_hz)));
    let advice = match nearest {
        Some(nearest) => format!(
            "Use --cascade_model {}, which is for {} Hz, or a model for the recording's rate.",
            nearest.name,
            rounded_rate(nearest.rate_hz)
        ),
        None => "Use a model for the recording's rate with --cascade_model, or state the right rate with --sampling_rate HZ.".to_owned(),
    };
    Some(Finding::new(
        Code::ModelRate,
        format!(
            "The recording has {} Hz, and the model {} is for {} Hz, which is {} off.",
            rounded_rate(rate),
            model.name,
            rounded_rate(model.rate_hz),
            percent((rate / model.rate_hz - 1.0).abs())
        ),
        advice,
    ))
}

/// What is to be said of a recording of `frames` frames for a network with a window of `windowsize` frames.
#[must_use]
pub fn of_length(frames: usize, windowsize: usize) -> Option<Finding> {
    (frames < windowsize).then(|| Finding {
        frames: frames as u64,
        share: 1.0,
        ..Finding::new(
            Code::Short,
            format!(
                "{} frames are fewer than the model's window of {windowsize}, so that no frame has a rate, and there are no spikes.",
                whole(frames as u64)
            ),
            "Record longer, or use a model with a shorter window.",
        )
    })
}

fn rounded_rate(rate_hz: f64) -> String {
    match rate_hz {
        rate if rate >= 1000.0 => rounded(rate),
        rate => {
            let text = format!("{rate:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
