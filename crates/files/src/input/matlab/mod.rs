//! MATLAB files: the struct `data` of `data_full.mat` (rule 2.3), from MAT-file 5 or from MAT-file 7.3 (HDF5).
//!
//! The two formats are read into the same [`Array`]; what the arrays must look like is said once, here.

mod element;
mod listing;
pub mod mat5;
mod mat73;

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::hdf5_access::{name_list, shape_text};
use crate::regular;
use crate::signature::{has_hdf5_signature, instead};
pub(super) use listing::{Variable, is_mat5, variables};

/// A MATLAB array, in MATLAB's dimensions and column-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// A full, real array of one of the ten numeric classes.
    Numeric(Numeric),
    /// A cell array.
    Cell {
        /// Dimensions.
        dims: Vec<usize>,
        /// One array per cell.
        elements: Vec<Array>,
    },
    /// A struct array.
    Struct {
        /// Dimensions.
        dims: Vec<usize>,
        /// Field names, each with one array per struct.
        fields: Vec<(String, Vec<Array>)>,
    },
    /// An array of another kind (`char`, `logical`, `complex`, `sparse`, an object, …), or one that was not asked for.
    Other {
        /// MATLAB's name for the kind.
        kind: &'static str,
        /// Dimensions, empty where unknown.
        dims: Vec<usize>,
    },
    /// An array that cannot be read.
    Unreadable {
        /// Why it cannot be read.
        reason: String,
    },
}

/// Numbers and their dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Numeric {
    /// Dimensions, two or more.
    pub dims: Vec<usize>,
    /// Values in column-major order.
    pub values: Vec<f64>,
}

impl Array {
    /// A few words for messages: "a (5, 3) numeric array".
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Array::Numeric(numeric) => format!("a {} numeric array", shape_text(&numeric.dims)),
            Array::Cell { dims, .. } => format!("a {} cell array", shape_text(dims)),
            Array::Struct { dims, .. } => format!("a {} struct array", shape_text(dims)),
            Array::Other { kind, dims } if dims.is_empty() => format!("a {kind}"),
            Array::Other { kind, dims } => format!("a {} {kind} array", shape_text(dims)),
            Array::Unreadable { reason } => format!("one that cannot be read ({reason})"),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Array::Numeric(numeric) => numeric.values.is_empty(),
            Array::Cell { dims, .. } | Array::Struct { dims, .. } | Array::Other { dims, .. } => {
                dims.contains(&0)
            }
            Array::Unreadable { .. } => false,
        }
    }

    /// The content of a 1×1 cell, or the array itself.
    fn unwrap_cell(self) -> Array {
        match self {
            Array::Cell { dims, elements } => match <[Array; 1]>::try_from(elements) {
                Ok([content]) => content.unwrap_cell(),
                Err(elements) => Array::Cell { dims, elements },
            },
            other => other,
        }
    }
}

/// Why a MATLAB file cannot be used. The file itself is named by the caller.
#[derive(Debug, thiserror::Error)]
pub enum MatError {
    /// The system cannot read the file.
    #[error("expected a MATLAB file with the struct data, found {0}")]
    Io(String),
    /// The file is none of MATLAB's.
    #[error("expected a MATLAB file (MAT-file 5 or 7.3), found {found}")]
    NotMat {
        /// What the file is by its first bytes, and what to do about it.
        found: String,
    },
    /// The file breaks off.
    #[error(
        "expected a complete MAT-file, found one that breaks off: the element at byte {at} should be {expected} bytes long, \
         {left} are left; copy or save the file again"
    )]
    Truncated {
        /// Where the element's data begins.
        at: u64,
        /// Its size as written.
        expected: u64,
        /// The bytes there are.
        left: u64,
    },
    /// The file's content contradicts the format.
    #[error("expected an intact MAT-file, found {0}; copy or save the file again")]
    Damaged(String),
    /// The HDF5 library cannot read the file: its reason, and what may help.
    #[error("expected an intact MAT-file 7.3, found one that cannot be read ({0})")]
    Unreadable(String),
    /// The file has no variable of the name.
    #[error("expected a variable {name}, found {found}")]
    NoVariable {
        /// The variable's name.
        name: &'static str,
        /// The variables there are.
        found: String,
    },
    /// The variable is not a 1×1 struct.
    #[error("variable {name}: expected a 1×1 struct, found {found}")]
    NotOneStruct {
        /// The variable's name.
        name: &'static str,
        /// What it is.
        found: String,
    },
    /// A field is missing.
    #[error("struct data: expected a field {field}, found {found}")]
    NoField {
        /// The field's name.
        field: &'static str,
        /// The fields there are.
        found: String,
    },
    /// A field has an unusable class or shape.
    #[error("field {field} of data: expected {expected}, found {found}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

