//! The forms in which a recording can lie in its folder, and which of them a folder has (rule 2.6).

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

use super::caiman::Caiman;
use super::discovery::{Subject, is_url, natural_order};
use super::error::InputError;
use super::nwb::Nwb;
use super::plain::Plain;
use super::source::Source;
use super::suite2p::Suite2p;
use super::time_series::TimeSeries;
use super::trial::Content;
use super::voluseg::Voluseg;
use super::zarr::Zarr;
use crate::hdf5_access::name_list;

/// The forms, the first that fits first.
const FORMS: [&dyn Form; 7] = [
    &TimeSeries,
    &Suite2p,
    &Nwb,
    &Zarr,
    &Caiman,
    &Voluseg,
    &Plain,
];

/// The file that a folder of results has.
const OUR_GRIDS: &str = "preaugmented_grids.h5";

/// A form in which a recording can lie: one file or folder of this module for each.
pub(super) trait Form: Sync {
    /// Its name, as outputs and messages have it.
    fn name(&self) -> &'static str;

    /// Whether a file or folder is a recording of this form, by what is there: its name and, where the name does not tell, its first
    /// bytes. What is damaged is recognised, too, and refused when it is opened.
    fn recognises(&self, place: &Path) -> bool;

    /// Whether recognising looks into HDF5 files, which the library may not survive.
    fn looks_into_files(&self) -> bool {
        false
    }

    /// Opens a recording that was recognised.
    ///
    /// # Errors
    /// If a file is missing or damaged, or does not have what the form asks for.
    fn open(&self, place: &Path, request: &Request) -> Result<Source, InputError>;

    /// Bytes of the files with the fluorescence: what reading takes, about. 0 for files that are not there.
    fn fluorescence_bytes(&self, place: &Path) -> u64 {
        bytes_below(place)
    }

    /// The files that the HDF5 library may not survive, and what a crash trial reads of each.
    fn files_to_try(&self, _place: &Path, _request: &Request) -> Vec<(PathBuf, Content)> {
        Vec::new()
    }

    /// Reads what a crash trial reads of a recording, in little time: errors do not matter.
    fn try_out(&self, place: &Path, request: &Request) {
        if let Ok(source) = self.open(place, request) {
            source.location.read_corners();
        }
    }

    /// Whether a recording of this form needs no folder `subject_*` around it, and if so, the name of its subject (rule 2.6).
    fn name_of_loose(&self, _place: &Path) -> Option<String> {
        None
    }
}

/// What the user says about how recordings lie.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The dataset, series or array with the fluorescence, if the form's own choice is not the right one.
    pub dataset: Option<String>,
    /// The file or folder of a subject's folder that holds its recording, if there are several.
    pub source: Option<PathBuf>,
    /// Which cells are taken, where the form classifies them.
    pub cells: Cells,
    /// By which neuropil is multiplied before it is subtracted, if not by the recording's own settings.
    pub neuropil_coefficient: Option<f64>,
    /// Distance of imaging planes, where the form numbers them without a distance.
    pub plane_step: Option<f64>,
}

/// Which regions of interest are taken as neurons, where the recording says which of them are cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cells {
    /// Those that the recording calls cells.
    #[default]
    Iscell,
    /// All.
    All,
}

impl Cells {
    /// Every choice, the default first.
    pub const ALL: [Self; 2] = [Self::Iscell, Self::All];

    /// The name of the choice, as `--cells` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iscell => "iscell",
            Self::All => "all",
        }
    }
}

