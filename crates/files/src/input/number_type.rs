//! The types in which files without a library of their own store numbers (NumPy, MATLAB), and how their bytes become numbers.

use serde::{Deserialize, Serialize};

use crate::hdf5_access::NumberKind;

/// A type of stored numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NumberType {
    /// The type that holds them exactly.
    pub(crate) kind: NumberKind,
    /// Bytes of a stored number.
    pub(crate) bytes: usize,
    /// Whether the first byte of a number is the highest.
    pub(crate) big_endian: bool,
}

impl NumberType {
    /// A type of the machine's own numbers, in little-endian order.
    pub(crate) fn little_endian(kind: NumberKind) -> Self {
        let bytes = match kind {
            NumberKind::I8 | NumberKind::U8 => 1,
            NumberKind::I16 | NumberKind::U16 => 2,
            NumberKind::F32 | NumberKind::I32 | NumberKind::U32 => 4,
            NumberKind::F64 | NumberKind::I64 | NumberKind::U64 => 8,
        };
        Self {
            kind,
            bytes,
            big_endian: false,
        }
    }

    /// The type that NumPy describes like this: `<f4`, `>i2`, `|b1`.
    pub(crate) fn of_numpy(name: &str) -> Option<Self> {
        let (order, rest) = name.split_at_checked(1)?;
        let (family, bytes) = rest.split_at_checked(1)?;
        let bytes: usize = bytes.parse().ok()?;
        let kind = match (family, bytes) {
            ("f", 2 | 4) => NumberKind::F32,
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
        let big_endian = match order {
            "<" => false,
            "|" if bytes == 1 => false,
            ">" => true,
            _ => return None,
        };
        Some(Self {
            kind,
            bytes,
            big_endian,
        })
    }

    /// Whether the bytes are those of an f32 of this machine.
    pub(crate) fn is_own_f32(self) -> bool {
        (self.kind, self.bytes) == (NumberKind::F32, 4)
            && self.big_endian == cfg!(target_endian = "big")
    }

    /// Rounds stored numbers to f32, one for each sample.
    pub(crate) fn round(self, bytes: &[u8], samples: &mut [f32]) {
        macro_rules! rounded {
            ($type:ty) => {{
                let numbers = bytes.as_chunks::<{ size_of::<$type>() }>().0;
                match self.big_endian {
                    true => {
                        for (sample, number) in samples.iter_mut().zip(numbers) {
                            *sample = <$type>::from_be_bytes(*number) as f32;
                        }
                    }
                    false => {
                        for (sample, number) in samples.iter_mut().zip(numbers) {
                            *sample = <$type>::from_le_bytes(*number) as f32;
                        }
                    }
                }
            }};
        }
        if self.bytes == 2 && self.kind == NumberKind::F32 {
            let halves = bytes.as_chunks::<2>().0;
            for (sample, half) in samples.iter_mut().zip(halves) {
                *sample = of_half(match self.big_endian {
                    true => u16::from_be_bytes(*half),
                    false => u16::from_le_bytes(*half),
                });
            }
            return;
        }
        match self.kind {
            NumberKind::F32 => rounded!(f32),
            NumberKind::F64 => rounded!(f64),
            NumberKind::I8 => rounded!(i8),
            NumberKind::I16 => rounded!(i16),
            NumberKind::I32 => rounded!(i32),
            NumberKind::I64 => rounded!(i64),
            NumberKind::U8 => rounded!(u8),
            NumberKind::U16 => rounded!(u16),
            NumberKind::U32 => rounded!(u32),
            NumberKind::U64 => rounded!(u64),
        }
    }

    /// Stored numbers as f64, which holds all but whole numbers beyond 2^53 exactly.
    pub(crate) fn values(self, bytes: &[u8]) -> Vec<f64> {
        let numbers = bytes.chunks_exact(self.bytes);
        let value = |number: &[u8]| {
            let mut bits = [0; 8];
            let length = number.len();
            match self.big_endian {
                true => bits
                    .iter_mut()
                    .zip(number.iter().rev())
                    .for_each(|(to, from)| *to = *from),
                false => bits[..length].copy_from_slice(number),
            }
            let unsigned = u64::from_le_bytes(bits);
            // The sign of a shorter number lies at its own end.
            let empty = 64 - 8 * length as u32;
            let signed = (unsigned << empty) as i64 >> empty;
            match (self.kind, length) {
                (NumberKind::F32, 2) => f64::from(of_half(unsigned as u16)),
                (NumberKind::F32, _) => f64::from(f32::from_bits(unsigned as u32)),
                (NumberKind::F64, _) => f64::from_bits(unsigned),
                (NumberKind::U8 | NumberKind::U16 | NumberKind::U32 | NumberKind::U64, _) => {
                    unsigned as f64
                }
                _ => signed as f64,
            }
        };
        numbers.map(value).collect()
    }
}

/// The number that the bits of a float of two bytes are.
pub(crate) fn of_half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_2_6_numbers_of_every_type_and_order_are_read() {
        let own = |name: &str, bytes: &[u8]| {
            let of = NumberType::of_numpy(name).unwrap_or_else(|| panic!("{name}"));
            let mut sample = [0.0];
            of.round(bytes, &mut sample);
            let value = of.values(bytes)[0];
            assert_eq!(value as f32, sample[0], "{name}");
            value
        };
        assert_eq!(own("<f4", &1.5_f32.to_le_bytes()), 1.5);
        assert_eq!(own(">f4", &1.5_f32.to_be_bytes()), 1.5);
        assert_eq!(own("<f8", &(-2.25_f64).to_le_bytes()), -2.25);
        assert_eq!(own(">f8", &(-2.25_f64).to_be_bytes()), -2.25);
        assert_eq!(own("|i1", &[0xff]), -1.0);
        assert_eq!(own("|u1", &[0xff]), 255.0);
        assert_eq!(own("|b1", &[1]), 1.0);
        assert_eq!(own("<i2", &(-300_i16).to_le_bytes()), -300.0);
        assert_eq!(own(">u2", &60_000_u16.to_be_bytes()), 60_000.0);
        assert_eq!(own(">i4", &(-70_000_i32).to_be_bytes()), -70_000.0);
        assert_eq!(own("<u4", &4_000_000_000_u32.to_le_bytes()), 4e9);
        assert_eq!(own("<i8", &(-5_i64).to_le_bytes()), -5.0);
        assert_eq!(
            own(">u8", &(1_u64 << 40).to_be_bytes()),
            (1_u64 << 40) as f64
        );
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 2.0_f64.powi(-24)),
            (0x7bff, 65504.0),
        ] {
            assert_eq!(own("<f2", &u16::to_le_bytes(bits)), value);
        }
        assert!(of_half(0x7e00).is_nan() && of_half(0xfc00) == f32::NEG_INFINITY);
        for name in [
            "", "<", "f4", "<f3", "|O", "<U8", "=f4", "<c8", "<M8[ns]", "µf4",
        ] {
            assert_eq!(NumberType::of_numpy(name), None, "{name}");
        }
    }
}
