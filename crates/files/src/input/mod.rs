//! Recordings on disk: which there are (rule 2.1), of which form each is, and what the rest of the program sees of it.
//!
//! ```text
//! input folder ─ discovery ─▶ subjects ─ form ─▶ Source: positions, identity, Location
//! Location ─ on every rank ─▶ Reader ─ pieces ─▶ Samples, traces
//! ```
//!
//! - [`discovery`]: the subjects of an input folder
//! - `time_series`: the form `TimeSeries.h5` with `data_full.mat`; each further form is a file or folder beside it, an arm in
//!   the functions here, and a content in `trial`
//! - `source`: what all forms have in common; `storage`, `samples`: how fluorescence lies in files and in memory
//! - `excerpt`: the samples by which a recording is judged
//! - `hdf5_matrix`: reads a dataset with two axes; [`matlab`]: reads MAT-files

pub mod discovery;
mod error;
mod excerpt;
mod hdf5_matrix;
mod huge_pages;
mod identity;
pub mod matlab;
mod samples;
mod source;
mod storage;
mod time_series;
mod trial;

use std::path::PathBuf;

pub use discovery::{Subject, subjects};
pub use error::InputError;
pub use excerpt::excerpt;
pub use identity::{FileIdentity, Identity};
pub use samples::Samples;
pub use source::{Location, Positions, Reader, Source};
pub use storage::{Orientation, Piece, Storage};
pub(crate) use trial::Content;

/// The forms in which a recording can lie in its folder.
enum Form {
    /// `TimeSeries.h5` with `data_full.mat`.
    TimeSeries,
}

impl Form {
    /// The form of a subject's recording. There is one: what is missing of it is said when it is opened.
    fn of(_: &Subject) -> Self {
        Self::TimeSeries
    }
}

/// Opens the recording of a subject and finds the position of each neuron (rules 2.2 to 2.5). Rank 0 does this; the others
/// open the [`Location`] that it found.
///
/// `dataset` is the dataset with the fluorescence.
///
/// # Errors
/// If a file is missing or damaged, does not have what section 2 asks for, or if the files contradict each other.
pub fn open(subject: &Subject, dataset: &str) -> Result<Source, InputError> {
    if subject.dir.file_name() != Some(subject.name.as_ref()) {
        let path = subject.dir.clone();
        return Err(InputError::SubjectName { path });
    }
    if let Some(target) = discovery::lost_target(&subject.dir) {
        let path = subject.dir.clone();
        return Err(InputError::UnreadableLink { path, target });
    }
    match Form::of(subject) {
        Form::TimeSeries => time_series::open(subject, dataset),
    }
}

/// Bytes of the files with the fluorescence: what reading a subject takes. 0 for files that are not there.
#[must_use]
pub fn fluorescence_bytes(subject: &Subject) -> u64 {
    match Form::of(subject) {
        Form::TimeSeries => time_series::fluorescence_bytes(subject),
    }
}

/// The files of a subject that the HDF5 library may not survive, and what is read of each.
pub(crate) fn files_to_try(subject: &Subject, dataset: &str) -> Vec<(PathBuf, Content)> {
    match Form::of(subject) {
        Form::TimeSeries => time_series::files_to_try(subject, dataset),
    }
}

#[cfg(test)]
mod tests;
