//! The arrays of HDF5 files, those of MATLAB (MAT-file 7.3) among them.

use std::io::Read;
use std::path::Path;

use super::array::{Array, Lies};
use crate::hdf5_access;
use crate::input::error::InputError;
use crate::input::hdf5_matrix::{dataset_names, existing_dataset};
use crate::input::hdf5_values::text_attribute;
use crate::regular;
use crate::signature::other_than_hdf5;

/// Where MATLAB keeps what variables refer to.
const INTERNAL: [&str; 2] = ["#refs#/", "#subsystem#/"];

/// The datasets of a file.
///
/// # Errors
/// If the file cannot be read, or is damaged.
pub(super) fn arrays(path: &Path) -> Result<Vec<Array>, InputError> {
    if let Some(found) = other_than_hdf5(path) {
        return Err(InputError::File {
            path: path.to_owned(),
            what: "an HDF5 file",
            found,
        });
    }
    let file = hdf5_access::open(path).map_err(|error| {
        let reason = hdf5_access::reason(&error);
        InputError::Hdf5 {
            path: path.to_owned(),
            what: "a matrix of fluorescence".to_owned(),
            advice: hdf5_access::advice(&reason),
            reason,
        }
    })?;
    let is_matlab = begins_as_matlab(path);
    let mut arrays = Vec::new();
    for name in dataset_names(&file) {
        if INTERNAL.iter().any(|internal| name.starts_with(internal)) {
            continue;
        }
        let mut array = Array {
            path: path.to_owned(),
            name: name.clone(),
            shape: Vec::new(),
            is_reversed: is_matlab,
            lies: Lies::Hdf5,
        };
        // What is wrong with a dataset matters only where it is chosen.
        match existing_dataset(&file, path, &name) {
            Ok(Some(dataset)) => {
                let class = text_attribute(&dataset, "MATLAB_class");
                array.is_reversed |= class.is_some();
                array.shape = dataset.shape();
                if array.is_reversed {
                    array.shape.reverse();
                }
                let kind = hdf5_access::number_kind(&dataset);
                array.lies = match (kind, class.as_deref()) {
                    (Err(kind), _) => Lies::Otherwise(kind),
                    (_, Some(class @ ("char" | "logical" | "cell" | "function_handle"))) => {
                        Lies::Otherwise(format!("a {class} array"))
                    }
                    _ => Lies::Hdf5,
                };
            }
            Ok(None) => continue,
            Err(_) => array.lies = Lies::Unreadable,
        }
        arrays.push(array);
    }
    Ok(arrays)
}

/// Whether a file begins with the text that MATLAB puts before the HDF5 file.
fn begins_as_matlab(path: &Path) -> bool {
    let mut start = [0; 6];
    let read = regular::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"MATLAB"
}
