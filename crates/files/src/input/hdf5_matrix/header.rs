//! What an HDF5 file says of a dataset with two axes, before it is known which axis is that of the frames.

use std::path::Path;

use hdf5::plist::dataset_create::Layout;
use hdf5::{Dataset, File, LocationType};

use super::chunks;
use super::links::target;
use super::raw_files::{RawFiles, open_dataset};
use super::sources::Sources;
use super::unwritten::Unwritten;
use crate::hdf5_access::{self, NumberKind, reason, shape_text};
use crate::input::error::InputError;
use crate::input::identity::require_file;
use crate::input::storage::{Missing, Orientation, Storage};
use crate::signature::other_than_hdf5;

/// Shape, type and layout of a dataset.
#[derive(Clone, Copy, Debug)]
pub(in crate::input) struct Header {
    /// Rows and columns.
    pub(in crate::input) shape: [usize; 2],
    pub(super) chunk: Option<[usize; 2]>,
    pub(super) kind: NumberKind,
    pub(super) value_bytes: usize,
    /// Whether it is stored in chunks without filters.
    pub(super) plain_chunks: bool,
}

impl Header {
    /// Opens a file and reads the header of a dataset; the open file comes with it.
    ///
    /// # Errors
    /// If the file or dataset is missing or damaged, or is not a non-empty dataset of numbers with two axes.
    pub(in crate::input) fn read(path: &Path, dataset: &str) -> Result<(Header, File), InputError> {
        let file = open_file(path, dataset)?;
        let header = Self::of(&file, path, dataset)?;
        Ok((header, file))
    }

    /// How the dataset lies in its file, once it is known what its rows and columns are.
    pub(in crate::input) fn storage(&self, orientation: Orientation) -> Storage {
        Storage {
            orientation,
            shape: self.shape,
            chunk: self.chunk,
            value_bytes: self.value_bytes,
        }
    }

    /// What of the dataset has no samples, for its readers and for the user.
    ///
    /// # Errors
    /// If a file that the dataset refers to is lost, or the index of its chunks cannot be read.
    pub(in crate::input) fn missing(
        &self,
        file: &File,
        path: &Path,
        dataset: &str,
    ) -> Result<(Missing, Option<Unwritten>), InputError> {
        let failed = |error: hdf5::Error| hdf5_error(path, dataset, &error);
        let open = open_dataset(file, dataset).map_err(failed)?;
        let settings = open.dcpl().map_err(failed)?;
        let mut sources = Sources::new(path, dataset);
        if settings.get_layout().map_err(failed)? != Layout::Virtual {
            let raw_files = RawFiles::of(&open).map_err(failed)?;
            sources.check_raw_files(&open, &raw_files)?;
            let unwritten = Unwritten::of(&open, self.shape).map_err(failed)?;
            return Ok((Missing::unstored(unwritten.is_some()), unwritten));
        }
        let regions = sources.missing(&open)?;
        let unwritten = Unwritten::in_regions(&regions, self.shape);
        Ok((Missing::regions(regions), unwritten))
    }

    fn of(file: &File, path: &Path, dataset: &str) -> Result<Header, InputError> {
        let failed = |error: hdf5::Error| hdf5_error(path, dataset, &error);
        let open = existing_dataset(file, path, dataset)?.ok_or_else(|| InputError::NoDataset {
            path: path.to_owned(),
            dataset: dataset.to_owned(),
            found: datasets_in(file),
        })?;
        let wrong = |found: String| InputError::Dataset {
            path: path.to_owned(),
            dataset: dataset.to_owned(),
            expected: "a (frames, neurons) dataset of integers or floating-point numbers"
                .to_owned(),
            found,
        };
        let kind = hdf5_access::number_kind(&open)
            .map_err(|kind| wrong(format!("{kind} in shape {}", shape_text(&open.shape()))))?;
        let shape = match open.shape()[..] {
            [rows, columns] if rows > 0 && columns > 0 && rows.checked_mul(columns).is_some() => {
                [rows, columns]
            }
            [rows, columns] if rows > 0 && columns > 0 => {
                return Err(wrong(format!(
                    "an impossible size, {}",
                    shape_text(&open.shape())
                )));
            }
            [_, _] => {
                // That of a virtual dataset may follow from its sources.
                if open
                    .dcpl()
                    .is_ok_and(|settings| settings.layout() == Layout::Virtual)
                {
                    Sources::new(path, dataset).missing(&open)?;
                }
                return Err(wrong(format!(
                    "an empty one, {}",
                    shape_text(&open.shape())
                )));
            }
            _ => {
                return Err(wrong(format!(
                    "{} dimensions, shape {}",
                    open.ndim(),
                    shape_text(&open.shape())
                )));
            }
        };
        let chunk = match open.chunk().as_deref() {
            Some(&[rows, columns]) => Some([rows, columns]),
            _ => None,
        };
        if let Some(filter) = chunks::missing_filter(&open) {
            let reason =
                format!("its chunks are compressed by {filter}, which this program's HDF5 lacks");
            return Err(hdf5_failure(path, dataset, reason));
        }
        let value_bytes = open.dtype().map_err(failed)?.size();
        Ok(Header {
            shape,
            chunk,
            kind,
            value_bytes,
            plain_chunks: chunks::plain(&open),
        })
    }
}

