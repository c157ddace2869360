//! Where the neurons of an array are: in another array, in a file beside it, or in ZapBench's table of its segmentation.

use std::fmt;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::listing::{Listed, Listing, is_node, short_name};
use super::stored::Stored;
use super::values;
use crate::input::error::InputError;
use crate::input::form::file_name;
use crate::input::identity::FileIdentity;
use crate::input::positions_beside::{self, checked, rank_of_name, triples};
use crate::regular;

/// Bytes of ZapBench's table, at most: that of 71,721 neurons takes some tens of MB.
const LARGEST_TABLE: u64 = 1 << 30;

/// Positions of the neurons of an array.
#[derive(Debug)]
pub(super) struct Found {
    pub xyz: Vec<[f64; 3]>,
    /// What they were found in, for messages.
    pub counted: String,
    /// The name and identity of what they were found in.
    pub file: (String, FileIdentity),
}

/// Whether an array holds positions by its name.
pub(super) fn is_named(name: &str) -> bool {
    rank_of_name(&short_name(name)).is_some()
}

/// ZapBench's table of the segmentation of a recording.
pub(super) fn zapbench(folder: &Path) -> PathBuf {
    folder.join("segmentation/dataframe.json")
}

/// Where positions lie.
enum Place<'a> {
    Array(&'a Listed),
    Beside(PathBuf),
    Table(PathBuf),
}

impl<'a> Place<'a> {
    /// The first place that there is, for traces with one of these extents.
    fn of(listing: &'a Listing, extents: &[usize]) -> Result<Option<Self>, InputError> {
        listing.check_unreadable(&is_named)?;
        let triples = listing
            .arrays
            .iter()
            .filter(|listed| neurons(listed).is_some());
        let (named, others): (Vec<&Listed>, Vec<&Listed>) =
            triples.partition(|listed| is_named(&listed.name));
        let fits = |listed: &&Listed| neurons(listed).is_some_and(|count| extents.contains(&count));
        if let Some(array) = named.iter().copied().find(fits).or(named.first().copied()) {
            return Ok(Some(Self::Array(array)));
        }
        let folder = &listing.folder;
        let outside = folder.parent().filter(|_| is_node(folder));
        for folder in [Some(&**folder), outside].into_iter().flatten() {
            if let Some(path) = positions_beside::find(folder) {
                return Ok(Some(Self::Beside(path)));
            }
            let table = zapbench(folder);
            if table.exists() {
                return Ok(Some(Self::Table(table)));
            }
        }
        let fitting: Vec<&Listed> = others.into_iter().filter(fits).collect();
        match fitting[..] {
            [array] => Ok(Some(Self::Array(array))),
            _ => Ok(None),
        }
    }

    fn read(&self, extents: &[usize]) -> Result<Vec<[f64; 3]>, InputError> {
        match self {
            Self::Array(listed) => read_array(listed),
            Self::Beside(path) => positions_beside::read(path),
            Self::Table(path) => read_table(path, extents),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Array(listed) => listed.name.clone(),
            Self::Beside(path) => file_name(path),
            Self::Table(_) => "segmentation/dataframe.json".to_owned(),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Array(listed) => &listed.header.path,
            Self::Beside(path) | Self::Table(path) => path,
        }
    }

    fn identity(&self) -> Result<FileIdentity, InputError> {
        if let Self::Array(listed) = self {
            return Stored::of(&listed.header).map(|stored| stored.identity);
        }
        let found = fs::metadata(self.path()).and_then(|metadata| FileIdentity::of(&metadata));
        found.map_err(|error| InputError::File {
            path: self.path().to_owned(),
            what: "positions of neurons",
            found: error.to_string(),
        })
    }
}

/// The number of neurons that have a position, if that does not depend on the traces.
///
/// # Errors
/// If the positions are damaged.
pub(super) fn count(listing: &Listing) -> Result<Option<usize>, InputError> {
    match Place::of(listing, &[])? {
        Some(Place::Array(listed)) => Ok(neurons(listed)),
        Some(Place::Beside(path)) => positions_beside::read(&path).map(|xyz| Some(xyz.len())),
        Some(Place::Table(_)) | None => Ok(None),
    }
}

