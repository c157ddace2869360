//! Subjects on disk: which there are (rule 2.1), their traces (2.2) and their cell positions (2.3 to 2.5).
//!
//! ```text
//! input folder ─ discovery ─▶ subjects
//! TimeSeries.h5 ─ traces ─▶ F, (T, N) on disk, neuron-major in memory
//! data_full.mat ─ matlab ─▶ CellXYZ, IX_inval_anat ─┐
//! TimeSeries.h5 ─ traces ─▶ absIX ──────────────────┴ positions ─▶ x, y, z of each neuron
//! ```

pub mod discovery;
mod error;
pub mod matlab;
pub mod positions;
pub mod traces;

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

pub use discovery::{Subject, subjects};
pub use error::InputError;
pub use positions::Positions;
pub use traces::{Orientation, Traces};

use positions::Sources;
use traces::{AbsIx, Found};

/// A subject that is ready to be processed.
#[derive(Debug)]
pub struct SubjectInput {
    /// The raw traces.
    pub traces: Traces,
    /// The positions of their cells.
    pub positions: Positions,
    /// Which files these are (rule 8.7).
    pub identity: InputIdentity,
}

/// What tells one version of a subject's input from another (rule 8.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputIdentity {
    /// `TimeSeries.h5`.
    pub time_series: FileIdentity,
    /// `data_full.mat`.
    pub data_full: FileIdentity,
}

/// Size and modification time of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds after (before, if negative) 1970 began, UTC.
    pub modified_ns: i64,
}

/// Opens the traces of a subject and finds the position of each neuron (rules 2.2 to 2.5).
///
/// `dataset` is the dataset of `TimeSeries.h5` with the traces. One rank does this; the others call [`Traces::open`] with
/// the orientation found.
///
/// # Errors
/// If a file is missing or damaged, does not have what section 2 asks for, or if the two files describe different numbers
/// of cells.
pub fn open(subject: &Subject, dataset: &str) -> Result<SubjectInput, InputError> {
    if subject.dir.file_name() != Some(subject.name.as_ref()) {
        let path = subject.dir.clone();
        return Err(InputError::SubjectName { path });
    }
    let (time_series, data_full) = (subject.time_series(), subject.data_full());
    let identity = identity(subject)?;
    let found = Found::probe(&time_series, dataset)?;
    let anatomy = matlab::read_anatomy(&data_full).map_err(|error| InputError::Mat {
        path: data_full.clone(),
        error,
    })?;
    let sources = Sources {
        time_series: &time_series,
        data_full: &data_full,
    };
    let [rows, columns] = found.shape;
    let mismatch = |counted: String, cells: usize| InputError::Counts {
        path: time_series.clone(),
        dataset: dataset.to_owned(),
        rows,
        columns,
        counted,
        cells,
    };
    let (positions, counted) = match &found.abs_ix {
        Some(AbsIx::Count(count)) => return Err(mismatch("absIX".to_owned(), *count)),
        Some(AbsIx::Values(values)) => (
            positions::positions(&anatomy, Some(values), sources)?,
            "absIX",
        ),
        None => (
            positions::positions(&anatomy, None, sources)?,
            "CellXYZ without the rows in IX_inval_anat",
        ),
    };
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
    let traces = Traces::open_found(&time_series, dataset, orientation, &found)?;
    if traces.frames() > i32::MAX as usize {
        return Err(InputError::Dataset {
            path: time_series,
            dataset: dataset.to_owned(),
            expected: format!("at most {} frames", i32::MAX),
            found: traces.frames().to_string(),
        });
    }
    Ok(SubjectInput {
        traces,
        positions,
        identity,
    })
}

/// Size and modification time of the two files of a subject.
///
/// # Errors
/// If a file is missing or cannot be read.
pub fn identity(subject: &Subject) -> Result<InputIdentity, InputError> {
    Ok(InputIdentity {
        time_series: file_identity(
            &subject.time_series(),
            "the HDF5 file with the traces, CellResp (frames, neurons)",
        )?,
        data_full: file_identity(
            &subject.data_full(),
            "the MATLAB file with the cell positions, data.CellXYZ",
        )?,
    })
}

fn file_identity(path: &Path, what: &'static str) -> Result<FileIdentity, InputError> {
    traces::require_file(path, what)?;
    let unreadable = |error: std::io::Error| InputError::File {
        path: path.to_owned(),
        what,
        found: error.to_string(),
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    let modified = metadata.modified().map_err(unreadable)?;
    let modified_ns = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    };
    Ok(FileIdentity {
        size: metadata.len(),
        modified_ns,
    })
}

#[cfg(test)]
mod tests;
