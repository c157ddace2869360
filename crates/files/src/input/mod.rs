//! Recordings on disk: which there are (rule 2.1), of which form each is, and what the rest of the program sees of it.
//!
//! ```text
//! input folder ─ discovery ─▶ subjects ─ form ─▶ Source: positions, identity, Location
//! Location ─ on every rank ─▶ Reader ─ pieces ─▶ Samples, traces
//! ```
//!
//! - [`discovery`]: the subjects of an input folder
//! - `form`: the list of forms, and which of them a folder has; each form is a file or folder beside it, such as `time_series` for
//!   `TimeSeries.h5` with `data_full.mat`
//! - `source`: what all forms have in common; `panel`: neurons whose fluorescence lies in one matrix, what is computed of its numbers;
//!   `place`: the kinds of files in which a matrix lies; `storage`, `samples`: how fluorescence lies in files and in memory
//! - `excerpt`: the samples by which a recording is judged
//! - Readers of matrices: `hdf5_matrix` (a dataset with two axes), `flat_matrix` (numbers in one piece), `stream_matrix` (numbers that are
//!   compressed as one stream), `text_matrix` (a table of text)
//! - [`matlab`]: reads MAT-files; `npy`: reads headers and small arrays of NumPy; `positions_beside`: reads positions in a file of their own

mod caiman;
pub mod discovery;
mod error;
mod excerpt;
mod flat_matrix;
mod form;
mod hdf5_matrix;
mod hdf5_values;
mod huge_pages;
mod identity;
pub mod matlab;
mod npy;
mod number_type;
mod nwb;
mod panel;
mod place;
mod plain;
mod positions_beside;
mod read_ahead;
mod samples;
mod source;
mod storage;
mod stream_matrix;
mod suite2p;
mod text_matrix;
mod text_table;
mod time_series;
mod trial;
mod voluseg;
mod zarr;

use std::path::PathBuf;

use spikegrid_core::findings::{Code, Finding};
use spikegrid_core::wording::whole;

pub use discovery::{Subject, subjects};
pub use error::InputError;
pub use excerpt::excerpt;
use form::Found;
pub use form::{Cells, Request};
pub use identity::{FileIdentity, Identity};
pub(crate) use number_type::NumberType;
pub use samples::Samples;
pub use source::{Location, Positions, Reader, Source};
pub use storage::{Orientation, Piece, Storage};
pub(crate) use trial::Content;

/// Opens the recording of a subject and finds the position of each neuron (rules 2.2 to 2.7). Rank 0 does this; the others
/// open the [`Location`] that it found.
///
/// # Errors
/// If a file is missing or damaged, does not have what section 2 asks for, or if the files contradict each other.
pub fn open(subject: &Subject, request: &Request) -> Result<Source, InputError> {
    let folder = subject.dir.file_name();
    if folder.is_some_and(|name| name.to_str().is_none()) {
        let path = subject.dir.clone();
        return Err(InputError::SubjectName { path });
    }
    if let Some(target) = discovery::lost_target(&subject.dir) {
        let path = subject.dir.clone();
        return Err(InputError::UnreadableLink { path, target });
    }
    let Found { form, place } = form::find(subject, request)?;
    let mut source = form.open(&place, request)?;
    source.findings.extend(cut(&source.location));
    let frames = source.frames();
    match i32::try_from(frames) {
        Ok(_) => Ok(source),
        Err(_) => Err(InputError::Dataset {
            path: PathBuf::from(source.location.to_string()),
            dataset: source.dataset,
            expected: format!("at most {} frames", i32::MAX),
            found: frames.to_string(),
        }),
    }
}

/// What is to be said of imaging planes that have different numbers of frames.
fn cut(location: &Location) -> Option<Finding> {
    let [shortest, longest] = location.panel_frames();
    (shortest < longest).then(|| Finding {
        frames: (longest - shortest) as u64,
        ..Finding::new(
            Code::CutFrames,
            format!(
                "The imaging planes have {} to {} frames, and the recording ends with the shortest.",
                whole(shortest as u64),
                whole(longest as u64)
            ),
            "Nothing has to be done for a frame or two: the microscope was stopped between two planes. Otherwise check whether a plane is cut short.",
        )
    })
}

/// Bytes of the files with the fluorescence: what reading a subject takes, about. 0 for files that are not there.
#[must_use]
pub fn fluorescence_bytes(subject: &Subject, request: &Request) -> u64 {
    form::fluorescence_bytes(subject, request)
}

/// The files of a subject that the HDF5 library may not survive when it is asked which form they have.
pub(crate) fn files_to_recognise(subject: &Subject, request: &Request) -> Vec<(PathBuf, Content)> {
    let files = form::files_to_recognise(subject, request).into_iter();
    files.map(|path| (path, Content::Unknown)).collect()
}

/// The files of a subject that the HDF5 library may not survive, and what is read of each.
pub(crate) fn files_to_try(subject: &Subject, request: &Request) -> Vec<(PathBuf, Content)> {
    let Ok(Found { form, place }) = form::find(subject, request) else {
        return Vec::new();
    };
    form.files_to_try(&place, request)
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
