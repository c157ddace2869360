//! The form of plain matrices: fluorescence in an array of NumPy, MATLAB or HDF5 or in a table of text, and positions beside or in the same
//! file (rule 2.6).
//!
//! ```text
//! files of the folder ─ listing ─▶ arrays ─ choice ─▶ the matrix with the fluorescence
//! positions.csv, positions.npy, or an array (N, 3) ─ positions ─▶ x, y, z of each neuron; N tells which axis is that of the neurons
//! an array of one number, such as fs ─▶ rate
//! ```

mod array;
mod choice;
mod hdf5_arrays;
mod listing;
mod npz;
mod pickled;
mod positions;

use std::path::{Path, PathBuf};

use super::error::InputError;
use super::form::{Form, Request, file_name, is_of_another};
use super::identity::Identity;
use super::source::{Positions, RATES, Source};
use super::storage::Orientation;
use super::time_series;
use super::trial::Content;
use array::Array;
use listing::{Kind, Listing};

/// A matrix of fluorescence and positions.
pub(super) struct Plain;

impl Form for Plain {
    fn name(&self) -> &'static str {
        "plain matrix"
    }

    /// A file that may hold a matrix, by its extension, or a folder with such files, where nothing is a recording of another form and no
    /// `data_full.mat` tells that it is one that lacks a file.
    fn recognises(&self, place: &Path) -> bool {
        let has_anatomy = |folder: &Path| folder.join("data_full.mat").symlink_metadata().is_ok();
        if place.is_dir() {
            let may_be = !has_anatomy(place) && !listing::files(place).is_empty();
            return may_be && !is_of_another(place, self.name());
        }
        let is_there = place.symlink_metadata().is_ok();
        is_there && Kind::of(place).is_some() && !place.parent().is_some_and(has_anatomy)
    }

    /// The forms before this one are to be asked first, and some of them look into HDF5 files.
    fn looks_into_files(&self) -> bool {
        true
    }

    fn open(&self, place: &Path, request: &Request) -> Result<Source, InputError> {
        open(place, request.dataset.as_deref())
    }

    fn files_to_try(&self, place: &Path, request: &Request) -> Vec<(PathBuf, Content)> {
        let files = listing::files(place).into_iter();
        let files = files.filter(|file| matches!(Kind::of(file), Some(Kind::Hdf5 | Kind::Mat)));
        let mut trials: Vec<(PathBuf, Content)> = files
            .map(|file| Content::recording(&file, request))
            .collect();
        // Once more with all that is beside, because the matrix is chosen and its axes are known only then.
        if let Some((file, _)) = trials.first() {
            let (_, whole) = Content::recording(place, request);
            trials.push((file.clone(), whole));
        }
        trials
    }
}

fn open(place: &Path, dataset: Option<&str>) -> Result<Source, InputError> {
    let listing = Listing::of(place);
    let (traces, listing) = choice::traces(listing, dataset)?;
    let traces = traces.counted()?;
    let found = positions::find(&listing, &traces, traces.matrix_shape()?)?;
    let neurons = found.xyz.len();
    let shape = traces.shape_with(neurons)?;
    let [rows, columns] = shape;
    let by_rows = match neurons {
        _ if columns == neurons => Orientation::FramesByNeurons,
        _ if rows == neurons => Orientation::NeuronsByFrames,
        cells => {
            return Err(InputError::Counts {
                path: traces.path,
                dataset: traces.name,
                rows,
                columns,
                counted: found.name,
                cells,
            });
        }
    };
    let (panel, unwritten) = traces.panel(by_rows, neurons)?;
    let file = file_name(&traces.path);
    let mut identity = Identity::of(&[(&file, &traces.path, "a matrix of fluorescence")])?;
    if found.path != traces.path {
        let name = file_name(&found.path);
        identity = Identity::of(&[
            (&file, &traces.path, "a matrix of fluorescence"),
            (&name, &found.path, "positions of neurons"),
        ])?;
    }
    let mut findings: Vec<_> = time_series::ambiguity(&traces.name, shape)
        .into_iter()
        .collect();
    findings.extend(unwritten);
    Ok(Source {
        location: panel.into(),
        positions: Positions {
            xyz: found.xyz,
            source_row: (0..neurons as i64).collect(),
            source_plane: None,
        },
        identity,
        format: Plain.name(),
        reason: format!(
            "{} has a matrix, and {} the positions",
            traces.described(),
            found.name
        ),
        rate: rate(&listing, &traces),
        dataset: traces.name,
        is_dff: false,
        findings,
    })
}

/// The rate in Hz that an array of one number beside a matrix states, or an attribute of the matrix.
fn rate(listing: &Listing, traces: &Array) -> Option<f64> {
    let beside = |name: &&str| {
        let arrays = listing
            .arrays
            .iter()
            .filter(|array| array.path == traces.path);
        let mut named = arrays.filter(|array| array.short_name().eq_ignore_ascii_case(name));
        named.find_map(Array::only_value)
    };
    let is_rate = |rate: &f64| rate.is_finite() && *rate > 0.0;
    let mut stated = RATES.iter().filter_map(beside).filter(is_rate);
    stated.next().or_else(|| {
        let mut attributes = RATES.iter().filter_map(|name| traces.attribute(name));
        attributes.find(is_rate)
    })
}

#[cfg(test)]
mod tests;
