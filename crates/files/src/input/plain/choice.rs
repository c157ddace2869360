//! Which array is the matrix with the fluorescence.

use super::array::Array;
use super::listing::{Listing, file_names, stem};
use crate::hdf5_access::name_list;
use crate::input::error::InputError;
use crate::input::positions_beside::rank_of_name;

/// The name that is taken where there are several.
const USUAL: &str = "dF_traces";

/// Chooses the matrix with the fluorescence: the array of the name that the user gives, else `dF_traces`, else the only matrix.
///
/// # Errors
/// If there is none, or several, or a file that may hold it cannot be read.
pub(super) fn traces(
    mut listing: Listing,
    dataset: Option<&str>,
) -> Result<(Array, Listing), InputError> {
    let name = dataset.unwrap_or(USUAL);
    let named = one_of(&listing, |array| is_called(array, name))?;
    // A damaged file may hold the array of that name, or the second matrix.
    let matters = |path: &std::path::PathBuf| named.is_none() || stem(path) == name;
    if let Some(place) = listing.failed.iter().position(|(path, _)| matters(path)) {
        return Err(listing.failed.swap_remove(place).1);
    }
    let chosen = match (named, dataset) {
        (Some(named), _) => Some(named),
        (None, Some(_)) => None,
        (None, None) => only(&listing)?,
    };
    match chosen {
        Some(array) => Ok((array, listing)),
        None => Err(none(&listing, name)),
    }
}

/// The only matrix beside positions.
fn only(listing: &Listing) -> Result<Option<Array>, InputError> {
    let may_be = |array: &Array| array.is_matrix() && !is_named_positions(array);
    let of_three = |array: &Array| array.axes().is_some_and(|axes| axes.contains(&3));
    let others = one_of(listing, |array| may_be(array) && !of_three(array))?;
    match others {
        Some(array) => Ok(Some(array)),
        // Of three neurons or frames.
        None => match one_of(listing, may_be)? {
            Some(array) => Ok(Some(array)),
            // Of one neuron or frame.
            None => one_of(listing, |array| {
                let axes = array.axes();
                axes.is_some_and(|[rows, columns]| rows * columns > 1) && !is_named_positions(array)
            }),
        },
    }
}

/// Whether an array holds positions by its name.
pub(super) fn is_named_positions(array: &Array) -> bool {
    rank_of_name(array.short_name()).is_some()
}

fn is_called(array: &Array, name: &str) -> bool {
    array.name == name || array.short_name() == name
}

/// The only array of a kind.
///
/// # Errors
/// If there are several.
fn one_of(listing: &Listing, is_one: impl Fn(&Array) -> bool) -> Result<Option<Array>, InputError> {
    let found: Vec<&Array> = listing
        .arrays
        .iter()
        .filter(|array| is_one(array))
        .collect();
    let files = file_names(found.iter().copied());
    match &found[..] {
        [] => Ok(None),
        [array] => Ok(Some((*array).clone())),
        [array, ..] if files.len() == 1 => Err(InputError::NoDataset {
            path: array.path.clone(),
            dataset: USUAL.to_owned(),
            found: name_list(found.iter().map(|array| array.listed()), ""),
        }),
        _ => Err(InputError::Candidates {
            path: listing.folder.clone(),
            form: "plain matrix",
            candidates: name_list(files.into_iter(), ""),
        }),
    }
}

fn none(listing: &Listing, name: &str) -> InputError {
    let files = file_names(&listing.arrays);
    let path = match &listing.arrays[..] {
        [array, ..] if files.len() == 1 => array.path.clone(),
        _ => listing.folder.clone(),
    };
    InputError::NoDataset {
        path,
        dataset: name.to_owned(),
        found: name_list(listing.arrays.iter().map(Array::listed), "no array"),
    }
}
