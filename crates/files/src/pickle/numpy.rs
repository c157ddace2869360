//! NumPy's arrays and numbers in a pickle.

use std::ops::Range;

use super::Expected;
use super::value::{Call, Value};

/// The names that NumPy's arrays, types and numbers need, under those of its modules that it has had, and those of values that the settings of
/// imaging programs hold beside them: dates and paths, of which nothing is read.
const NAMES: &[(&str, &str)] = &[
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

/// Values of NumPy, of which these keys of dictionaries are kept; all, if there is no list.
#[must_use]
pub fn expected(keys: Option<&'static [&'static str]>) -> Expected {
    Expected {
        names: NAMES,
        keys,
        plain: scalar,
    }
}

/// An array of numbers in a pickle.
#[derive(Clone, Debug, PartialEq)]
pub struct PickledArray {
    /// The type as NumPy describes it, such as `<f4`.
    pub descr: String,
    /// The extents of its axes.
    pub shape: Vec<usize>,
    /// Whether the first axis runs fastest (Fortran's order).
    pub fortran: bool,
    /// The bytes of its numbers.
    pub data: PickledData,
}

/// The contents of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum PickledData {
    /// Few bytes, and where they begin in the file, unless they are written otherwise there.
    Short(Vec<u8>, Option<u64>),
    /// Many bytes: which ones of the file.
    Long(Range<u64>),
}

impl PickledData {
    fn few(&self) -> Option<&[u8]> {
        match self {
            Self::Short(bytes, _) => Some(bytes),
            Self::Long(_) => None,
        }
    }
}

/// Whether a call is one of this name.
fn calls(call: &Call, name: &str) -> bool {
    NAMES.get(call.name).is_some_and(|(_, own)| *own == name)
}

/// The number that NumPy's `scalar` makes of a type and bytes.
fn scalar(name: usize, arguments: &[Value]) -> Option<Value> {
    let (_, name) = NAMES.get(name)?;
    match (*name, arguments) {
        ("scalar", [dtype, data]) => {
            let data = bytes(data)?;
            only(&descr(dtype)?, data.few()?).map(Value::Float)
        }
        _ => None,
    }
}

/// The array that a value is; nothing where it is something else, or an array of Python's objects.
#[must_use]
pub fn array(value: &Value) -> Option<PickledArray> {
    let Value::Call(call) = value else {
        return None;
    };
    if calls(call, "_frombuffer") {
        let arguments = call.arguments.values();
        let [data, dtype, shape, Value::Text(order)] = &arguments[..] else {
            return None;
        };
        return whole(dtype, shape, **order == *"F", data);
    }
    let state = array_state(call)?;
    let state = state.elements()?;
    match &state[..] {
        [_, shape, dtype, Value::Bool(fortran), data] => whole(dtype, shape, *fortran, data),
        _ => None,
    }
}

/// The elements of an array of Python's objects, a list.
#[must_use]
pub fn objects(value: &Value) -> Option<Value> {
    let Value::Call(call) = value else {
        return None;
    };
    let state = array_state(call)?;
    let state = state.elements()?;
    match &state[..] {
        [_, _, _, _, list @ Value::List(_)] => Some(list.clone()),
        _ => None,
    }
}

/// What `ndarray.__setstate__` would be given: version, shape, type, order, contents.
fn array_state(call: &Call) -> Option<Value> {
    let arguments = call.arguments.values();
    let is_array = match arguments.first()? {
        Value::Global(class) => NAMES.get(*class) == Some(&("numpy", "ndarray")),
        _ => false,
    };
    match is_array && calls(call, "_reconstruct") {
        true => call.state.borrow().clone(),
        false => None,
    }
}

fn whole(dtype: &Value, shape: &Value, fortran: bool, data: &Value) -> Option<PickledArray> {
    Some(PickledArray {
        descr: descr(dtype)?,
        shape: integers(shape)?,
        fortran,
        data: bytes(data)?,
    })
}

/// The number that a value is: one of Python, or of NumPy, or an array of one.
#[must_use]
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Bool(is) => Some(f64::from(u8::from(*is))),
        Value::Call(_) => {
            let array = array(value)?;
            only(&array.descr, array.data.few()?)
        }
        _ => None,
    }
}

/// The numbers of a list, a tuple or a small array.
#[must_use]
pub fn numbers(value: &Value) -> Option<Vec<f64>> {
    if let Some(elements) = value.elements() {
        return elements.iter().map(number).collect();
    }
    let array = array(value)?;
    values(&array.descr, array.data.few()?)
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
    if !calls(call, "dtype") {
        return None;
    }
    let arguments = call.arguments.values();
    let Value::Text(name) = arguments.first()? else {
        return None;
    };
    let state = call.state.borrow();
    let state = state.as_ref().and_then(Value::elements);
    match state.as_ref().map(|state| state.get(1)) {
        Some(Some(Value::Text(order))) => Some(format!("{}{}", &**order, &**name)),
        Some(_) => None,
        None => Some(format!("|{}", &**name)),
    }
}

/// Bytes, also those that are written as something else.
fn bytes(value: &Value) -> Option<PickledData> {
    let elsewhere = |bytes: Vec<u8>| Some(PickledData::Short(bytes, None));
    match value {
        Value::Bytes(bytes) => Some(match bytes.content() {
            Some(content) => PickledData::Short(content.to_vec(), Some(bytes.place().start)),
            None => PickledData::Long(bytes.place()),
        }),
        // Python 2 did not tell texts from bytes.
        Value::Text(text) => elsewhere(text.as_bytes().to_vec()),
        // Protocol 2 writes a text of Latin letters that is to be encoded.
        Value::Call(call) if calls(call, "encode") => {
            let arguments = call.arguments.values();
            let Value::Text(text) = arguments.first()? else {
                return None;
            };
            let letters = text.chars().map(|letter| u8::try_from(u32::from(letter)));
            elsewhere(letters.collect::<Result<_, _>>().ok()?)
        }
        // No bytes at all, in protocol 2.
        Value::Call(call) if calls(call, "bytes") => elsewhere(Vec::new()),
        _ => None,
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
