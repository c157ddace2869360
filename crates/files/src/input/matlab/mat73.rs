//! MAT-file 7.3, which is HDF5: a struct is a group, its fields are datasets.
//!
//! HDF5 shapes are the reverse of MATLAB's dimensions and both store the same byte order of values, so that a (N, 3)
//! array is a dataset of shape (3, N). A cell array is a dataset of object references; an empty array is stored as its
//! dimensions, with the attribute `MATLAB_empty`. The attribute `MATLAB_class` names the class.

use std::path::Path;

use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, Group, LocationType, ObjectReference1, ReferencedObject};

use super::{Array, MatError, Numeric};
use crate::hdf5_access::{advice, elements, member_list, number_kind, open, read_f64, reason};

/// Deepest nesting of cells that is followed.
const MAX_DEPTH: usize = 8;
/// Most numbers that are held, as for MAT-file 5.
const MAX_VALUES: usize = 40_000_000;

/// Reads the `wanted` fields of the 1×1 struct `name`; the others stay [`Array::Other`].
///
/// # Errors
/// If the file is damaged, or has no such variable.
pub(super) fn read_struct(
    path: &Path,
    name: &'static str,
    wanted: &[&str],
) -> Result<Array, MatError> {
    let file = open(path).map_err(unreadable)?;
    if !file.link_exists(name) {
        return Err(MatError::NoVariable {
            name,
            found: member_list(&file),
        });
    }
    if file.loc_type_by_name(name).map_err(unreadable)? != LocationType::Group {
        let dataset = file.dataset(name).map_err(unreadable)?;
        return Ok(Array::Other {
            kind: kind_of(&dataset, "array"),
            dims: matlab_dims(&dataset),
        });
    }
    let group = file.group(name).map_err(unreadable)?;
    let mut fields = Vec::new();
    for field in group.member_names().map_err(unreadable)? {
        let value = match wanted.contains(&field.as_str()) {
            true => match read_field(&group, &field) {
                // It is not known here whether the field is needed.
                Err(MatError::Damaged(reason) | MatError::Unreadable(reason)) => {
                    Array::Unreadable { reason }
                }
                read => read?,
            },
            false => not_read(),
        };
        fields.push((field, vec![value]));
    }
    Ok(Array::Struct {
        dims: vec![1, 1],
        fields,
    })
}

fn not_read() -> Array {
    Array::Other {
        kind: "array that was not read",
        dims: Vec::new(),
    }
}

fn read_field(group: &Group, field: &str) -> Result<Array, MatError> {
    if group.loc_type_by_name(field).map_err(unreadable)? != LocationType::Dataset {
        return Ok(Array::Other {
            kind: "struct or sparse",
            dims: Vec::new(),
        });
    }
    let dataset = group.dataset(field).map_err(unreadable)?;
    // A field of a struct array is a dataset of references that has no class of its own.
    if is_reference(&dataset) && class_of(&dataset).is_none() && elements(&dataset) != 1 {
        return Err(MatError::NotOneStruct {
            name: "data",
            found: format!("a struct array of {} elements", elements(&dataset)),
        });
    }
    read_array(&dataset, 0)
}

