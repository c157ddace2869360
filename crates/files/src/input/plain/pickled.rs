//! The arrays of a dictionary that `np.save` pickled into a `.npy`, as CASCADE's own demonstration data have them.

use std::path::Path;

use super::array::{Array, Lies};
use super::listing::of_npy;
use crate::input::error::InputError;
use crate::input::npy::{NpyHeader, all_objects};
use crate::pickle::Value;
use crate::pickle::numpy::{self, PickledArray, PickledData};

/// The arrays and numbers of the dictionary.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds no dictionary.
pub(super) fn arrays(path: &Path) -> Result<Vec<Array>, InputError> {
    let what = "a matrix, or a dictionary of arrays, saved by NumPy";
    let objects = all_objects(path, what)?;
    let objects = objects.elements();
    let Some([Value::Dict(dictionary)]) = objects.as_deref() else {
        return Err(InputError::File {
            path: path.to_owned(),
            what,
            found: "other objects of Python".to_owned(),
        });
    };
    let items = dictionary.values();
    let pairs = items.as_chunks::<2>().0.iter();
    let arrays = pairs.filter_map(|[key, value]| match key {
        Value::Text(name) => Some(array(path, name, value)),
        _ => None,
    });
    Ok(arrays.collect())
}

/// The array that is the value of a key.
fn array(path: &Path, name: &str, value: &Value) -> Array {
    match numpy::array(value) {
        Some(array) => of_pickled(path, name, array),
        None => {
            let number = numpy::number(value).map(|number| (Vec::new(), vec![number]));
            let numbers = || numpy::numbers(value).map(|numbers| (vec![numbers.len()], numbers));
            let (shape, lies) = match number.or_else(numbers) {
                Some((shape, numbers)) => (shape, Lies::Held(numbers)),
                None => (Vec::new(), Lies::Otherwise("no array".to_owned())),
            };
            Array {
                path: path.to_owned(),
                name: name.to_owned(),
                shape,
                is_reversed: false,
                lies,
            }
        }
    }
}

fn of_pickled(path: &Path, name: &str, array: PickledArray) -> Array {
    let (start, length) = match &array.data {
        PickledData::Long(bytes) => (Some(bytes.start), bytes.end - bytes.start),
        PickledData::Short(bytes, start) => (*start, bytes.len() as u64),
    };
    let header = NpyHeader {
        descr: array.descr,
        fortran: array.fortran,
        shape: array.shape,
        start: 0,
    };
    let mut found = of_npy(header, path, name.to_owned(), start.unwrap_or(0));
    if let Lies::Flat(place) = &found.lies {
        let [rows, columns] = place.shape;
        let count = rows.checked_mul(columns);
        let bytes = count.and_then(|count| count.checked_mul(place.numbers.bytes));
        if bytes.is_none_or(|bytes| bytes as u64 != length) {
            found.lies = Lies::Otherwise(format!("{length} bytes for an array {:?}", found.shape));
        } else if let (None, PickledData::Short(bytes, _)) = (start, &array.data) {
            found.lies = Lies::Held(place.numbers.values(bytes));
        }
    }
    found
}
