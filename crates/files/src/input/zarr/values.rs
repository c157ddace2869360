//! Reads a small array with two axes whole, such as positions.

use super::chunks::Chunks;
use super::metadata::{ArrayHeader, damaged};
use super::stored::Stored;
use crate::input::error::InputError;
use crate::input::storage::{ONE_CHUNK, rectangles};

/// Numbers of an array that is read whole, at most: positions of 40 million neurons.
const LARGEST: usize = 1 << 27;

/// All numbers of an array, row by row.
///
/// # Errors
/// If there are too many, or a chunk is damaged or cannot be read.
pub(super) fn read(header: &ArrayHeader) -> Result<Vec<f64>, InputError> {
    Stored::of(header)?;
    let wrong = |found: String| damaged(&header.path, found);
    let &[rows, columns] = &header.shape[..] else {
        return Err(wrong(format!("an array with {} axes", header.shape.len())));
    };
    if rows * columns > LARGEST {
        return Err(wrong(format!("{} numbers", rows * columns)));
    }
    let mut values = vec![header.fill; rows * columns];
    let numbers = header.numbers;
    let mut chunks = Chunks::of(header.clone());
    let &[high, wide] = chunks.unit() else {
        return Ok(values);
    };
    // A row of a unit is a column of the array where units are stored transposed.
    let is_transposed = *chunks.order() == [1, 0];
    let extents = if is_transposed {
        [columns, rows]
    } else {
        [rows, columns]
    };
    for [unit_rows, unit_columns] in
        rectangles(0..extents[0], 0..extents[1], Some([high, wide]), ONE_CHUNK)
    {
        let place = [unit_rows.start / high, unit_columns.start / wide];
        let Some(bytes) = chunks.numbers(&place)? else {
            continue;
        };
        for (row, bytes) in unit_rows.zip(bytes.chunks(wide * numbers.bytes)) {
            let stored = numbers.values(&bytes[..unit_columns.len() * numbers.bytes]);
            for (column, value) in unit_columns.clone().zip(stored) {
                let place = if is_transposed {
                    column * columns + row
                } else {
                    row * columns + column
                };
                values[place] = value;
            }
        }
    }
    Ok(values)
}
