//! Findings about the positions of neurons.

use std::collections::HashMap;

use super::numbers::median;
use super::wording::{Touched, counted, rounded};
use super::{Code, Finding, Severity, sort};
use crate::grid::{Layout, PlaneRule};

/// Most planes, and fewest neurons per plane in the median, that distinct levels of z have where z is not a continuous number.
const MOST_PLANES: usize = 256;
const FEWEST_PER_PLANE: f64 = 3.0;
/// Fewest planes of which this can be told: a few neurons on a few planes are no cloud.
const FEWEST_PLANES: usize = 10;
/// Share of neurons from which shared positions matter.
const SHARED: f64 = 0.01;

/// What is to be said of the positions `xyz` (N, 3) of a subject and of the `layout` that a rule made of them, in the order in which
/// it is reported (rule 9.3).
#[must_use]
pub fn of_positions(xyz: &[[f64; 3]], layout: &Layout, rule: PlaneRule) -> Vec<Finding> {
    let mut findings: Vec<_> = missing(xyz)
        .into_iter()
        .chain(continuous_z(layout, rule))
        .chain(repeated(xyz))
        .collect();
    sort(&mut findings);
    findings
}

fn is_missing(position: &[f64; 3]) -> bool {
    position.iter().any(|coordinate| coordinate.is_nan())
}

fn missing(xyz: &[[f64; 3]]) -> Option<Finding> {
    let touched = Touched::of(xyz, is_missing);
    if touched.count == 0 {
        return None;
    }
    let predicate = format!(
        "{} no position, because a coordinate is NaN.",
        touched.verb("has", "have")
    );
    if touched.count as usize == xyz.len() {
        return Some(Finding {
            severity: Severity::Failure,
            ..touched.finding(
                Code::MissingPositions,
                &predicate,
                "Correct the positions of the recording, because without any there are no grids.",
            )
        });
    }
    Some(touched.finding(
        Code::MissingPositions,
        &predicate,
        "Such neurons have rates and spikes, but no pixel in the grids. Correct their positions in the recording if they are known.",
    ))
}

fn continuous_z(layout: &Layout, rule: PlaneRule) -> Option<Finding> {
    let per_plane = layout.neurons_per_plane();
    let neurons: usize = per_plane.iter().sum();
    if rule != PlaneRule::Levels || per_plane.len() < FEWEST_PLANES {
        return None;
    }
    let median = median(per_plane.iter().map(|&neurons| neurons as f64).collect());
    (per_plane.len() > MOST_PLANES || median < FEWEST_PER_PLANE).then(|| {
        Finding::new(
            Code::ContinuousZ,
            format!(
                "{} lie on {}, {} per plane in the median, as if z were a continuous number.",
                counted(neurons, "neuron"),
                counted(per_plane.len(), "plane"),
                rounded(median)
            ),
            "Use --planes N to cut z into N slabs of equal height, or --plane_step UNITS for slabs of that height.",
        )
    })
}

fn repeated(xyz: &[[f64; 3]]) -> Option<Finding> {
    // -0.0 + 0.0 is 0.0
    let key = |position: &[f64; 3]| position.map(|coordinate| (coordinate + 0.0).to_bits());
    let mut times: HashMap<_, u32> = HashMap::new();
    for position in xyz.iter().filter(|position| !is_missing(position)) {
        *times.entry(key(position)).or_default() += 1;
    }
    let touched = Touched::of(xyz, |position| times.get(&key(position)) > Some(&1));
    (touched.count > 0 && touched.share() >= SHARED).then(|| {
        touched.finding(
            Code::RepeatedPositions,
            &format!(
                "{} the position of another neuron.",
                touched.verb("has", "have")
            ),
            "Their spikes share a pixel in the grids. Check the positions of the recording, and whether cells are in it twice.",
        )
    })
}

#[cfg(test)]
mod tests;
