//! The form of what voluseg wrote: `cells0_clean.hdf5` with `parameters.json` beside it (rule 2.6).
//!
//! ```text
//! cell_timeseries, (N, T)                    ─▶ fluorescence, detrended
//! cell_x, cell_y, cell_z, cell_weights, (N, K) ─▶ weighted means of the cell's voxels; voxels of -1 are padding
//! parameters.json: f_volume                  ─▶ the rate in Hz
//! parameters.json: res_x, res_y, res_z, ds   ─▶ micrometres for a voxel; where they are not there, positions are voxels
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use hdf5::{Dataset, File};
use ndarray::{Array2, s};
use serde_json::Value;

use super::error::InputError;
use super::form::{Form, Request};
use super::hdf5_matrix::{Header, existing_dataset, hdf5_error};
use super::identity::Identity;
use super::panel::Panel;
use super::source::{Positions, Source};
use super::storage::Orientation;
use super::trial::Content;
use crate::hdf5_access::{self, shape_text};

/// What voluseg wrote.
pub(super) struct Voluseg;

/// The file by which the form is recognised.
const FILE: &str = "cells0_clean.hdf5";
/// The dataset with the fluorescence, unless `--calcium_dataset` names another.
const DATASET: &str = "cell_timeseries";
/// Voxels of a cell, at most: a damaged file may say any extents.
const MOST_VOXELS: usize = 1 << 20;
/// Longest `parameters.json` that is read.
const LONGEST_SETTINGS: u64 = 1 << 20;

impl Form for Voluseg {
    fn name(&self) -> &'static str {
        "voluseg"
    }

    fn recognises(&self, place: &Path) -> bool {
        place.file_name().is_some_and(|name| name == FILE)
    }

    fn open(&self, place: &Path, request: &Request) -> Result<Source, InputError> {
        open(place, request.dataset.as_deref().unwrap_or(DATASET))
    }

    fn files_to_try(&self, place: &Path, request: &Request) -> Vec<(PathBuf, Content)> {
        vec![Content::recording(place, request)]
    }
}

fn open(path: &Path, dataset: &str) -> Result<Source, InputError> {
    let parameters = path.with_file_name("parameters.json");
    let cells = ("voluseg", path, "the HDF5 file that voluseg wrote");
    let identity = match parameters.exists() {
        true => Identity::of(&[
            cells,
            ("parameters", &parameters, "the settings of voluseg"),
        ])?,
        false => Identity::of(&[cells])?,
    };
    let settings = settings(&parameters)?;
    let (header, file) = Header::read(path, dataset)?;
    let orientation = Orientation::NeuronsByFrames;
    let (panel, unwritten) = Panel::hdf5(path, (&header, &file), dataset, orientation)?;
    let neurons = header.shape[0];
    let positions = Positions {
        xyz: centres(&file, path, neurons, settings.voxel)?,
        source_row: (0..neurons as i64).collect(),
        source_plane: None,
    };
    Ok(Source {
        location: panel.into(),
        positions,
        identity,
        format: Voluseg.name(),
        reason: format!("{FILE} is there"),
        dataset: dataset.to_owned(),
        rate: settings.rate_hz,
        is_dff: false,
        findings: unwritten.into_iter().collect(),
    })
}

/// What `parameters.json` says.
struct Settings {
    rate_hz: Option<f64>,
    /// Extent of a voxel along x, y, z in micrometres; 1 where it is not known.
    voxel: [f64; 3],
}

fn settings(path: &Path) -> Result<Settings, InputError> {
    let unreadable = |found: String| InputError::File {
        path: path.to_owned(),
        what: "the settings of voluseg in JSON",
        found,
    };
    let json = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= LONGEST_SETTINGS => {
            let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
            serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?
        }
        Ok(metadata) => return Err(unreadable(format!("{} bytes", metadata.len()))),
        Err(_) => Value::Null,
    };
    let number = |name: &str| json.get(name).and_then(Value::as_f64);
    let binned = number("ds").unwrap_or(1.0);
    let voxel = ["res_x", "res_y", "res_z"].map(|name| number(name).unwrap_or(1.0));
    Ok(Settings {
        rate_hz: number("f_volume"),
        voxel: [voxel[0] * binned, voxel[1] * binned, voxel[2]],
    })
}

