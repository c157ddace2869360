//! The index `absIX` of `TimeSeries.h5`: the row of `CellXYZ` of each neuron (rule 2.4).

use std::path::Path;

use hdf5::File;

use crate::hdf5_access;
use crate::input::error::InputError;
use crate::input::hdf5_matrix::{Header, existing_dataset, hdf5_error};

/// Longest index that is read; hundreds of times the cells of a larval zebrafish.
const MAX_CELLS: usize = 1 << 26;

/// The dataset `absIX`, which is read only if its length can be right.
pub(super) enum AbsIx {
    /// The values, in the order of the file.
    Values(Vec<f64>),
    /// A number of values that fits neither axis of the traces.
    Count(usize),
}

/// Reads the index beside traces of this shape, if there is one.
///
/// # Errors
/// If it cannot be read, or is no plausible list of numbers.
pub(super) fn read(
    file: &File,
    path: &Path,
    shape: [usize; 2],
) -> Result<Option<AbsIx>, InputError> {
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

/// Reads the header of the traces and the index; whether there is nothing wrong with them.
pub(in crate::input) fn is_readable(path: &Path, dataset: &str) -> bool {
    let header = Header::read(path, dataset);
    header.is_ok_and(|(header, file)| read(&file, path, header.shape).is_ok())
}