/// What `data_full.mat` says about the cells of a subject (rule 2.3).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Anatomy {
    /// Positions of all segmented cells, one row of `CellXYZ` each, unchecked.
    pub(crate) cell_xyz: Vec<[f64; 3]>,
    /// Row numbers (1-based, unchecked) of the cells without a trace, if the field is there; what it is instead where it holds no
    /// numbers, which matters only where these numbers are needed (rule 2.4).
    pub(crate) invalid: Option<Result<Vec<f64>, String>>,
    /// Sampling rate in Hz, if the field is there and a rate (rule 2.7).
    pub(crate) rate: Option<f64>,
}

impl Anatomy {
    /// The row numbers of the cells without a trace, if the field is there.
    ///
    /// # Errors
    /// If the field holds no numbers.
    pub(crate) fn invalid_rows(&self) -> Result<Option<&[f64]>, MatError> {
        match &self.invalid {
            None => Ok(None),
            Some(Ok(rows)) => Ok(Some(rows)),
            Some(Err(found)) => Err(MatError::Field {
                field: INVALID,
                expected: "row numbers of CellXYZ, 1-based, as real numbers",
                found: found.clone(),
            }),
        }
    }
}

const CELL_XYZ: &str = "CellXYZ";
const INVALID: &str = "IX_inval_anat";
const RATE: &str = "fpsec";
/// The fields that are read.
const FIELDS: [&str; 3] = [CELL_XYZ, INVALID, RATE];

/// Bytes read from the disk at a time.
const BUFFER: usize = 256 << 10;

/// Reads `CellXYZ`, `IX_inval_anat` and `fpsec` of the struct `data`, passing over everything else (rules 2.3, 2.7).
///
/// # Errors
/// If the file cannot be read, is no MAT-file 5 or 7.3, or if the struct or its fields are not as rule 2.3 says.
pub(crate) fn read_anatomy(path: &Path) -> Result<Anatomy, MatError> {
    let file = regular::open(path).map_err(|e| MatError::Io(e.to_string()))?;
    let mut file = BufReader::with_capacity(BUFFER, file);
    let data = match detect(&mut file)? {
        Format::Mat5 => mat5::read_variable(&mut file, "data", &|field| FIELDS.contains(&field))?,
        Format::Mat73 => mat73::read_struct(path, "data", &FIELDS)?,
    };
    anatomy(data)
}

/// What makes a file that can be read.
const SAVE_AGAIN: &str = "save it again in MATLAB with save('data_full.mat', 'data', '-v7')";

enum Format {
    Mat5,
    Mat73,
}

/// Which format the file's bytes have, whatever its name.
fn detect<R: Read + Seek>(file: &mut R) -> Result<Format, MatError> {
    let io = |e: std::io::Error| MatError::Io(e.to_string());
    let mut start = Vec::new();
    file.by_ref()
        .take(1024)
        .read_to_end(&mut start)
        .map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    // MATLAB puts a user block of 512 bytes before the HDF5 part; h5py leaves it out.
    if has_hdf5_signature(file).map_err(io)? {
        return Ok(Format::Mat73);
    }
    let repaired = |found: &str| format!("{found}; {SAVE_AGAIN}");
    let found = match start.get(124..128) {
        Some([0, 1, b'I', b'M'] | [1, 0, b'M', b'I']) => return Ok(Format::Mat5),
        Some([0, 2, b'I', b'M'] | [2, 0, b'M', b'I']) => {
            repaired("a MAT-file 7.3 that breaks off or is damaged")
        }
        _ if is_mat4(&start) => repaired("a MAT-file 4"),
        _ => instead(file).map_err(io)?.repaired_by(SAVE_AGAIN),
    };
    Err(MatError::NotMat { found })
}

