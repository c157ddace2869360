//! The form of a recording that a subject folder with `TimeSeries.h5` and `data_full.mat` has (rules 2.2 to 2.4).
//!
//! ```text
//! TimeSeries.h5 ─ hdf5_matrix ─▶ F, (T, N) or (N, T)
//! TimeSeries.h5 ─ abs_ix ─▶ absIX ────────────────────┐
//! data_full.mat ─ matlab ─▶ CellXYZ, IX_inval_anat ───┴ positions ─▶ x, y, z of each neuron
//! ```

pub(super) mod abs_ix;
mod positions;

use std::fs;
use std::path::{Path, PathBuf};

use spikegrid_core::findings::{Code, Finding};

use super::error::InputError;
use super::form::{Form, Request};
use super::hdf5_matrix::Header;
use super::identity::Identity;
use super::matlab;
use super::panel::Panel;
use super::source::Source;
use super::storage::Orientation;
use super::trial::Content;
use abs_ix::AbsIx;
use positions::Sources;

/// The dataset with the fluorescence, unless `--calcium_dataset` names another.
const DATASET: &str = "CellResp";

/// `TimeSeries.h5` with `data_full.mat`.
pub(super) struct TimeSeries;

impl Form for TimeSeries {
    fn name(&self) -> &'static str {
        "TimeSeries"
    }

    fn recognises(&self, place: &Path) -> bool {
        // A link that leads nowhere is one, too: opening it says where it leads.
        fs::symlink_metadata(time_series(place)).is_ok()
    }

    fn open(&self, place: &Path, request: &Request) -> Result<Source, InputError> {
        open(place, request.dataset.as_deref().unwrap_or(DATASET))
    }

    /// Bytes of `TimeSeries.h5`. `data_full.mat` does not count: hundreds of MB of it are passed over.
    fn fluorescence_bytes(&self, place: &Path) -> u64 {
        fs::metadata(time_series(place)).map_or(0, |metadata| metadata.len())
    }

    fn files_to_try(&self, place: &Path, request: &Request) -> Vec<(PathBuf, Content)> {
        let dataset = request.dataset.as_deref().unwrap_or(DATASET).to_owned();
        vec![
            (time_series(place), Content::TimeSeries { dataset }),
            (data_full(place), Content::DataFull),
        ]
    }
}

/// The file with the fluorescence (rule 2.2).
fn time_series(folder: &Path) -> PathBuf {
    folder.join("TimeSeries.h5")
}

/// The file with the cell positions (rule 2.3).
fn data_full(folder: &Path) -> PathBuf {
    folder.join("data_full.mat")
}

/// Opens a recording, with its fluorescence in `dataset` of `TimeSeries.h5`.
///
/// # Errors
/// If a file is missing or damaged, does not have what section 2 asks for, or if the two files describe different numbers
/// of cells.
fn open(folder: &Path, dataset: &str) -> Result<Source, InputError> {
    let (time_series, data_full) = (time_series(folder), data_full(folder));
    let identity = identity(folder)?;
    let (header, file) = Header::read(&time_series, dataset)?;
    let abs_ix = abs_ix::read(&file, &time_series, header.shape)?;
    let anatomy = matlab::read_anatomy(&data_full).map_err(|error| InputError::Mat {
        path: data_full.clone(),
        error,
    })?;
    let [rows, columns] = header.shape;
    let mismatch = |counted: String, cells: usize| InputError::Counts {
        path: time_series.clone(),
        dataset: dataset.to_owned(),
        rows,
        columns,
        counted,
        cells,
    };
    let (index, counted) = match &abs_ix {
        Some(AbsIx::Count(count)) => return Err(mismatch("absIX".to_owned(), *count)),
        Some(AbsIx::Values(values)) => (Some(&values[..]), "absIX"),
        None => (None, "CellXYZ without the rows in IX_inval_anat"),
    };
    let sources = Sources {
        time_series: &time_series,
        data_full: &data_full,
    };
    let (positions, mut findings) = positions::positions(&anatomy, index, sources)?;
    let cells = positions.xyz.len();
    let orientation = if columns == cells {
        Orientation::FramesByNeurons
    } else if rows == cells {
        Orientation::NeuronsByFrames
    } else {
        let counted = format!(
            "{counted} (of {} rows in data_full.mat)",
            anatomy.cell_xyz.len()
        );
        return Err(mismatch(counted, cells));
    };
    findings.extend(ambiguity(dataset, header.shape));
    let (panel, unwritten) = Panel::hdf5(&time_series, (&header, &file), dataset, orientation)?;
    findings.extend(unwritten);
    Ok(Source {
        location: panel.into(),
        positions,
        identity,
        format: TimeSeries.name(),
        reason: "TimeSeries.h5 is there".to_owned(),
        dataset: dataset.to_owned(),
        rate: anatomy.rate,
        is_dff: false,
        findings,
    })
}

/// The finding that a dataset has as many frames as neurons, so that nothing tells which axis is which (rule 9.3).
pub(super) fn ambiguity(dataset: &str, [rows, columns]: [usize; 2]) -> Option<Finding> {
    let message = format!(
        "{dataset} has {rows} rows and {columns} columns, and there are as many cells: its rows were taken as frames, and nothing in the \
         files tells whether that is right."
    );
    let advice = format!("If its rows are neurons, store the transpose of {dataset}.");
    (rows == columns).then(|| Finding::new(Code::AmbiguousLayout, message, advice))
}

/// Size and modification time of the two files of a subject.
///
/// # Errors
/// If a file is missing or cannot be read.
pub(super) fn identity(folder: &Path) -> Result<Identity, InputError> {
    Identity::of(&[
        (
            "time_series",
            &time_series(folder),
            "the HDF5 file with the traces, CellResp (frames, neurons)",
        ),
        (
            "data_full",
            &data_full(folder),
            "the MATLAB file with the cell positions, data.CellXYZ",
        ),
    ])
}