impl fmt::Display for Cells {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A recording that was found: its form and the file or folder that was recognised.
pub(super) struct Found {
    pub(super) form: &'static dyn Form,
    pub(super) place: PathBuf,
}

/// Finds the recording of a subject: that of the first form that the folder, or something directly in it, has.
///
/// # Errors
/// If `--source` is no recording, or there are several of one form. A folder without any is one of the form `TimeSeries.h5`, which says
/// what is missing when it is opened.
pub(super) fn find(subject: &Subject, request: &Request) -> Result<Found, InputError> {
    find_among(subject, request, |_| true)
}

/// The files that the HDF5 library may not survive when it is asked which form a subject's recording has: none where names tell.
pub(super) fn files_to_recognise(subject: &Subject, request: &Request) -> Vec<PathBuf> {
    match find_by_name(subject, request) {
        Ok(None) => {}
        _ => return Vec::new(),
    }
    let place = match &request.source {
        Some(source) => subject.dir.join(source),
        None => subject.dir.clone(),
    };
    match place.is_dir() {
        true => entries(&place),
        false => vec![place],
    }
}

/// Bytes of the files with the fluorescence of a subject, about. No HDF5 file is opened for them, because none may have been tried: where
/// names do not tell the form, they are those of all files of the folder.
pub(super) fn fluorescence_bytes(subject: &Subject, request: &Request) -> u64 {
    match find_by_name(subject, request) {
        Ok(Some(Found { form, place })) => form.fluorescence_bytes(&place),
        Ok(None) => bytes_below(&subject.dir),
        Err(_) => 0,
    }
}

/// As [`find`], among the forms that names tell; nothing where they do not.
fn find_by_name(subject: &Subject, request: &Request) -> Result<Option<Found>, InputError> {
    match find_among(subject, request, |form| !form.looks_into_files()) {
        Ok(found) => Ok(Some(found).filter(|found| found.form.recognises(&found.place))),
        Err(InputError::NoRecording { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// As [`find`], among some of the forms.
fn find_among(
    subject: &Subject,
    request: &Request,
    is_asked: fn(&dyn Form) -> bool,
) -> Result<Found, InputError> {
    let forms = || FORMS.into_iter().filter(|form| is_asked(*form));
    let found = |form, place: &Path| Found {
        form,
        place: place.to_owned(),
    };
    if let Some(source) = &request.source {
        let place = subject.dir.join(source);
        let form = forms().find(|form| form.recognises(&place));
        return match form {
            Some(form) => Ok(found(form, &place)),
            None => Err(InputError::NoRecording {
                found: match is_url(source) {
                    true => "a URL, and only files and folders of this machine are read".to_owned(),
                    false => what_is_there(&place),
                },
                path: place,
            }),
        };
    }
    if subject.dir.join(OUR_GRIDS).is_file() {
        return Err(InputError::NoRecording {
            path: subject.dir.clone(),
            found: format!("results of this program ({OUR_GRIDS})"),
        });
    }
    let entries = entries(&subject.dir);
    for form in forms() {
        if form.recognises(&subject.dir) {
            return Ok(found(form, &subject.dir));
        }
        let inside = entries.iter().filter(|entry| form.recognises(entry));
        match inside.collect::<Vec<_>>()[..] {
            [] => {}
            [place] => return Ok(found(form, place)),
            ref several => {
                return Err(InputError::Candidates {
                    path: subject.dir.clone(),
                    form: form.name(),
                    candidates: name_list(several.iter().map(|path| file_name(path)), ""),
                });
            }
        }
    }
    Ok(found(&TimeSeries, &subject.dir))
}

/// Whether a file or folder is a recording of any form.
pub(super) fn recognises(place: &Path) -> bool {
    FORMS.into_iter().any(|form| form.recognises(place))
}

/// Reads what a crash trial reads of a recording, of the first form that recognises it.
pub(super) fn try_out(place: &Path, request: &Request) {
    if let Some(form) = FORMS.into_iter().find(|form| form.recognises(place)) {
        form.try_out(place, request);
    }
}

/// Whether a folder, or something directly in it, is a recording of a form other than the one of this name.
pub(super) fn is_of_another(folder: &Path, name: &str) -> bool {
    let others = || FORMS.into_iter().filter(|form| form.name() != name);
    let recognised = |place: &Path| others().any(|form| form.recognises(place));
    recognised(folder) || entries(folder).iter().any(|entry| recognised(entry))
}

/// The name of the subject that a file or folder of an input folder is by itself, without a folder `subject_*`.
pub(super) fn name_of_loose(place: &Path) -> Option<String> {
    let mut forms = FORMS.into_iter();
    forms.find_map(|form| form.name_of_loose(place).filter(|_| form.recognises(place)))
}

/// What is directly in a folder, in natural order, without hidden files.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| !file_name(path).starts_with('.'))
        .collect();
    paths.sort_by(|a, b| natural_order(&file_name(a), &file_name(b)));
    paths
}

/// The last part of a path, for messages and comparisons.
pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What is at a path that is no recording, for messages.
fn what_is_there(place: &Path) -> String {
    match fs::metadata(place) {
        Err(error) => error.to_string(),
        Ok(metadata) if metadata.is_dir() => {
            let names = entries(place);
            let names = name_list(names.iter().map(|path| file_name(path)), "nothing");
            format!("a folder with {names}")
        }
        Ok(_) => "a file of another kind".to_owned(),
    }
}

/// Bytes of a file, or of all files below a folder; links to folders are not followed.
fn bytes_below(place: &Path) -> u64 {
    let Ok(metadata) = fs::metadata(place) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_symlink() => fs::metadata(entry.path())
            .ok()
            .filter(|target| !target.is_dir())
            .map_or(0, |target| target.len()),
        Ok(_) => bytes_below(&entry.path()),
        Err(_) => 0,
    });
    bytes.sum()
}

#[cfg(test)]
mod tests;