/// The weighted mean of each cell's voxels, times the extent of a voxel; NaN for a cell without voxels.
fn centres(
    file: &File,
    path: &Path,
    neurons: usize,
    voxel: [f64; 3],
) -> Result<Vec<[f64; 3]>, InputError> {
    /// Numbers of a table that are held at a time.
    const BLOCK: usize = 1 << 18;
    let names = ["cell_x", "cell_y", "cell_z", "cell_weights"];
    let [x, y, z, weights] = names.map(|name| table(file, path, name, neurons));
    let tables = [x?, y?, z?, weights?];
    let wide = tables[0].shape()[1];
    if let Some(place) = tables.iter().position(|table| table.shape()[1] != wide) {
        return Err(InputError::Dataset {
            path: path.to_owned(),
            dataset: names[place].to_owned(),
            expected: format!("the shape of cell_x, ({neurons}, {wide})"),
            found: shape_text(&tables[place].shape()),
        });
    }
    let mut centres = Vec::with_capacity(neurons);
    let step = (BLOCK / wide.max(1)).max(1);
    for first in (0..neurons).step_by(step) {
        let rows = first..neurons.min(first + step);
        let mut parts = Vec::new();
        for (table, name) in tables.iter().zip(names) {
            let part: Result<Array2<f64>, _> = table.read_slice_2d(s![rows.clone(), ..]);
            parts.push(part.map_err(|error| hdf5_error(path, name, &error))?);
        }
        centres.extend((0..rows.len()).map(|row| centre(&parts, row, voxel)));
    }
    Ok(centres)
}

/// The centre of one cell of a block of the tables x, y, z and weight.
fn centre(tables: &[Array2<f64>], row: usize, voxel: [f64; 3]) -> [f64; 3] {
    let (mut total, mut sums) = (0.0, [0.0; 3]);
    for place in 0..tables[0].ncols() {
        let at = |table: usize| tables[table][[row, place]];
        let (voxel, weight) = ([at(0), at(1), at(2)], at(3));
        if voxel[0] >= 0.0 && weight.is_finite() {
            total += weight;
            sums = std::array::from_fn(|axis| sums[axis] + weight * voxel[axis]);
        }
    }
    std::array::from_fn(|axis| sums[axis] / total * voxel[axis])
}

/// A table with a row for each cell.
fn table(file: &File, path: &Path, name: &str, neurons: usize) -> Result<Dataset, InputError> {
    let wrong = |found: String| InputError::Dataset {
        path: path.to_owned(),
        dataset: name.to_owned(),
        expected: format!("numbers in a row for each of {neurons} cells"),
        found,
    };
    let table = existing_dataset(file, path, name)?.ok_or_else(|| wrong("nothing".to_owned()))?;
    hdf5_access::number_kind(&table).map_err(|kind| wrong(kind.to_owned()))?;
    match table.shape()[..] {
        [rows, wide] if rows == neurons && wide <= MOST_VOXELS => Ok(table),
        ref shape => Err(wrong(shape_text(shape))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Subject;

    /// A subject with two cells of at most three voxels, and these settings.
    fn written(settings: Option<&str>) -> (tempfile::TempDir, Subject) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = hdf5::File::create(folder.path().join(FILE)).expect("a file");
        let tables = [
            (DATASET, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            ("cell_x", [2.0, 4.0, -1.0, 8.0, -1.0, -1.0]),
            ("cell_y", [0.0, 4.0, -1.0, 1.0, -1.0, -1.0]),
            ("cell_z", [1.0, 1.0, -1.0, 3.0, -1.0, -1.0]),
            (
                "cell_weights",
                [3.0, 1.0, f64::NAN, 2.0, f64::NAN, f64::NAN],
            ),
        ];
        for (name, values) in tables {
            let dataset = file.new_dataset::<f64>().shape((2, 3)).create(name);
            let dataset = dataset.expect("a dataset");
            dataset.write_raw(&values).expect("numbers");
        }
        if let Some(settings) = settings {
            fs::write(folder.path().join("parameters.json"), settings).expect("settings");
        }
        let dir = folder.path().to_owned();
        let name = "subject_1".to_owned();
        (folder, Subject { name, dir })
    }

    #[test]
    fn rule_2_6_positions_are_weighted_means_of_voxels() {
        let (_folder, subject) = written(Some(
            r#"{"f_volume": 2.1, "res_x": 0.5, "res_y": 0.25, "res_z": 5, "ds": 2}"#,
        ));
        let source = crate::input::open(&subject, &Request::default()).expect("a recording");
        assert_eq!(source.rate, Some(2.1));
        assert_eq!(source.positions.xyz, [[2.5, 0.5, 5.0], [8.0, 0.5, 15.0]]);
        assert_eq!((source.neurons(), source.frames()), (2, 3));
    }

    #[test]
    fn rule_2_6_without_settings_positions_are_voxels_and_no_rate_is_known() {
        let (_folder, subject) = written(None);
        let source = crate::input::open(&subject, &Request::default()).expect("a recording");
        assert_eq!(source.rate, None);
        assert_eq!(source.positions.xyz[1], [8.0, 1.0, 3.0]);
        let (_folder, subject) = written(Some("no JSON"));
        let message = crate::input::open(&subject, &Request::default()).expect_err("no settings");
        assert!(message.to_string().contains("parameters.json"), "{message}");
    }
}
