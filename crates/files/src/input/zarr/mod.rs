//! The form of recordings in Zarr arrays of version 2 and 3, in a local folder (rule 2.6).
//!
//! ```text
//! folder ─ listing ─▶ arrays ─ choice ─▶ traces: which array, which axis is time
//! positions: an array (N, 3), positions.npy, positions.csv or ZapBench's segmentation/dataframe.json
//! attributes ─▶ rate
//! array ─ metadata, codecs ─▶ how its chunks are stored ─ chunks, decode ─▶ numbers ─ matrix ─▶ samples
//! ```
//!
//! The crate `zarrs` is not used: it allocates what the header of a damaged chunk claims (zstd) or goes on as long as there are data
//! (gzip), needs a C++ compiler for Blosc, 70 more crates and Rust 1.91, and turns the order of all JSON maps of the program around.

mod blosc;
mod choice;
mod chunks;
mod codecs;
mod crc32c;
mod decode;
mod listing;
mod matrix;
mod metadata;
mod numbers;
mod positions;
mod shuffle;
mod stored;
mod values;

use std::path::Path;

use serde_json::Value;

use super::error::InputError;
use super::form::{Form, Request, file_name};
use super::identity::Identity;
use super::panel::Panel;
use super::place::Place;
use super::source::{Positions, RATES, Source};
use super::time_series;
use choice::Choice;
use listing::{Listed, Listing};
pub(super) use matrix::Matrix;
use stored::Stored;

/// Arrays of Zarr 2 or 3.
pub(super) struct Zarr;

impl Form for Zarr {
    fn name(&self) -> &'static str {
        "Zarr"
    }

    /// A store with an array of two axes, or one that is damaged; or a folder that is no store, with arrays in it. Stores that are groups
    /// are recordings of their own.
    fn recognises(&self, place: &Path) -> bool {
        if !place.is_dir() {
            return false;
        }
        let listing = Listing::of(place);
        let directly = |listed: &Listed| listing::is_node(place) || !listed.name.contains('/');
        let matrices = listing.arrays.iter().filter(|listed| directly(listed));
        let mut matrices = matrices.filter(|listed| listed.matrix_shape().is_some());
        matrices.next().is_some() || !listing.unreadable.is_empty()
    }

    fn open(&self, place: &Path, request: &Request) -> Result<Source, InputError> {
        open(place, request.dataset.as_deref())
    }

    fn name_of_loose(&self, place: &Path) -> Option<String> {
        let name = file_name(place);
        match name.strip_suffix(".zarr") {
            Some(stem) => (!positions::is_named(stem)).then(|| stem.to_owned()),
            None => positions::zapbench(place).is_file().then_some(name),
        }
    }
}

fn open(place: &Path, dataset: Option<&str>) -> Result<Source, InputError> {
    let (listing, itself) = Listing::around(place);
    let choice = Choice::of(&listing, dataset.or(itself.as_deref()))?;
    let traces = choice.traces;
    let stored = Stored::of(&traces.header)?;
    let found = positions::find(&listing, &choice.shape)?;
    let neurons = found.xyz.len();
    let orientation = choice.orientation(neurons, &found.counted)?;
    let matrix = Matrix::of(traces.header.clone(), orientation)?;
    let folder = traces.header.path.clone();
    let mut identity = Identity::default();
    identity.add(&traces.name, stored.identity);
    identity.add(&found.file.0, found.file.1);
    let ambiguous = choice.is_ambiguous();
    let finding = ambiguous.then(|| time_series::ambiguity(&traces.name, choice.shape));
    Ok(Source {
        location: Panel::new(Place::Zarr { folder }, matrix.storage()).into(),
        positions: Positions {
            xyz: found.xyz,
            source_row: (0..neurons as i64).collect(),
            source_plane: None,
        },
        identity,
        format: Zarr.name(),
        reason: format!(
            "{} is a Zarr array, and {} has the positions",
            traces.described(),
            found.counted
        ),
        dataset: traces.name.clone(),
        rate: rate(traces),
        is_dff: false,
        findings: finding.flatten().into_iter().collect(),
    })
}

/// The rate in Hz that the attributes of an array state, or those of the groups around it.
fn rate(traces: &Listed) -> Option<f64> {
    let groups = traces.groups.iter().map(|group| &group.attributes);
    let attributes = [&traces.header.attributes].into_iter().chain(groups);
    let mut rates = attributes.flat_map(|attributes| {
        let values = RATES.iter().filter_map(|name| attributes.get(*name));
        values
            .filter_map(number)
            .filter(|rate| *rate > 0.0 && rate.is_finite())
    });
    rates.next()
}

/// A number, also as text or as the only one of a list.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Array(values) => match &values[..] {
            [Value::Number(number)] => number.as_f64(),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
