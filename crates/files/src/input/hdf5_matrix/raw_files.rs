//! Where the raw files of a dataset are, which hold its numbers outside of its HDF5 file.
//!
//! HDF5 looks for a file with a relative name in the folder that HDF5_EXTFILE_PREFIX names, else in the folder in which the program
//! runs, where another file may have that name. Here the file beside the HDF5 file is preferred to that.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use hdf5::plist::DatasetAccess;
use hdf5::plist::dataset_create::ExternalFile;
use hdf5::{Dataset, Error, File, h5check};
use hdf5_sys::h5d::H5Dopen2;

/// The environment variable with the folder of raw files.
const VARIABLE: &str = "HDF5_EXTFILE_PREFIX";

/// Opens a dataset, so that HDF5 looks for its raw files beside its HDF5 file, too.
///
/// # Errors
/// The library's reason.
pub(super) fn open_dataset(file: &File, name: &str) -> Result<Dataset, Error> {
    let open = match file.dataset(name) {
        Ok(open) => open,
        Err(error) => {
            // HDF5 does not open a dataset without a folder while it is open with one.
            let mut folders = beside(Path::new(&file.filename())).into_iter();
            let found = folders.find_map(|folder| open_with(file, name, &folder).ok());
            return found.ok_or(error);
        }
    };
    // What cannot be read is said by those who need it.
    let folder = RawFiles::of(&open).ok().and_then(|files| files.folder());
    match folder {
        Some(folder) => {
            drop(open);
            open_with(file, name, &folder)
        }
        None => Ok(open),
    }
}

/// Opens a dataset whose raw files with relative names are in `folder`.
fn open_with(file: &File, name: &str, folder: &Path) -> Result<Dataset, Error> {
    let folder = folder
        .to_str()
        .ok_or("a folder whose name is not in UTF-8")?;
    let settings = DatasetAccess::build().efile_prefix(folder).finish()?;
    let name = CString::new(name).map_err(|error| error.to_string())?;
    hdf5::sync::sync(|| {
        // SAFETY: the file and the settings are open, and the name ends with 0. What is opened is nobody else's, so that the handle
        // may close it.
        unsafe { hdf5::from_id(h5check(H5Dopen2(file.id(), name.as_ptr(), settings.id()))?) }
    })
}

/// The raw files of a dataset.
pub(super) struct RawFiles {
    /// The HDF5 file of the dataset.
    pub(super) path: PathBuf,
    pub(super) files: Vec<ExternalFile>,
    /// Whether HDF5 opens the dataset by itself, as it does with sources of a virtual one.
    by_library: bool,
}

impl RawFiles {
    /// Those of a dataset that [`open_dataset`] opens.
    ///
    /// # Errors
    /// If the dataset's settings cannot be read.
    pub(super) fn of(dataset: &Dataset) -> Result<Self, Error> {
        Ok(Self {
            path: PathBuf::from(dataset.filename()),
            files: dataset.dcpl()?.get_external()?,
            by_library: false,
        })
    }

    /// Those of the source of a virtual dataset.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(super) fn of_source(dataset: &Dataset) -> Result<Self, Error> {
        let by_library = true;
        let files = Self::of(dataset)?;
        Ok(Self {
            by_library,
            ..files
        })
    }

    /// Where HDF5 looks for a file of this name.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        let folder = named_folder(&self.path).or_else(|| self.folder());
        folder.map_or_else(|| name.into(), |folder| folder.join(name))
    }

    /// Where a file of this name was looked for, to follow the words that it is not there.
    pub(super) fn looked_for(&self, name: &str) -> String {
        if Path::new(name).is_absolute() {
            return String::new();
        }
        let path = self.path.display();
        match named_folder(&self.path) {
            Some(_) => format!(" in the folder that {VARIABLE} names"),
            None if self.by_library => format!(
                " in the folder in which the program runs (if it is beside {path}, set {VARIABLE}='${{ORIGIN}}')"
            ),
            None => format!(" beside {path}, or in the folder in which the program runs"),
        }
    }

    /// The folder in which the files with relative names are, unless HDF5 finds it by itself.
    fn folder(&self) -> Option<PathBuf> {
        let names = || {
            let names = self.files.iter().map(|file| Path::new(&file.name));
            names.filter(|name| name.is_relative())
        };
        if self.by_library || names().next().is_none() || named_folder(&self.path).is_some() {
            return None;
        }
        let folders = beside(&self.path);
        let is_in = |folder: &PathBuf| {
            let folder = folder.clone();
            move |name: &Path| folder.join(name).exists()
        };
        match folders.iter().find(|folder| names().all(is_in(folder))) {
            Some(whole) => Some(whole.clone()),
            None if names().all(Path::exists) => None,
            // Some are lost.
            None => folders
                .into_iter()
                .find(|folder| names().any(is_in(folder))),
        }
    }
}

/// The folder of a file, and that to which it is linked.
fn beside(path: &Path) -> Vec<PathBuf> {
    let real = path.canonicalize().ok();
    let files = [Some(path.to_owned()), real].into_iter().flatten();
    let folders = files.filter_map(|file| Some(file.parent()?.to_owned()));
    // To HDF5, an empty name is no folder.
    folders
        .map(|folder| match folder.as_os_str().is_empty() {
            true => PathBuf::from("./"),
            false => folder,
        })
        .collect()
}

/// The folder that the environment names for the raw files of the HDF5 file at `path`; empty for that in which the program runs.
fn named_folder(path: &Path) -> Option<PathBuf> {
    let folder = std::env::var(VARIABLE).ok();
    let folder = folder.filter(|folder| !folder.is_empty())?;
    Some(match folder.strip_prefix("${ORIGIN}") {
        Some(rest) => {
            let origin = path.parent().unwrap_or(Path::new(""));
            origin.join(rest.trim_start_matches('/'))
        }
        None if folder == "." => PathBuf::new(),
        None => PathBuf::from(folder),
    })
}
