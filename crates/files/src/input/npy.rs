//! NumPy's `.npy`: what the header says, and where the numbers lie. (`numpy/lib/format.py` describes the format.)
//!
//! The header is text, one Python dictionary of three fixed keys, so that a parser of Python's literals (which the crate `npyz` brings
//! along) is not needed.

use std::io::Read;
use std::path::Path;

use super::error::InputError;
use super::flat_matrix::FlatPlace;
use super::number_type::NumberType;
use crate::pickle::{self, Value, numpy};
use crate::regular;

/// With what each file begins.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read; NumPy refuses longer ones than 10,000 bytes unless it is asked to.
const LONGEST_HEADER: u32 = 1 << 16;
/// Longest name of a type that is read.
const LONGEST_TYPE: usize = 64;

/// What the header of an array says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NpyHeader {
    /// The type as NumPy describes it, such as `<f4` or `|O`.
    pub(super) descr: String,
    /// Whether the first axis runs fastest (Fortran's order).
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    /// The byte at which the numbers begin, counted from the array's first byte.
    pub(super) start: u64,
}

impl NpyHeader {
    /// Reads the header of an array from its first byte on.
    ///
    /// # Errors
    /// What was found instead.
    pub(super) fn read(mut array: impl Read) -> Result<Self, String> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "a header that is cut short".to_owned(),
            _ => error.to_string(),
        };
        let mut begin = [0; 8];
        array.read_exact(&mut begin).map_err(failed)?;
        if !begin.starts_with(MAGIC) {
            return Err("no array of NumPy".to_owned());
        }
        let (length, start) = match begin[6] {
            1 => {
                let mut length = [0; 2];
                array.read_exact(&mut length).map_err(failed)?;
                (u32::from(u16::from_le_bytes(length)), 10)
            }
            2 | 3 => {
                let mut length = [0; 4];
                array.read_exact(&mut length).map_err(failed)?;
                (u32::from_le_bytes(length), 12)
            }
            version => return Err(format!("version {version} of NumPy's format")),
        };
        if length > LONGEST_HEADER {
            return Err(format!("a header of {length} bytes"));
        }
        let mut text = vec![0; length as usize];
        array.read_exact(&mut text).map_err(failed)?;
        let text = String::from_utf8_lossy(&text);
        // For a message: on one line, and without control characters.
        let begin: String = text.trim().chars().take(120).collect();
        let unread = || format!("the header {begin:?}");
        let header = Self::parse(&text, start + u64::from(length));
        header.ok_or_else(unread)
    }

    fn parse(text: &str, start: u64) -> Option<Self> {
        // Other programs than NumPy have other quotation marks and blanks.
        let after = |key: &str| {
            let (_, rest) = text.split_once(key)?;
            let rest = rest.trim_start_matches(['\'', '"']).trim_start();
            Some(rest.strip_prefix(':')?.trim_start())
        };
        // A type of several fields is a list: such arrays are named by what they begin with.
        let descr = match after("descr")?.strip_prefix(['\'', '"']) {
            Some(descr) => descr.split_once(['\'', '"'])?.0,
            None => "several fields",
        };
        if descr.len() > LONGEST_TYPE || descr.contains(char::is_control) {
            return None;
        }
        let fortran = match after("fortran_order")? {
            order if order.starts_with("True") => true,
            order if order.starts_with("False") => false,
            _ => return None,
        };
        let (shape, _) = after("shape")?.strip_prefix('(')?.split_once(')')?;
        let extents = shape.split(',').map(str::trim);
        let extents = extents.filter(|extent| !extent.is_empty());
        let shape: Option<Vec<usize>> = extents
            .map(|extent| extent.trim_end_matches('L').parse().ok())
            .collect();
        Some(Self {
            descr: descr.to_owned(),
            fortran,
            shape: shape?,
            start,
        })
    }
}

/// An array of numbers with one axis or two in a file of its own or within another file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NpyArray {
    /// The numbers, row by row as they are stored.
    pub(super) place: FlatPlace,
    /// Whether the rows of `place` are the columns of the array.
    pub(super) is_transposed: bool,
}

impl NpyArray {
    /// Opens a file with an array of numbers, all of which are there. An array with one axis has one column.
    ///
    /// # Errors
    /// If the file is missing or damaged, or its array is of another kind. `what` says in messages what it should hold.
    pub(super) fn open(path: &Path, what: &'static str) -> Result<Self, InputError> {
        let wrong = |found: String| InputError::File {
            path: path.to_owned(),
            what,
            found,
        };
        super::identity::require_file(path, what)?;
        let file = regular::open(path).map_err(|error| wrong(error.to_string()))?;
        let there = file.metadata().map_err(|error| wrong(error.to_string()))?;
        let header = NpyHeader::read(std::io::BufReader::new(file)).map_err(wrong)?;
        let array = Self::of(header, path, 0).map_err(wrong)?;
        array.place.lies_within(there.len()).map_err(wrong)?;
        Ok(array)
    }

    /// The array with this header that begins at a byte of a file.
    ///
    /// # Errors
    /// What the array holds instead of numbers with one axis or two.
    pub(super) fn of(header: NpyHeader, path: &Path, first: u64) -> Result<Self, String> {
        let NpyHeader {
            descr,
            fortran,
            shape,
            start,
        } = header;
        let numbers = NumberType::of_numpy(&descr);
        let numbers = numbers.ok_or_else(|| format!("an array of type {descr}"))?;
        let shape = match shape[..] {
            [rows] => [rows, 1],
            [rows, columns] => [rows, columns],
            _ => return Err(format!("an array with {} axes", shape.len())),
        };
        let [rows, columns] = shape;
        Ok(Self {
            place: FlatPlace {
                path: path.to_owned(),
                start: first.saturating_add(start),
                numbers,
                shape: if fortran { [columns, rows] } else { shape },
            },
            is_transposed: fortran,
        })
    }

