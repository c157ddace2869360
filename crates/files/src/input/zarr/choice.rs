//! Which array of a store holds the fluorescence, and which of its axes is time.

use super::listing::{Listed, Listing, short_name};
use super::positions;
use crate::hdf5_access::name_list;
use crate::input::error::InputError;
use crate::input::storage::Orientation;

/// Names of arrays of fluorescence; where there is one of the first list, those of the second are something else.
const NAMES: [&[&str]; 2] = [
    &[
        "traces",
        "f",
        "fluorescence",
        "raw_traces",
        "roi_traces",
        "calcium_traces",
        "cellresp",
    ],
    &["df_traces", "dff", "df_f", "dfof", "f_dff", "dff_traces"],
];
/// Names of an axis of frames, and of one of neurons, or how they begin.
const FRAMES: [&str; 5] = ["time", "frame", "sample", "volume", "t"];
const NEURONS: [&str; 9] = [
    "neuron",
    "cell",
    "roi",
    "unit",
    "component",
    "feature",
    "trace",
    "n",
    "f",
];

/// The array that was chosen.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub traces: &'a Listed,
    /// Its rows and columns.
    pub shape: [usize; 2],
    /// Which axis the names of axes say is time.
    frame_axis: Option<usize>,
}

impl<'a> Choice<'a> {
    /// Chooses the array that `dataset` names, or the one whose name or shape says that it is fluorescence.
    ///
    /// # Errors
    /// If there is none, or several.
    pub(super) fn of(listing: &'a Listing, dataset: Option<&str>) -> Result<Self, InputError> {
        let traces = match dataset {
            Some(name) => named(listing, name)?,
            None => unnamed(listing)?,
        };
        let found = match traces.matrix_shape() {
            Some(shape) if !shape.contains(&0) => {
                return Ok(Self {
                    frame_axis: frame_axis(traces),
                    shape,
                    traces,
                });
            }
            _ => traces.described(),
        };
        Err(InputError::Dataset {
            path: listing.folder.clone(),
            dataset: traces.name.clone(),
            expected: "an array of numbers with two axes, frames and neurons".to_owned(),
            found,
        })
    }

    /// Whether nothing tells which axis of so many neurons is time.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.frame_axis.is_none() && self.shape[0] == self.shape[1]
    }

    /// What the rows and columns of the array are as they are stored, where it has so many neurons.
    ///
    /// # Errors
    /// If it has not.
    pub(super) fn orientation(
        &self,
        neurons: usize,
        counted: &str,
    ) -> Result<Orientation, InputError> {
        let [rows, columns] = self.shape;
        let frame_axis = match self.frame_axis {
            Some(axis) if self.shape[1 - axis] == neurons => axis,
            None if columns == neurons => 0,
            None if rows == neurons => 1,
            _ => {
                return Err(InputError::Counts {
                    path: self.traces.header.path.clone(),
                    dataset: self.traces.name.clone(),
                    rows,
                    columns,
                    counted: counted.to_owned(),
                    cells: neurons,
                });
            }
        };
        match self.traces.header.stored_order().first() == Some(&frame_axis) {
            true => Ok(Orientation::FramesByNeurons),
            false => Ok(Orientation::NeuronsByFrames),
        }
    }
}

/// The array of a name: its path, or the last part of it.
fn named<'a>(listing: &'a Listing, name: &str) -> Result<&'a Listed, InputError> {
    let wanted = name.trim_matches('/');
    let is_whole = |found: &str| found == wanted;
    let is_end = |found: &str| {
        let end = found.rsplit('/').next().unwrap_or_default();
        end == wanted || end.strip_suffix(".zarr") == Some(wanted)
    };
    for fits in [&is_whole as &dyn Fn(&str) -> bool, &is_end] {
        let mut arrays = listing.arrays.iter();
        if let Some(found) = arrays.find(|listed| fits(&listed.name)) {
            return Ok(found);
        }
        listing.check_unreadable(fits)?;
    }
    Err(InputError::NoDataset {
        path: listing.folder.clone(),
        dataset: name.to_owned(),
        found: described(listing.arrays.iter()),
    })
}

/// The array that is fluorescence by its name or shape.
fn unnamed(listing: &Listing) -> Result<&Listed, InputError> {
    let matrices = listing.arrays.iter().filter(|listed| {
        let is_matrix = listed
            .matrix_shape()
            .is_some_and(|shape| !shape.contains(&0));
        is_matrix && !positions::is_named(&listed.name)
    });
    // An array of three columns is something else, unless there is nothing else.
    let (mut arrays, narrow): (Vec<&Listed>, Vec<&Listed>) =
        matrices.partition(|listed| !listed.header.shape.contains(&3));
    if arrays.is_empty() {
        arrays = narrow;
    }
    for names in NAMES {
        let is_traces = |name: &str| names.contains(&short_name(name).as_str());
        listing.check_unreadable(&is_traces)?;
        let named = arrays.iter().filter(|listed| is_traces(&listed.name));
        match named.copied().collect::<Vec<_>>()[..] {
            [] => {}
            [found] => return Ok(found),
            ref several => return Err(ambiguous(listing, several)),
        }
    }
    if arrays.len() > 1
        && let Some(neurons) = positions::count(listing)?
    {
        let fits = |listed: &&Listed| listed.header.shape.contains(&neurons);
        let fitting: Vec<&Listed> = arrays.iter().copied().filter(fits).collect();
        if !fitting.is_empty() {
            arrays = fitting;
        }
    }
    match arrays[..] {
        [found] => Ok(found),
        [] => {
            listing.check_unreadable(&|_| true)?;
            Err(ambiguous(
                listing,
                &listing.arrays.iter().collect::<Vec<_>>(),
            ))
        }
        ref several => Err(ambiguous(listing, several)),
    }
}

/// The error that none of these arrays is the only one that can be fluorescence.
fn ambiguous(listing: &Listing, arrays: &[&Listed]) -> InputError {
    InputError::NoDataset {
        path: listing.folder.clone(),
        dataset: "traces or F (frames, neurons)".to_owned(),
        found: described(arrays.iter().copied()),
    }
}

fn described<'a>(arrays: impl Iterator<Item = &'a Listed>) -> String {
    name_list(arrays.map(Listed::described), "no array")
}

/// The axis that is time by the names of the axes, if these say one thing.
fn frame_axis(traces: &Listed) -> Option<usize> {
    let names = traces.header.names.iter().enumerate();
    let named = names.filter_map(|(axis, name)| Some((axis, name.as_deref()?.to_lowercase())));
    let begins = |name: &str, words: &[&str]| {
        words.iter().any(|word| match word.len() {
            1 => name == *word,
            _ => name.starts_with(word),
        })
    };
    let axes = named.filter_map(|(axis, name)| {
        let is_frames = begins(&name, &FRAMES);
        let is_neurons = begins(&name, &NEURONS);
        (is_frames || is_neurons).then_some(if is_frames { axis } else { 1 - axis.min(1) })
    });
    let axes: Vec<usize> = axes.collect();
    match axes[..] {
        [axis] => Some(axis),
        [first, second] if first == second => Some(first),
        _ => None,
    }
}
