//! Small datasets and attributes of HDF5 files: positions, rates, selections, names.

use std::path::Path;

use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Container, Dataset, File, H5Type, Location};

use super::error::InputError;
use super::hdf5_matrix::{existing_dataset, hdf5_error};
use crate::hdf5_access;

/// Numbers that are read of a dataset, at most (128 MiB): 50 for each of the cells of a whole brain. A damaged file may say any extents.
const MOST_NUMBERS: usize = 1 << 24;
/// Bytes of a text, at most.
const LONGEST_TEXT: usize = 1 << 12;

/// A logical value as files have it. One that is damaged may be any byte, which a `bool` may not.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Logical(u8);

// SAFETY: the description is that of a type of one byte, and any byte is one of these.
unsafe impl H5Type for Logical {
    fn type_descriptor() -> TypeDescriptor {
        TypeDescriptor::Boolean
    }
}

/// 1 for true, 0 for false.
impl From<Logical> for f32 {
    fn from(Logical(byte): Logical) -> Self {
        f32::from(u8::from(byte != 0))
    }
}

/// Whether a dataset holds logical values.
pub(super) fn is_logical(dataset: &Dataset) -> bool {
    matches!(
        dataset.dtype().and_then(|dtype| dtype.to_descriptor()),
        Ok(TypeDescriptor::Boolean)
    )
}

/// Numbers of a dataset, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
}

/// Reads all numbers of a small dataset, logical ones as 0 and 1; nothing where the file has no such dataset or holds text there.
///
/// # Errors
/// If it cannot be read, or is larger than any table of cells.
pub(super) fn numbers(file: &File, path: &Path, name: &str) -> Result<Option<Numbers>, InputError> {
    let Some(dataset) = existing_dataset(file, path, name)? else {
        return Ok(None);
    };
    let is_logical = is_logical(&dataset);
    if !is_logical && hdf5_access::number_kind(&dataset).is_err() {
        return Ok(None);
    }
    let elements = hdf5_access::elements(&dataset);
    if elements > MOST_NUMBERS {
        return Err(InputError::Dataset {
            path: path.to_owned(),
            dataset: name.to_owned(),
            expected: format!("at most {MOST_NUMBERS} numbers"),
            found: elements.to_string(),
        });
    }
    let failed = |error: hdf5::Error| hdf5_error(path, name, &error);
    let values = match is_logical {
        true if elements > 0 => {
            let values = dataset.read_raw::<Logical>().map_err(failed)?;
            values
                .into_iter()
                .map(|value| f32::from(value).into())
                .collect()
        }
        _ => hdf5_access::read_f64(&dataset).map_err(failed)?,
    };
    Ok(Some(Numbers {
        shape: dataset.shape(),
        values,
    }))
}

/// The number that a dataset of one element holds, if there is one.
///
/// # Errors
/// As [`numbers`].
pub(super) fn number(file: &File, path: &Path, name: &str) -> Result<Option<f64>, InputError> {
    let numbers = numbers(file, path, name)?;
    Ok(numbers.and_then(|numbers| match numbers.values[..] {
        [only] => Some(only),
        _ => None,
    }))
}

/// The text that a dataset of one element holds, if there is one that can be read.
pub(super) fn text(file: &File, name: &str) -> Option<String> {
    file.link_exists(name)
        .then(|| file.dataset(name).ok())?
        .and_then(|dataset| text_of(&dataset))
}

/// The number that an attribute of a group or dataset holds, if there is one.
pub(super) fn number_attribute(object: &Location, name: &str) -> Option<f64> {
    let attribute = object.attr(name).ok()?;
    hdf5_access::number_kind(&attribute).ok()?;
    match attribute.read_raw::<f64>().ok()?[..] {
        [only] => Some(only),
        _ => None,
    }
}

/// The text that an attribute of a group or dataset holds, if there is one.
pub(super) fn text_attribute(object: &Location, name: &str) -> Option<String> {
    let attribute = object.attr(name).ok()?;
    text_of(&attribute)
}

/// The text of one element.
fn text_of(object: &Container) -> Option<String> {
    if hdf5_access::elements(object) != 1 {
        return None;
    }
    let first = |texts: Vec<String>| texts.into_iter().next();
    macro_rules! as_text {
        ($type:ty) => {
            first(
                object
                    .read_raw::<$type>()
                    .ok()?
                    .iter()
                    .map(|text| text.as_str().to_owned())
                    .collect(),
            )
        };
    }
    match object.dtype().ok()?.to_descriptor().ok()? {
        TypeDescriptor::VarLenUnicode => as_text!(VarLenUnicode),
        TypeDescriptor::VarLenAscii => as_text!(VarLenAscii),
        TypeDescriptor::FixedAscii(length) if length <= LONGEST_TEXT => {
            as_text!(FixedAscii<LONGEST_TEXT>)
        }
        TypeDescriptor::FixedUnicode(length) if length <= LONGEST_TEXT => {
            as_text!(FixedUnicode<LONGEST_TEXT>)
        }
        _ => None,
    }
}
