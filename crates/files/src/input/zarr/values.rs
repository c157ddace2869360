//! Reads a small array whole, such as positions.

use bytemuck::cast_slice;

use super::chunks::Chunks;
use super::matrix::with_type;
use super::metadata::{ArrayHeader, damaged};
use super::stored::Stored;
use crate::hdf5_access::NumberKind;
use crate::input::error::InputError;

/// Numbers of an array that is read whole, at most: positions of 40 million neurons.
const LARGEST: usize = 1 << 27;

/// All numbers of an array, the last axis running fastest.
///
/// # Errors
/// If there are too many, or a chunk is damaged or cannot be read.
pub(super) fn read(header: &ArrayHeader) -> Result<Vec<f64>, InputError> {
    Stored::of(header)?;
    let (shape, kind, fill) = (header.shape.clone(), header.numbers.kind, header.fill);
    let numbers: usize = shape.iter().product();
    if numbers > LARGEST {
        return Err(damaged(&header.path, format!("{numbers} numbers")));
    }
    let mut chunks = Chunks::of(header.clone());
    let (order, unit) = (chunks.order().to_vec(), chunks.unit().to_vec());
    // How far apart neighbours along each axis of a unit are in the result.
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let strides: Vec<usize> = order.iter().map(|axis| strides[*axis]).collect();
    let extents: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
    let grid: Vec<usize> = extents
        .iter()
        .zip(&unit)
        .map(|(all, unit)| all.div_ceil(*unit))
        .collect();
    let mut values = vec![fill; numbers];
    for place in places(&grid) {
        let Some(numbers) = chunks.numbers(&place)? else {
            continue;
        };
        let first: Vec<usize> = place
            .iter()
            .zip(&unit)
            .map(|(place, unit)| place * unit)
            .collect();
        let axes = extents.iter().zip(&first).zip(&unit);
        let here: Vec<usize> = axes
            .map(|((all, first), unit)| (all - first).min(*unit))
            .collect();
        for within in places(&here) {
            let axes = within.iter().zip(&unit);
            let from = axes.fold(0, |from, (place, unit)| from * unit + place);
            let axes = within.iter().zip(&first).zip(&strides);
            let to: usize = axes
                .map(|((place, first), stride)| (place + first) * stride)
                .sum();
            values[to] = with_type!(kind, N => cast_slice::<u8, N>(numbers)[from] as f64);
        }
    }
    Ok(values)
}

/// All places of a grid, the last axis running fastest.
fn places(grid: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let grid = grid.to_vec();
    let mut next = (!grid.contains(&0)).then(|| vec![0; grid.len()]);
    std::iter::from_fn(move || {
        let place = next.clone()?;
        let mut following = place.clone();
        let axis = (0..grid.len())
            .rev()
            .find(|axis| place[*axis] + 1 < grid[*axis]);
        next = axis.map(|axis| {
            following[axis] += 1;
            following[axis + 1..].fill(0);
            following
        });
        Some(place)
    })
}
