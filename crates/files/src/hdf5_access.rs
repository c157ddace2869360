//! Opening HDF5 files and reading small numeric datasets.

use std::path::Path;

use hdf5::types::{FloatSize, IntSize, TypeDescriptor};
use hdf5::{Container, Dataset, Error, File, FileBuilder, Group};
use serde::{Deserialize, Serialize};

pub(crate) use crate::hdf5_reason::{advice, reason, reason_and_locks};
use crate::lzf::filter as lzf;
use crate::regular;

/// The type that holds the numbers of a dataset exactly (those of extended precision rounded).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberKind {
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

/// Size of the largest number. Damaged types may say more, which the library believes.
const MAX_NUMBER_BYTES: usize = 16;

/// Opens a file read-only, without MPI.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    lzf::register();
    regular::open_hdf5(path)
}

/// Opens a file whose dataset has rows of `row_bytes`, with room for `cached` bytes of chunks.
///
/// Where rows are long, the sieve buffer is off: it would fetch 64 KiB for each short piece of a row.
pub(crate) fn open_tuned(path: &Path, row_bytes: usize, cached: usize) -> Result<File, Error> {
    const SIEVE_ROWS: usize = 32 << 10;
    lzf::register();
    File::with_options()
        .with_fapl(|fapl| {
            let fapl = fapl.chunk_cache(521, cached, 0.75);
            if row_bytes > SIEVE_ROWS {
                fapl.sieve_buf_size(1)
            } else {
                fapl
            }
        })
        .open(path)
}

/// Makes or opens a file into which values are written at once, so that whoever writes them gets the error. Otherwise HDF5 would keep
/// small datasets until they are dropped, and not tell of a write that fails then.
pub(crate) fn writing() -> FileBuilder {
    let mut options = File::with_options();
    options.with_fapl(|fapl| fapl.sieve_buf_size(0));
    options
}

/// The type for the numbers of `object`, or what it holds instead.
pub(crate) fn number_kind(object: &Container) -> Result<NumberKind, String> {
    let dtype = object.dtype().map_err(|e| reason(&e))?;
    if dtype.size() > MAX_NUMBER_BYTES {
        return Err(format!("a type of {} bytes", dtype.size()));
    }
    Ok(match dtype.to_descriptor() {
        Ok(TypeDescriptor::Float(FloatSize::U4)) => NumberKind::F32,
        Ok(TypeDescriptor::Float(_)) => NumberKind::F64,
        Ok(TypeDescriptor::Integer(IntSize::U1)) => NumberKind::I8,
        Ok(TypeDescriptor::Integer(IntSize::U2)) => NumberKind::I16,
        Ok(TypeDescriptor::Integer(IntSize::U4)) => NumberKind::I32,
        Ok(TypeDescriptor::Integer(IntSize::U8)) => NumberKind::I64,
        Ok(TypeDescriptor::Unsigned(IntSize::U1)) => NumberKind::U8,
        Ok(TypeDescriptor::Unsigned(IntSize::U2)) => NumberKind::U16,
        Ok(TypeDescriptor::Unsigned(IntSize::U4)) => NumberKind::U32,
        Ok(TypeDescriptor::Unsigned(IntSize::U8)) => NumberKind::U64,
        Ok(other) => return Err(describe(&other).to_owned()),
        // Numbers of other sizes (half, extended and 24-bit ones) have no descriptor, but the library converts them.
        Err(_) if dtype.conv_to::<f64>().is_some() => NumberKind::F64,
        Err(error) => return Err(format!("another type ({})", reason(&error))),
    })
}

fn describe(descriptor: &TypeDescriptor) -> &'static str {
    match descriptor {
        TypeDescriptor::Boolean => "logical values",
        TypeDescriptor::Enum(_) => "an enumeration",
        TypeDescriptor::Compound(_) => "a compound type (complex numbers or records)",
        TypeDescriptor::FixedArray(..) | TypeDescriptor::VarLenArray(_) => "arrays",
        TypeDescriptor::Reference(_) => "references",
        TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_) => {
            "numbers"
        }
        _ => "text",
    }
}

/// The number of elements, at most what fits a usize: a damaged file may say any extents.
pub(crate) fn elements(object: &Container) -> usize {
    let shape = object.shape().into_iter();
    shape.fold(1, usize::saturating_mul)
}

/// All numbers of a dataset, in the order of the file.
pub(crate) fn read_f64(dataset: &Dataset) -> Result<Vec<f64>, Error> {
    if elements(dataset) == 0 {
        Ok(Vec::new())
    } else {
        dataset.read_raw::<f64>()
    }
}

/// Names of the datasets and groups directly in `group`, for messages.
pub(crate) fn member_list(group: &Group) -> String {
    name_list(
        group.member_names().unwrap_or_default().into_iter(),
        "nothing",
    )
}

/// The first few names, for messages.
pub(crate) fn name_list(names: impl Iterator<Item = String>, none: &str) -> String {
    const SHOWN: usize = 12;
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return none.to_owned();
    }
    let more = names.len().saturating_sub(SHOWN);
    let shown = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if more > 0 {
        format!("{shown} and {more} more")
    } else {
        shown
    }
}

/// A shape as Python and this project's documentation write it: `(5, 3)`, `(5,)`.
pub fn shape_text(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!(
            "({})",
            shape
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn values_are_in_the_file_before_their_dataset_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file.h5");
        let file = writing().create(&path).expect("a file");
        for values in [&[7_u8][..], &[1, 2, 3], &[9; 5000]] {
            let name = values.len().to_string();
            let builder = file.new_dataset_builder().with_data(values);
            let dataset = builder.create(&name[..]).expect("a dataset");
            let offset = dataset.offset().expect("a place");
            let mut found = vec![0; values.len()];
            let plain = std::fs::File::open(&path).expect("the file");
            plain.read_exact_at(&mut found, offset).expect("bytes");
            assert_eq!(found, values);
        }
    }
}
