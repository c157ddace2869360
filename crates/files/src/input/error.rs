//! What can be wrong with a subject, in words for the person who recorded it.

use std::path::PathBuf;

use spikegrid_core::findings::Code;

use super::matlab::MatError;
use super::storage::Piece;

/// Why the input folder or one subject cannot be read. Every message is one line and says which file, what was expected
/// and what was found.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The input folder is missing or cannot be listed (rule 2.1).
    #[error("{path}: cannot read the input folder: {reason}; give the folder that holds subject_1, subject_2, … as --input_dir", path = path.display())]
    Folder {
        /// The input folder.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The input folder has no subject in it (rule 2.1).
    #[error("{path}: expected folders named subject_* directly in it, found {found}", path = path.display())]
    NoSubjects {
        /// The input folder.
        path: PathBuf,
        /// What is in it instead, and what to do about it.
        found: String,
    },
    /// A subject's folder is a link that leads nowhere (rule 9.3).
    #[error("{path}: expected a link to a subject's folder, found one to {target}, which is not there; make it again (ln -sfn FOLDER {path}) \
        or remove it", path = path.display(), target = target.display())]
    UnreadableLink {
        /// The link.
        path: PathBuf,
        /// Where it says that it leads.
        target: PathBuf,
    },
    /// Two recordings that would have one output folder (rule 2.6).
    #[error("{first} and {second}: expected one recording for each name, found two of the name {name}; rename one of them",
        first = paths[0].display(), second = paths[1].display())]
    SameName {
        /// The name.
        name: String,
        /// The two.
        paths: [PathBuf; 2],
    },
    /// A subject folder whose name cannot be written into the outputs.
    #[error(
        "{path:?}: expected a subject folder name in UTF-8, found other bytes; rename the folder"
    )]
    SubjectName {
        /// The subject folder.
        path: PathBuf,
    },
    /// What `--source` names is no recording (rule 2.6).
    #[error(
        "{path}: expected a recording (docs/formats.md lists the forms), found {found}; give --source the path of a file or folder within \
         the subject's folder",
        path = path.display()
    )]
    NoRecording {
        /// The file or folder.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// Several recordings of one form in a subject's folder (rule 2.6).
    #[error("{path}: expected one recording, found several of the form {form}: {candidates}; choose one with --source", path = path.display())]
    Candidates {
        /// The subject's folder.
        path: PathBuf,
        /// The form.
        form: &'static str,
        /// Their names.
        candidates: String,
    },
    /// A file of the subject is not there, or not a file.
    #[error("{path}: expected {what}, found {found}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file should hold.
        what: &'static str,
        /// What is there instead: the system's reason, or "a folder".
        found: String,
    },
    /// The HDF5 library cannot open or read the file.
    #[error("{path}: expected a complete HDF5 file with {what}, found one that cannot be read ({reason}){advice}", path = path.display())]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// What was to be read.
        what: String,
        /// The library's short reason.
        reason: String,
        /// What may help, beginning with "; ", or empty.
        advice: &'static str,
    },
    /// The dataset with the traces is not in the file.
    #[error("{path}: expected a dataset {dataset}, found {found}; name the dataset with --calcium_dataset", path = path.display())]
    NoDataset {
        /// The file.
        path: PathBuf,
        /// The dataset asked for.
        dataset: String,
        /// What is in the file.
        found: String,
    },
    /// Several datasets may be the one with the traces.
    #[error("{path}: expected one series of traces for each neuron, found several: {candidates}; choose one with --calcium_dataset", path = path.display())]
    SeveralDatasets {
        /// The file.
        path: PathBuf,
        /// Their names.
        candidates: String,
    },
    /// A file or object that a dataset is put together from, or that a link leads to, is not there (rule 9.3).
    #[error(
        "{path}: dataset {dataset}: expected its source {lost}, found {found}; put back what it refers to, or store the samples in the file itself",
        path = path.display()
    )]
    LostSource {
        /// The file.
        path: PathBuf,
        /// The dataset.
        dataset: String,
        /// The file or object that it refers to.
        lost: String,
        /// What is there instead.
        found: String,
    },
    /// A dataset has a type or shape that the pipeline cannot use (rules 2.2, 2.4).
    #[error("{path}: dataset {dataset}: expected {expected}, found {found}", path = path.display())]
    Dataset {
        /// The file.
        path: PathBuf,
        /// The dataset.
        dataset: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// `data_full.mat` cannot be read, or lacks what rule 2.3 asks for.
    #[error("{path}: {error}", path = path.display())]
    Mat {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: MatError,
    },
    /// The number of cells with a position differs from the number of neurons with a trace (rule 2.4).
    #[error(
        "{path}: dataset {dataset} is ({rows}, {columns}), and {counted} gives {cells} cells: \
         expected (frames, neurons) with {cells} neurons, or its transpose; the two files must describe the same cells",
        path = path.display()
    )]
    Counts {
        /// `TimeSeries.h5`.
        path: PathBuf,
        /// The dataset with the traces.
        dataset: String,
        /// Its first extent.
        rows: usize,
        /// Its second extent.
        columns: usize,
        /// Where the number of cells comes from.
        counted: String,
        /// The number of cells.
        cells: usize,
    },
    /// An entry of `absIX` or `IX_inval_anat` is not the number of a row of `CellXYZ` (rule 2.4).
    #[error(
        "{path}: entry {place} of {field}: expected a whole row number of CellXYZ, 1 to {rows}, found {value}",
        path = path.display()
    )]
    RowNumber {
        /// The file with the index.
        path: PathBuf,
        /// `absIX` or `IX_inval_anat`.
        field: &'static str,
        /// 1-based place in the index.
        place: usize,
        /// The entry.
        value: f64,
        /// The number of rows of `CellXYZ`.
        rows: usize,
    },
    /// An infinite coordinate of a cell that is used (rule 2.4).
    #[error(
        "{path}: field CellXYZ, row {row}: expected finite coordinates (or NaN where unknown), found ({x}, {y}, {z}); \
         correct the row or list it in IX_inval_anat",
        path = path.display()
    )]
    Infinite {
        /// `data_full.mat`.
        path: PathBuf,
        /// 1-based row of `CellXYZ`.
        row: usize,
        /// First coordinate.
        x: f64,
        /// Second coordinate.
        y: f64,
        /// Third coordinate.
        z: f64,
    },
    /// The fluorescence lies otherwise than when rank 0 opened the recording.
    #[error(
        "{path} changed while it was processed: {frames} frames of {neurons} neurons are now {frames_now} of {neurons_now}, \
         or stored otherwise",
        path = path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its frames before.
        frames: usize,
        /// Its neurons before.
        neurons: usize,
        /// Its frames now.
        frames_now: usize,
        /// Its neurons now.
        neurons_now: usize,
    },
    /// A request for a piece that the dataset does not have.
    #[error(
        "{path}: dataset {dataset} has {neurons} neurons of {frames} frames; frames {:?} of neurons {:?} were asked for",
        piece.frames,
        piece.neurons,
        path = path.display()
    )]
    Range {
        /// The file.
        path: PathBuf,
        /// The dataset.
        dataset: String,
        /// Its neurons.
        neurons: usize,
        /// Its frames.
        frames: usize,
        /// What was asked for.
        piece: Piece,
    },
}

impl InputError {
    /// The code of rule 9.3 for what is wrong, if it has one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::LostSource { .. } => Some(Code::LostSource),
            Self::UnreadableLink { .. } => Some(Code::UnreadableLink),
            _ => None,
        }
    }
}