/// Whether the bytes begin with a plausible header of a MAT-file 4: type, rows, columns, complex flag, name length.
fn is_mat4(start: &[u8]) -> bool {
    let words: Vec<[u8; 4]> = start
        .chunks_exact(4)
        .take(5)
        .filter_map(|w| w.try_into().ok())
        .collect();
    let plausible =
        |decode: fn([u8; 4]) -> u32| match words.iter().map(|&w| decode(w)).collect::<Vec<_>>()[..]
        {
            [kind, rows, columns, complex, name] => {
                kind < 5000
                    && rows <= 1 << 30
                    && columns <= 1 << 30
                    && complex <= 1
                    && (1..=64).contains(&name)
            }
            _ => false,
        };
    plausible(u32::from_le_bytes) || plausible(u32::from_be_bytes)
}

/// Checks the variable `data` against rule 2.3.
fn anatomy(data: Array) -> Result<Anatomy, MatError> {
    let mut fields = match data {
        Array::Struct { dims, fields } if dims.iter().all(|&d| d == 1) => fields,
        other => {
            return Err(MatError::NotOneStruct {
                name: "data",
                found: other.describe(),
            });
        }
    };
    let mut take = |name: &str| {
        let place = fields.iter().position(|(field, _)| field == name)?;
        fields.get_mut(place).and_then(|(_, arrays)| arrays.pop())
    };
    let (cell_xyz, invalid, fpsec) = (take(CELL_XYZ), take(INVALID), take(RATE));
    let Some(cell_xyz) = cell_xyz else {
        let names = fields.into_iter().map(|(name, _)| name);
        return Err(MatError::NoField {
            field: CELL_XYZ,
            found: name_list(names, "no field at all"),
        });
    };
    Ok(Anatomy {
        cell_xyz: positions(cell_xyz.unwrap_cell())?,
        invalid: invalid.map(row_numbers),
        rate: fpsec.and_then(rate),
    })
}

/// The rows of an (N_full, 3) array.
fn positions(array: Array) -> Result<Vec<[f64; 3]>, MatError> {
    let expected = "an (N, 3) array of real numbers, one row x, y, z for each segmented cell";
    let wrong = |found: String| {
        Err(MatError::Field {
            field: CELL_XYZ,
            expected,
            found,
        })
    };
    let numeric = match array {
        Array::Numeric(numeric) => numeric,
        Array::Unreadable { reason } => return Err(MatError::Unreadable(reason)),
        other => return wrong(other.describe()),
    };
    match numeric.dims[..] {
        [rows, 3] if rows > 0 && Some(numeric.values.len()) == rows.checked_mul(3) => {
            let (x, yz) = numeric.values.split_at(rows);
            let (y, z) = yz.split_at(rows);
            Ok(x.iter()
                .zip(y)
                .zip(z)
                .map(|((&x, &y), &z)| [x, y, z])
                .collect())
        }
        [3, _] => wrong(format!(
            "its transpose, {}; store CellXYZ'",
            Array::Numeric(numeric).describe()
        )),
        _ => wrong(Array::Numeric(numeric).describe()),
    }
}

/// The entries of an index of any shape; an empty array of any class is an empty index.
///
/// # Errors
/// What it is instead.
fn row_numbers(array: Array) -> Result<Vec<f64>, String> {
    match array.unwrap_cell() {
        Array::Numeric(numeric) => Ok(numeric.values),
        other if other.is_empty() => Ok(Vec::new()),
        other => Err(other.describe()),
    }
}

/// The one number of an array, if it is a rate: positive and finite (rule 2.7).
fn rate(array: Array) -> Option<f64> {
    match array.unwrap_cell() {
        Array::Numeric(numeric) => match numeric.values[..] {
            [rate] if rate.is_finite() && rate > 0.0 => Some(rate),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
