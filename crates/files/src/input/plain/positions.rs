//! Where the neurons of a matrix are.

use std::path::PathBuf;

use super::array::Array;
use super::choice::is_named_positions;
use super::listing::{Listing, stem};
use crate::hdf5_access::name_list;
use crate::input::error::InputError;
use crate::input::form::file_name;
use crate::input::positions_beside::{self, checked, positions_beside, rank_of_name, triples};

/// Positions of neurons.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) xyz: Vec<[f64; 3]>,
    /// The file that they were found in.
    pub(super) path: PathBuf,
    /// What they were found in, for messages.
    pub(super) name: String,
}

/// Finds and reads the positions of the neurons of a matrix: in a file beside it, in an array of a known name, in a table with columns x, y,
/// z, or in the only array (N, 3) that fits.
///
/// # Errors
/// If there are none, or they are damaged or infinite.
pub(super) fn find(
    listing: &Listing,
    traces: &Array,
    shape: [usize; 2],
) -> Result<Found, InputError> {
    if let Some((xyz, path)) = positions_beside(&listing.folder)? {
        let name = file_name(&path);
        return Ok(Found { xyz, path, name });
    }
    let is_other = |array: &&Array| (&array.path, &array.name) != (&traces.path, &traces.name);
    let triples: Vec<&Array> = listing
        .arrays
        .iter()
        .filter(is_other)
        .filter(|array| neurons(array).is_some())
        .collect();
    let mut named: Vec<&Array> = triples
        .iter()
        .copied()
        .filter(|array| is_named_positions(array) || rank_of_name(&stem(&array.path)).is_some())
        .collect();
    let fits = |array: &Array| neurons(array).is_some_and(|count| shape.contains(&count));
    named.sort_by_key(|array| {
        let rank = rank_of_name(array.short_name());
        (
            !fits(array),
            array.path != traces.path,
            rank.unwrap_or(usize::MAX),
        )
    });
    if let Some(array) = named.first() {
        return read(array);
    }
    if let [table] = &listing.tables[..] {
        return Ok(Found {
            xyz: positions_beside::read(table)?,
            path: table.clone(),
            name: file_name(table),
        });
    }
    let fitting: Vec<&Array> = triples.into_iter().filter(|array| fits(array)).collect();
    match fitting[..] {
        [array] => read(array),
        _ => Err(none(listing, &fitting)),
    }
}

/// The number of neurons of an array of positions, (N, 3) or (3, N).
fn neurons(array: &Array) -> Option<usize> {
    match array.axes()? {
        [neurons, 3] | [3, neurons] => Some(neurons),
        _ => None,
    }
}

fn read(array: &Array) -> Result<Found, InputError> {
    let shape = array.matrix_shape()?;
    let xyz = triples(&array.values()?, shape);
    Ok(Found {
        xyz: checked(xyz, &array.path)?,
        path: array.path.clone(),
        name: array.described(),
    })
}

fn none(listing: &Listing, fitting: &[&Array]) -> InputError {
    let tables = listing.tables.iter().map(|path| file_name(path));
    let several = fitting.iter().map(|array| array.described()).chain(tables);
    InputError::File {
        path: listing.folder.clone(),
        what: "positions of the neurons (positions.csv with columns x, y, z, positions.npy, or an array (N, 3) called positions or xyz)",
        found: name_list(several, "none"),
    }
}
