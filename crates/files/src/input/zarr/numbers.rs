//! The types of the numbers of an array, and its fill value.

use serde_json::Value;

use super::metadata::named;
use crate::hdf5_access::NumberKind;
use crate::input::number_type::{NumberType, of_half};

/// The type of numbers in arrays of version 3, in either byte order.
///
/// # Errors
/// If it is no number.
pub(super) fn of_version_3(data_type: &Value) -> Result<NumberType, String> {
    let name = named(data_type).map(|(name, _)| name);
    let unknown = || format!("numbers of type {data_type}, which are not read here");
    let name = name.ok_or_else(unknown)?;
    let digits = name.find(|c: char| c.is_ascii_digit());
    let (family, bits) = name.split_at(digits.unwrap_or(name.len()));
    let family = match family {
        "float" => "f",
        "int" => "i",
        "uint" => "u",
        "bool" => return NumberType::of_numpy("|b1").ok_or_else(unknown),
        _ => return Err(unknown()),
    };
    let bits: usize = bits.parse().map_err(|_| unknown())?;
    let whole = bits
        .is_multiple_of(8)
        .then(|| format!("<{family}{}", bits / 8));
    let numbers = whole.and_then(|name| NumberType::of_numpy(&name));
    numbers.ok_or_else(unknown)
}

/// The type of numbers in arrays of version 2.
///
/// # Errors
/// If it is no number.
pub(super) fn of_version_2(dtype: &Value) -> Result<NumberType, String> {
    let numbers = dtype.as_str().and_then(NumberType::of_numpy);
    numbers.ok_or_else(|| format!("numbers of type {dtype}, which are not read here"))
}

/// The fill value that metadata state.
///
/// # Errors
/// If it is no number.
pub(super) fn fill(numbers: NumberType, value: &Value) -> Result<f64, String> {
    let unknown = || format!("the fill value {value}");
    match value {
        Value::Null => Ok(0.0),
        Value::Bool(truth) => Ok(f64::from(u8::from(*truth))),
        Value::Number(number) => number.as_f64().ok_or_else(unknown),
        Value::String(name) => match name.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            name => fill_of_bits(numbers, name).ok_or_else(unknown),
        },
        _ => Err(unknown()),
    }
}

/// A float that is given by its bytes.
fn fill_of_bits(numbers: NumberType, text: &str) -> Option<f64> {
    let digits = text.strip_prefix("0x")?;
    let bits = u64::from_str_radix(digits, 16).ok()?;
    match (numbers.kind, digits.len(), numbers.bytes) {
        (NumberKind::F32, 4, 2) => Some(f64::from(of_half(bits as u16))),
        (NumberKind::F32, 8, 4) => Some(f64::from(f32::from_bits(bits as u32))),
        (NumberKind::F64, 16, 8) => Some(f64::from_bits(bits)),
        _ => None,
    }
}