fn read_array(dataset: &Dataset, depth: usize) -> Result<Array, MatError> {
    let empty = dataset
        .attr("MATLAB_empty")
        .and_then(|a| a.read_scalar::<u8>())
        .is_ok_and(|flag| flag != 0);
    if empty {
        let dims = if elements(dataset) <= 64 {
            read_f64(dataset).map_err(unreadable)?
        } else {
            Vec::new()
        };
        let dims: Vec<usize> = dims.into_iter().map(|dim| dim as usize).collect();
        return Ok(match class_of(dataset).as_deref() {
            Some("cell") => Array::Cell {
                dims,
                elements: Vec::new(),
            },
            Some("char" | "logical") => Array::Other {
                kind: kind_of(dataset, "array"),
                dims,
            },
            _ => Array::Numeric(Numeric {
                dims,
                values: Vec::new(),
            }),
        });
    }
    let dims = matlab_dims(dataset);
    if is_reference(dataset) {
        return cells(dataset, dims, depth);
    }
    if let Some("char" | "logical" | "function_handle") = class_of(dataset).as_deref() {
        return Ok(Array::Other {
            kind: kind_of(dataset, "array"),
            dims,
        });
    }
    if let Err(_kind) = number_kind(dataset) {
        return Ok(Array::Other {
            kind: kind_of(dataset, "not numeric"),
            dims,
        });
    }
    if elements(dataset) > MAX_VALUES {
        return Err(MatError::Damaged(format!(
            "an array with {} elements, where at most {MAX_VALUES} are read",
            elements(dataset)
        )));
    }
    Ok(Array::Numeric(Numeric {
        dims,
        values: read_f64(dataset).map_err(unreadable)?,
    }))
}

/// A cell array; only a 1×1 one is followed, no other is of use here.
fn cells(dataset: &Dataset, dims: Vec<usize>, depth: usize) -> Result<Array, MatError> {
    if depth > MAX_DEPTH {
        return Err(MatError::Damaged("cells nested too deeply".to_owned()));
    }
    if elements(dataset) != 1 {
        return Ok(Array::Other { kind: "cell", dims });
    }
    let references = dataset.read_raw::<ObjectReference1>().map_err(unreadable)?;
    let Some(reference) = references.first() else {
        return Ok(Array::Cell {
            dims,
            elements: Vec::new(),
        });
    };
    let content = match dataset.dereference(reference).map_err(unreadable)? {
        ReferencedObject::Dataset(content) => read_array(&content, depth + 1)?,
        ReferencedObject::Group(_) | ReferencedObject::Datatype(_) => Array::Other {
            kind: "struct or sparse",
            dims: Vec::new(),
        },
    };
    Ok(Array::Cell {
        dims,
        elements: vec![content],
    })
}

fn is_reference(dataset: &Dataset) -> bool {
    matches!(
        dataset.dtype().and_then(|d| d.to_descriptor()),
        Ok(TypeDescriptor::Reference(_))
    )
}

/// MATLAB's dimensions: the shape reversed, two or more.
fn matlab_dims(dataset: &Dataset) -> Vec<usize> {
    let mut dims: Vec<usize> = dataset.shape().into_iter().rev().collect();
    while dims.len() < 2 {
        dims.push(1);
    }
    dims
}

/// The attribute `MATLAB_class`, in whatever kind of string it is stored.
fn class_of(dataset: &Dataset) -> Option<String> {
    let attribute = dataset.attr("MATLAB_class").ok()?;
    let text = match attribute.dtype().and_then(|d| d.to_descriptor()).ok()? {
        TypeDescriptor::FixedAscii(_) => {
            attribute.read_scalar::<FixedAscii<32>>().ok()?.to_string()
        }
        TypeDescriptor::FixedUnicode(_) => attribute
            .read_scalar::<FixedUnicode<32>>()
            .ok()?
            .to_string(),
        TypeDescriptor::VarLenAscii => attribute.read_scalar::<VarLenAscii>().ok()?.to_string(),
        TypeDescriptor::VarLenUnicode => attribute.read_scalar::<VarLenUnicode>().ok()?.to_string(),
        _ => return None,
    };
    Some(text)
}

/// The kind of an array for messages; `otherwise` where the class says nothing.
fn kind_of(dataset: &Dataset, otherwise: &'static str) -> &'static str {
    match class_of(dataset).as_deref() {
        Some("char") => "char",
        Some("logical") => "logical",
        Some("function_handle") => "function handle",
        Some("cell") => "cell",
        Some("double" | "single") if otherwise == "not numeric" => "complex",
        _ => otherwise,
    }
}

fn unreadable(error: hdf5::Error) -> MatError {
    let reason = reason(&error);
    let advice = advice(&reason);
    MatError::Unreadable(format!("{reason}{advice}"))
}