/// Finds and reads the positions of the neurons of an array of this shape.
///
/// # Errors
/// If there are none, or they are damaged or infinite.
pub(super) fn find(listing: &Listing, extents: &[usize]) -> Result<Found, InputError> {
    let place = Place::of(listing, extents)?.ok_or_else(|| InputError::File {
        path: listing.folder.clone(),
        what: "positions of the neurons (an array (N, 3) called positions or centroids, positions.npy, or positions.csv with columns x, \
               y, z)",
        found: "none".to_owned(),
    })?;
    let xyz = checked(place.read(extents)?, place.path())?;
    Ok(Found {
        xyz,
        counted: place.name(),
        file: (place.name(), place.identity()?),
    })
}

/// The number of neurons of an array of positions, (N, 3) or (3, N).
fn neurons(listed: &Listed) -> Option<usize> {
    match listed.matrix_shape()? {
        [neurons, 3] | [3, neurons] => Some(neurons),
        _ => None,
    }
}

fn read_array(listed: &Listed) -> Result<Vec<[f64; 3]>, InputError> {
    let values = values::read(&listed.header)?;
    let shape = listed.matrix_shape().unwrap_or([0, 3]);
    Ok(triples(&values, shape))
}

/// The columns of ZapBench's table that are needed.
#[derive(Deserialize)]
struct Table {
    label: Column,
    centroid_x: Column,
    centroid_y: Column,
    centroid_z: Column,
}

/// A column: a list, or a map with a key for each row, as pandas writes it. Its rows are in the order of the file, NaN where there is
/// nothing.
struct Column(Vec<f64>);

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Column(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Column {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a column of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<Self, A::Error> {
        while let Some(value) = rows.next_element::<Option<f64>>()? {
            self.0.push(value.unwrap_or(f64::NAN));
        }
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut rows: A) -> Result<Self, A::Error> {
        while let Some((_, value)) = rows.next_entry::<IgnoredAny, Option<f64>>()? {
            self.0.push(value.unwrap_or(f64::NAN));
        }
        Ok(self)
    }
}

/// Reads ZapBench's table: the neuron of label `k` is column `k - 1` of the traces, one of whose extents is the number of neurons.
fn read_table(path: &Path, extents: &[usize]) -> Result<Vec<[f64; 3]>, InputError> {
    let wrong = |found: String| InputError::File {
        path: path.to_owned(),
        what: "a table with the columns label, centroid_x, centroid_y and centroid_z",
        found,
    };
    let file = regular::open(path).map_err(|error| wrong(error.to_string()))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size > LARGEST_TABLE {
        return Err(wrong(format!("{size} bytes")));
    }
    let table: Table =
        serde_json::from_reader(BufReader::new(file)).map_err(|error| wrong(error.to_string()))?;
    let Column(labels) = table.label;
    let columns =
        [table.centroid_x, table.centroid_y, table.centroid_z].map(|Column(values)| values);
    if let Some(column) = columns.iter().find(|column| column.len() != labels.len()) {
        return Err(wrong(format!(
            "{} centroids of {} labels",
            column.len(),
            labels.len()
        )));
    }
    let largest = labels.iter().copied().fold(0.0, f64::max);
    let fits = |extent: &&usize| **extent as f64 == largest;
    let Some(&neurons) = extents.iter().find(fits) else {
        return Err(wrong(format!(
            "labels up to {largest} for traces of shape {extents:?}"
        )));
    };
    let mut xyz = vec![[f64::NAN; 3]; neurons];
    let mut seen = vec![false; neurons];
    for (row, label) in labels.into_iter().enumerate() {
        let place = label - 1.0;
        let known = place >= 0.0 && place.fract() == 0.0 && place < neurons as f64;
        let place = known
            .then_some(place as usize)
            .filter(|place| !seen[*place]);
        let Some(place) = place else {
            return Err(wrong(format!(
                "label {label} in row {row}, where each is a whole number from 1 on, once"
            )));
        };
        seen[place] = true;
        xyz[place] = [columns[0][row], columns[1][row], columns[2][row]];
    }
    Ok(xyz)
}
