//! The types of the numbers of an array.

use serde_json::Value;

use super::matrix::with_type;
use super::metadata::named;
use crate::hdf5_access::NumberKind;

/// The type of the numbers of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The type that holds them exactly.
    pub kind: NumberKind,
    /// Bytes of a stored number.
    pub bytes: usize,
    /// Whether they are floats of two bytes, which `kind` is not.
    pub half: bool,
}

impl Numbers {
    fn plain(kind: NumberKind, bytes: usize) -> Self {
        Self {
            kind,
            bytes,
            half: false,
        }
    }

    /// The type of this family (`f`, `i`, `u`, `b`) and number of bytes.
    fn of(family: &str, bytes: usize) -> Option<Self> {
        let kind = match (family, bytes) {
            ("f", 2) => {
                return Some(Self {
                    kind: NumberKind::F32,
                    bytes,
                    half: true,
                });
            }
            ("f", 4) => NumberKind::F32,
            ("f", 8) => NumberKind::F64,
            ("i", 1) => NumberKind::I8,
            ("i", 2) => NumberKind::I16,
            ("i", 4) => NumberKind::I32,
            ("i", 8) => NumberKind::I64,
            ("u" | "b", 1) => NumberKind::U8,
            ("u", 2) => NumberKind::U16,
            ("u", 4) => NumberKind::U32,
            ("u", 8) => NumberKind::U64,
            _ => return None,
        };
        Some(Self::plain(kind, bytes))
    }

    pub(super) fn of_version_3(data_type: &Value) -> Result<Self, String> {
        let name = named(data_type).map(|(name, _)| name);
        let unknown = || format!("numbers of type {data_type}, which are not read here");
        let name = name.ok_or_else(unknown)?;
        let digits = name
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(name.len());
        let (family, bits) = name.split_at(digits);
        let family = match family {
            "float" => "f",
            "int" => "i",
            "uint" => "u",
            "bool" => return Ok(Self::plain(NumberKind::U8, 1)),
            _ => return Err(unknown()),
        };
        let bits = bits.parse::<usize>().map_err(|_| unknown())?;
        let whole = bits.is_multiple_of(8).then_some(bits / 8);
        let numbers = whole.and_then(|bytes| Self::of(family, bytes));
        numbers.ok_or_else(unknown)
    }

    /// The type, and whether the first byte of a number is the highest.
    pub(super) fn of_version_2(dtype: &Value) -> Result<(Self, bool), String> {
        let unknown = || format!("numbers of type {dtype}, which are not read here");
        let name = dtype.as_str().filter(|name| name.is_ascii());
        let name = name.ok_or_else(unknown)?;
        let parts = (name.get(..1), name.get(1..2), name.get(2..));
        let (Some(order), Some(family), Some(bytes)) = parts else {
            return Err(unknown());
        };
        let bytes = bytes.parse::<usize>().map_err(|_| unknown())?;
        let numbers = Self::of(family, bytes).ok_or_else(unknown)?;
        match order {
            "<" | "|" => Ok((numbers, false)),
            ">" => Ok((numbers, true)),
            _ => Err(unknown()),
        }
    }

    /// Numbers of this type, of which `bytes` are those.
    pub(super) fn values(self, bytes: &mut [u8], big_endian: bool) -> Vec<f64> {
        if big_endian != cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(self.bytes).for_each(<[u8]>::reverse);
        }
        let numbers = bytes.chunks_exact(self.bytes);
        if self.half {
            let halves = numbers.map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
            return halves.map(|bits| f64::from(half_to_f32(bits))).collect();
        }
        with_type!(self.kind, N => numbers.map(|bytes| bytemuck::pod_read_unaligned::<N>(bytes) as f64).collect())
    }

    /// The fill value that metadata state.
    pub(super) fn fill(self, value: &Value) -> Result<f64, String> {
        let unknown = || format!("the fill value {value}");
        match value {
            Value::Null => Ok(0.0),
            Value::Bool(truth) => Ok(f64::from(u8::from(*truth))),
            Value::Number(number) => number.as_f64().ok_or_else(unknown),
            Value::String(name) => match name.as_str() {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                name => self.fill_of_bits(name).ok_or_else(unknown),
            },
            _ => Err(unknown()),
        }
    }

    /// A float that is given by its bytes.
    fn fill_of_bits(self, text: &str) -> Option<f64> {
        let digits = text.strip_prefix("0x")?;
        if digits.len() != 2 * self.bytes {
            return None;
        }
        let bits = u64::from_str_radix(digits, 16).ok()?;
        match (self.kind, self.half) {
            (NumberKind::F32, true) => Some(f64::from(half_to_f32(bits as u16))),
            (NumberKind::F32, false) => Some(f64::from(f32::from_bits(bits as u32))),
            (NumberKind::F64, _) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }
}

/// The number that the bits of a float of two bytes are.
pub(super) fn half_to_f32(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}
