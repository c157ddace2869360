//! What is in `TimeSeries.h5`, before it is known which axis of the traces is which.

use std::path::Path;

use hdf5::{Dataset, File, LocationType};

use super::super::error::InputError;
use super::chunks;
use crate::hdf5_access::{self, NumberKind, reason, shape_text};

/// Longest index that is read; hundreds of times the cells of a larval zebrafish.
const MAX_CELLS: usize = 1 << 26;

/// What the dataset is, before it is known which axis is which.
pub(in crate::input) struct Found {
    pub(in crate::input) shape: [usize; 2],
    pub(super) chunk: Option<[usize; 2]>,
    pub(super) kind: NumberKind,
    pub(super) value_bytes: usize,
    /// Is it stored in chunks without filters?
    pub(super) plain_chunks: bool,
    /// Values of `absIX` as stored, if the file has it (rule 2.4).
    pub(in crate::input) abs_ix: Option<AbsIx>,
}

/// The dataset `absIX`: read only if its length can be right.
pub(in crate::input) enum AbsIx {
    /// The values, in the order of the file.
    Values(Vec<f64>),
    /// A number of values that fits neither axis of the traces.
    Count(usize),
}

impl Found {
    /// Looks at the dataset and at `absIX` beside it.
    pub(in crate::input) fn probe(time_series: &Path, dataset: &str) -> Result<Found, InputError> {
        require_file(time_series, "the HDF5 file with the traces")?;
        let failed = |error: hdf5::Error| hdf5_error(time_series, dataset, &error);
        let file = hdf5_access::open(time_series).map_err(failed)?;
        let open = existing_dataset(&file, time_series, dataset)?.ok_or_else(|| {
            InputError::NoDataset {
                path: time_series.to_owned(),
                dataset: dataset.to_owned(),
                found: hdf5_access::member_list(&file),
            }
        })?;
        let wrong = |found: String| InputError::Dataset {
            path: time_series.to_owned(),
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
        let value_bytes = open.dtype().map_err(failed)?.size();
        let abs_ix = abs_ix(&file, time_series, shape)?;
        Ok(Found {
            shape,
            chunk,
            kind,
            value_bytes,
            plain_chunks: chunks::plain(&open),
            abs_ix,
        })
    }
}

/// The index `absIX` beside the traces, if there is one.
fn abs_ix(file: &File, path: &Path, shape: [usize; 2]) -> Result<Option<AbsIx>, InputError> {
    let name = "absIX";
    let Some(dataset) = existing_dataset(file, path, name)? else {
        return Ok(None);
    };
    hdf5_access::number_kind(&dataset).map_err(|kind| InputError::Dataset {
        path: path.to_owned(),
        dataset: name.to_owned(),
        expected: "row numbers of CellXYZ, 1-based, one for each neuron".to_owned(),
        found: kind,
    })?;
    let count = hdf5_access::elements(&dataset);
    if count > MAX_CELLS {
        return Err(InputError::Dataset {
            path: path.to_owned(),
            dataset: name.to_owned(),
            expected: format!("at most {MAX_CELLS} row numbers"),
            found: count.to_string(),
        });
    }
    if !shape.contains(&count) {
        return Ok(Some(AbsIx::Count(count)));
    }
    let values = hdf5_access::read_f64(&dataset).map_err(|error| hdf5_error(path, name, &error))?;
    Ok(Some(AbsIx::Values(values)))
}

/// Opens a dataset, or `None` where the file has nothing of that name.
fn existing_dataset(file: &File, path: &Path, name: &str) -> Result<Option<Dataset>, InputError> {
    // A disk that fails makes links look absent as well: then the list of them cannot be read either.
    if !file.link_exists(name) {
        let names = file.member_names();
        let names = names.map_err(|error| hdf5_error(path, name, &error))?;
        if names.iter().all(|present| present != name) {
            return Ok(None);
        }
    }
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
    file.dataset(name)
        .map(Some)
        .map_err(|error| hdf5_error(path, name, &error))
}

/// Checks that `path` is a readable file.
pub(in crate::input) fn require_file(path: &Path, what: &'static str) -> Result<(), InputError> {
    let wrong = |found: String| InputError::File {
        path: path.to_owned(),
        what,
        found,
    };
    match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_dir() => Err(wrong("a folder".to_owned())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(wrong("no such file".to_owned()))
        }
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// A library error about a dataset, in a few words.
pub(super) fn hdf5_error(path: &Path, dataset: &str, error: &hdf5::Error) -> InputError {
    let reason = reason(error);
    let advice = hdf5_access::advice(&reason);
    InputError::Hdf5 {
        path: path.to_owned(),
        what: format!("the dataset {dataset}"),
        reason,
        advice,
    }
}