/// Opens the HDF5 file with the traces, of which an object is wanted.
///
/// # Errors
/// If it is missing or damaged, or no HDF5 file.
pub(in crate::input) fn open_file(path: &Path, object: &str) -> Result<File, InputError> {
    let what = "the HDF5 file with the traces";
    require_file(path, what)?;
    if let Some(found) = other_than_hdf5(path) {
        return Err(InputError::File {
            path: path.to_owned(),
            what,
            found,
        });
    }
    hdf5_access::open(path).map_err(|error| hdf5_error(path, object, &error))
}

/// Names of the datasets in a file, for messages.
fn datasets_in(file: &File) -> String {
    hdf5_access::name_list(dataset_names(file).into_iter(), "no dataset")
}

/// Names of the datasets in a file, those in groups with their paths, and of the links out of it; the first hundreds.
pub(in crate::input) fn dataset_names(file: &File) -> Vec<String> {
    const DEEPEST: usize = 5;
    const MOST: usize = 100;
    let mut names = Vec::new();
    let mut groups = vec![(String::new(), 0)];
    while let Some((group, depth)) = groups.pop() {
        let open = if group.is_empty() {
            file.group("/")
        } else {
            file.group(&group)
        };
        for name in open
            .and_then(|open| open.member_names())
            .unwrap_or_default()
        {
            let path = if group.is_empty() {
                name
            } else {
                format!("{group}/{name}")
            };
            // Links may lead to other files.
            let kind = match target(file, &path) {
                None => file.loc_type_by_name(&path).ok(),
                Some(_) => None,
            };
            match kind {
                Some(LocationType::Group) if depth < DEEPEST && names.len() < MOST => {
                    groups.push((path, depth + 1));
                }
                Some(LocationType::Group) => {}
                _ => names.push(path),
            }
        }
    }
    names.sort_by_key(|name| (name.matches('/').count(), name.clone()));
    names
}

/// Opens a dataset, or `None` where the file has nothing of that name.
pub(in crate::input) fn existing_dataset(
    file: &File,
    path: &Path,
    name: &str,
) -> Result<Option<Dataset>, InputError> {
    // A disk that fails makes links look absent as well: then the list of them cannot be read either.
    if !file.link_exists(name) {
        let names = file.member_names();
        let names = names.map_err(|error| hdf5_error(path, name, &error))?;
        if names.iter().all(|present| present != name) {
            return Ok(None);
        }
    }
    Sources::new(path, name).check_link(path, file, name, 0)?;
    if let Ok(kind @ (LocationType::Group | LocationType::NamedDatatype)) =
        file.loc_type_by_name(name)
    {
        let found = if kind == LocationType::Group {
            "a group"
        } else {
            "a datatype"
        };
        let (path, dataset) = (path.to_owned(), name.to_owned());
        return Err(InputError::Dataset {
            path,
            dataset,
            expected: "a dataset".to_owned(),
            found: found.to_owned(),
        });
    }
    open_dataset(file, name)
        .map(Some)
        .map_err(|error| hdf5_error(path, name, &error))
}

/// A library error about a dataset, in a few words.
pub(in crate::input) fn hdf5_error(path: &Path, dataset: &str, error: &hdf5::Error) -> InputError {
    hdf5_failure(path, dataset, reason(error))
}

fn hdf5_failure(path: &Path, dataset: &str, reason: String) -> InputError {
    InputError::Hdf5 {
        path: path.to_owned(),
        what: format!("the dataset {dataset}"),
        advice: hdf5_access::advice(&reason),
        reason,
    }
}
