//! Rule 2.6 on files that are written here: what must come out of each, what is refused, and what damaged copies do.

mod choices;
mod damage;
mod files;
mod kinds;

use std::path::Path;

use super::*;
use crate::input::{Request, Subject};

/// Neurons and frames of the recordings of these tests.
const NEURONS: usize = 7;
const FRAMES: usize = 20;

/// A whole number that says where it belongs, and fits any type.
fn value(neuron: usize, frame: usize) -> f64 {
    ((neuron * 17 + frame * 3) % 120) as f64
}

/// x, y, z of a neuron.
fn xyz(neuron: usize) -> [f64; 3] {
    let neuron = neuron as f64;
    [neuron + 0.5, 10.0 * neuron, -neuron]
}

/// Row by row, (N, T).
fn by_neurons() -> Vec<f64> {
    let neurons = (0..NEURONS).flat_map(|n| (0..FRAMES).map(move |t| value(n, t)));
    neurons.collect()
}

/// Row by row, (T, N).
fn by_frames() -> Vec<f64> {
    let frames = (0..FRAMES).flat_map(|t| (0..NEURONS).map(move |n| value(n, t)));
    frames.collect()
}

/// Row by row, (N, 3).
fn positions_by_neurons() -> Vec<f64> {
    (0..NEURONS).flat_map(xyz).collect()
}

/// Row by row, (3, N).
fn positions_by_axes() -> Vec<f64> {
    let axes = (0..3).flat_map(|axis| (0..NEURONS).map(move |n| xyz(n)[axis]));
    axes.collect()
}

/// A folder with positions beside.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = (0..NEURONS).map(|neuron| {
        let [x, y, z] = xyz(neuron);
        format!("{x},{y},{z}\n")
    });
    let text = "x,y,z\n".to_owned() + &rows.collect::<String>();
    std::fs::write(folder.path().join("positions.csv"), text).expect("positions");
    folder
}

fn open_with(folder: &Path, request: &Request) -> Result<Source, InputError> {
    let subject = Subject {
        name: "subject_1".to_owned(),
        dir: folder.to_owned(),
    };
    crate::input::open(&subject, request)
}

fn opened(folder: &Path) -> Result<Source, InputError> {
    open_with(folder, &Request::default())
}

/// Checks all that must come out of a recording.
fn check(folder: &Path, what: &str) -> Source {
    let source = opened(folder).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(source.format, "plain matrix", "{what}");
    let extents = (source.neurons(), source.frames());
    assert_eq!(extents, (NEURONS, FRAMES), "{what}");
    for (neuron, found) in source.positions.xyz.iter().enumerate() {
        assert_eq!(*found, xyz(neuron), "{what}");
    }
    let reader = source.location.open().expect("a reader");
    let samples = reader.read_neurons(0..NEURONS);
    let samples = samples.unwrap_or_else(|error| panic!("{what}: {error}"));
    let traces = samples.traces(&(0..NEURONS));
    let expected: Vec<f32> = by_neurons().into_iter().map(|value| value as f32).collect();
    assert_eq!(traces, expected, "{what}");
    source
}