    /// Rows and columns.
    pub(super) fn shape(&self) -> [usize; 2] {
        let [rows, columns] = self.place.shape;
        match self.is_transposed {
            true => [columns, rows],
            false => [rows, columns],
        }
    }

    /// All numbers of a small array, row by row.
    ///
    /// # Errors
    /// If there are more than `most`, or the file cannot be read.
    pub(super) fn values(&self, most: usize) -> Result<Vec<f64>, InputError> {
        let values = super::flat_matrix::read_values(&self.place, most)?;
        let [rows, columns] = self.shape();
        if !self.is_transposed || columns == 1 {
            return Ok(values);
        }
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| column * rows + row));
        Ok(places.map(|place| values[place]).collect())
    }
}

/// The values of a file with an array of Python's objects, a list; `keys` are those whose values are kept of dictionaries.
///
/// # Errors
/// If the file is missing or damaged, or has an array of another kind.
pub(super) fn objects(
    path: &Path,
    what: &'static str,
    keys: &'static [&'static str],
) -> Result<Value, InputError> {
    read_objects(path, what, Some(keys))
}

/// As [`objects`], with the values of all keys.
///
/// # Errors
/// As [`objects`].
pub(super) fn all_objects(path: &Path, what: &'static str) -> Result<Value, InputError> {
    read_objects(path, what, None)
}

fn read_objects(
    path: &Path,
    what: &'static str,
    keys: Option<&'static [&'static str]>,
) -> Result<Value, InputError> {
    let wrong = |found: String| InputError::File {
        path: path.to_owned(),
        what,
        found,
    };
    super::identity::require_file(path, what)?;
    let unreadable = |error: std::io::Error| wrong(error.to_string());
    let mut file = regular::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let header = NpyHeader::read(std::io::BufReader::new(&mut file)).map_err(wrong)?;
    if header.descr != "|O" {
        return Err(wrong(format!("an array of type {}", header.descr)));
    }
    let pickled = length.saturating_sub(header.start);
    let expected = numpy::expected(keys);
    let array = pickle::read(&mut file, header.start, pickled, expected).map_err(wrong)?;
    numpy::objects(&array).ok_or_else(|| wrong("something other than an array".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, version: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn rule_2_6_headers_of_all_versions_are_read() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (40, 500), }    \n";
        for version in 1..=3 {
            let found = NpyHeader::read(&npy(header, version, &[])[..]).expect("a header");
            let start = if version == 1 { 10 } else { 12 };
            assert_eq!(
                found,
                NpyHeader {
                    descr: "<f4".to_owned(),
                    fortran: false,
                    shape: vec![40, 500],
                    start: start + header.len() as u64
                }
            );
        }
        let other = "{ \"shape\" : (3,) , 'fortran_order':False,\"descr\": \"<f8\"}";
        let found = NpyHeader::read(&npy(other, 1, &[])[..]).expect("a header");
        assert_eq!((found.descr.as_str(), found.shape), ("<f8", vec![3]));
        let scalar = "{'descr': '|O', 'fortran_order': True, 'shape': (), }";
        let found = NpyHeader::read(&npy(scalar, 1, &[])[..]).expect("a header");
        assert_eq!((found.shape.len(), found.fortran), (0, true));
    }

    #[test]
    fn rule_2_6_arrays_of_either_order_have_the_same_numbers() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("array.npy");
        for (fortran, data) in [("False", [0, 1, 2, 3, 4, 5]), ("True", [0, 3, 1, 4, 2, 5])] {
            let header =
                format!("{{'descr': '|u1', 'fortran_order': {fortran}, 'shape': (2, 3), }}");
            std::fs::write(&path, npy(&header, 1, &data)).expect("a file");
            let array = NpyArray::open(&path, "an array").expect("an array");
            assert_eq!(array.shape(), [2, 3]);
            let values = array.values(6).expect("numbers");
            assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
            assert!(array.values(5).is_err());
        }
    }

    #[test]
    fn rule_2_6_a_shape_is_not_believed_before_the_file_is_as_long() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("array.npy");
        for shape in [
            "2, 3",
            "7, 1",
            "18446744073709551615, 4",
            "1, 9223372036854775807",
            "36893488147419103232,",
        ] {
            let header =
                format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}");
            let data = [0; 24];
            std::fs::write(&path, npy(&header, 1, &data)).expect("a file");
            let array = NpyArray::open(&path, "an array");
            assert_eq!(array.is_ok(), shape == "2, 3", "{shape}");
            // One byte is missing.
            std::fs::write(&path, npy(&header, 1, &data[1..])).expect("a file");
            let message = NpyArray::open(&path, "an array").expect_err("a short file");
            let cut = message.to_string().contains("the file is cut short");
            assert!(cut || shape.starts_with("36893"), "{message}");
        }
    }

    #[test]
    fn rule_2_6_damaged_headers_are_refused() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (40, 500), }";
        let whole = npy(header, 1, &[]);
        for length in 0..whole.len() {
            assert!(NpyHeader::read(&whole[..length]).is_err(), "{length} bytes");
        }
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[place] ^= 1 << bit;
                // Whatever it says: no panic.
                if let Ok(header) = NpyHeader::read(&damaged[..]) {
                    let _ = NpyArray::of(header, Path::new("array.npy"), 0);
                }
            }
        }
        let huge = npy(header, 2, &[]);
        let mut huge = huge;
        huge[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        let message = NpyHeader::read(&huge[..]).expect_err("a huge header");
        assert!(message.contains("4294967295 bytes"), "{message}");
    }
}
