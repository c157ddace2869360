//! NumPy's arrays and numbers in a pickle.

use std::ops::Range;

use super::Expected;
use super::value::{Bytes, Value};

/// The names that NumPy's arrays, types and numbers need, under those of its modules that it has had, and those of values that the settings of
/// imaging programs hold beside them: dates and paths, of which nothing is read.
pub(crate) const NAMES: &[(&str, &str)] = &[
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
    ("__builtin__", "bytes"),
    ("collections", "OrderedDict"),
    ("datetime", "datetime"),
    ("datetime", "date"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib", "WindowsPath"),
    ("pathlib", "PureWindowsPath"),
    ("pathlib._local", "PosixPath"),
    ("pathlib._local", "PurePosixPath"),
    ("pathlib._local", "WindowsPath"),
    ("pathlib._local", "PureWindowsPath"),
];

/// Values of NumPy, of which these keys of dictionaries are kept.
pub(crate) fn expected(keys: Option<&'static [&'static str]>) -> Expected {
    Expected { names: NAMES, keys }
}

/// An array whose numbers lie in the file of the pickle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PickledArray {
    /// The type as NumPy describes it, such as `<f4`.
    pub(crate) descr: String,
    pub(crate) shape: Vec<usize>,
    /// Whether the first axis runs fastest (Fortran's order).
    pub(crate) fortran: bool,
    pub(crate) data: PickledData,
}

/// The contents of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PickledData {
    /// Few bytes, and where they begin in the file, unless they are written otherwise there.
    Short(Vec<u8>, Option<u64>),
    /// Many bytes: which ones of the file.
    Long(Range<u64>),
}

/// Which of the names a value is.
fn is(value: &Value, name: &str) -> bool {
    matches!(value, Value::Global(place) if NAMES[*place].1 == name)
}

/// The array that a value is; nothing where it is something else, or an array of Python's objects.
pub(crate) fn array(value: &Value) -> Option<PickledArray> {
    let Value::Call(call) = value else {
        return None;
    };
    let arguments = call.arguments.values();
    if NAMES[call.name].1 == "_frombuffer" {
        let [Value::Bytes(data), dtype, shape, Value::Text(order)] = &arguments[..] else {
            return None;
        };
        return Some(PickledArray {
            descr: descr(dtype)?,
            shape: integers(shape)?,
            fortran: **order == *"F",
            data: contents(data),
        });
    }
    if NAMES[call.name].1 != "_reconstruct" || !is(arguments.first()?, "ndarray") {
        return None;
    }
    let state = call.state.borrow();
    let state = state.as_ref()?.elements()?;
    let [_, shape, dtype, Value::Bool(fortran), data] = &state[..] else {
        return None;
    };
    Some(PickledArray {
        descr: descr(dtype)?,
        shape: integers(shape)?,
        fortran: *fortran,
        data: contents(&bytes(data)?),
    })
}

/// The elements of an array of Python's objects.
pub(crate) fn objects(value: &Value) -> Option<Value> {
    let Value::Call(call) = value else {
        return None;
    };
    if NAMES[call.name].1 != "_reconstruct" {
        return None;
    }
    let state = call.state.borrow();
    let state = state.as_ref()?.elements()?;
    match &state[..] {
        [_, _, _, _, list @ Value::List(_)] => Some(list.clone()),
        _ => None,
    }
}

/// The number that a value is: one of Python, or of NumPy.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Bool(is) => Some(f64::from(u8::from(*is))),
        Value::Call(call) if NAMES[call.name].1 == "scalar" => {
            let arguments = call.arguments.values();
            let [dtype, data] = &arguments[..] else {
                return None;
            };
            let Bytes::Short(bytes, _) = bytes(data)? else {
                return None;
            };
            only(&descr(dtype)?, &bytes)
        }
        Value::Call(_) => {
            let array = array(value)?;
            match &array.data {
                PickledData::Short(bytes, _) => only(&array.descr, bytes),
                PickledData::Long(_) => None,
            }
        }
        _ => None,
    }
}

/// The numbers of a list, a tuple or a small array.
pub(crate) fn numbers(value: &Value) -> Option<Vec<f64>> {
    if let Some(elements) = value.elements() {
        return elements.iter().map(number).collect();
    }
    let array = array(value)?;
    match &array.data {
        PickledData::Short(bytes, _) => values(&array.descr, bytes),
        PickledData::Long(_) => None,
    }
}

fn only(descr: &str, bytes: &[u8]) -> Option<f64> {
    match values(descr, bytes)?[..] {
        [only] => Some(only),
        _ => None,
    }
}

fn values(descr: &str, bytes: &[u8]) -> Option<Vec<f64>> {
    let numbers = crate::input::NumberType::of_numpy(descr)?;
    Some(numbers.values(bytes))
}

/// The description of a type: `<f4` of `dtype('f4')` with the state `(3, '<', …)`.
fn descr(dtype: &Value) -> Option<String> {
    let Value::Call(call) = dtype else {
        return None;
    };
    if NAMES[call.name].1 != "dtype" {
        return None;
    }
    let arguments = call.arguments.values();
    let Value::Text(name) = arguments.first()? else {
        return None;
    };
    let state = call.state.borrow();
    let order = match state.as_ref().and_then(Value::elements) {
        Some(state) => match state.get(1) {
            Some(Value::Text(order)) => order.to_string(),
            _ => return None,
        },
        None => "|".to_owned(),
    };
    // Types of one byte have no order.
    let order = if name.ends_with('1') { "|" } else { &order };
    Some(format!("{order}{name}"))
}

/// Bytes, also those that protocol 2 writes as a text of Latin letters to be encoded.
fn bytes(value: &Value) -> Option<Bytes> {
    match value {
        Value::Bytes(bytes) => Some(bytes.clone()),
        // Python 2 did not tell texts from bytes.
        Value::Text(text) => Some(Bytes::Short(text.as_bytes().into(), None)),
        Value::Call(call) if NAMES[call.name].1 == "encode" => {
            let arguments = call.arguments.values();
            let Value::Text(text) = arguments.first()? else {
                return None;
            };
            let bytes: Option<Vec<u8>> = text
                .chars()
                .map(|letter| u8::try_from(u32::from(letter)).ok())
                .collect();
            Some(Bytes::Short(bytes?.into(), None))
        }
        // No bytes at all, in protocol 2.
        Value::Call(call) if NAMES[call.name].1 == "bytes" => Some(Bytes::Short([].into(), None)),
        _ => None,
    }
}

fn contents(bytes: &Bytes) -> PickledData {
    match bytes {
        Bytes::Short(bytes, start) => PickledData::Short(bytes.to_vec(), *start),
        Bytes::Long(place) => PickledData::Long(place.clone()),
    }
}

fn integers(tuple: &Value) -> Option<Vec<usize>> {
    let elements = tuple.elements()?;
    let each = elements.iter().map(|value| match value {
        Value::Integer(extent) => usize::try_from(*extent).ok(),
        _ => None,
    });
    each.collect()
}
