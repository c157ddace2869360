//! An array of a file, whatever kind of file it is.

use std::path::PathBuf;

use spikegrid_core::findings::Finding;

use crate::hdf5_access::{self, shape_text};
use crate::input::error::InputError;
use crate::input::flat_matrix::{self, FlatPlace};
use crate::input::form::file_name;
use crate::input::hdf5_matrix::Header;
use crate::input::hdf5_values;
use crate::input::panel::Panel;
use crate::input::place::Place;
use crate::input::storage::Orientation;
use crate::input::stream_matrix::{self, StreamPlace};
use crate::input::text_matrix::Table;

/// An array.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) path: PathBuf,
    /// Its name in the file, or the file's without extension.
    pub(super) name: String,
    /// Its extents as its owner sees them; none for a table of text whose lines were not counted.
    pub(super) shape: Vec<usize>,
    /// Whether its numbers lie column by column.
    pub(super) is_reversed: bool,
    pub(super) lies: Lies,
}

/// Where the numbers of an array lie.
#[derive(Clone, Debug)]
pub(super) enum Lies {
    Flat(FlatPlace),
    Stream(StreamPlace),
    Hdf5,
    /// In a dataset of an HDF5 file that cannot be opened.
    Unreadable,
    Text(Option<Table>),
    /// Few numbers, which were read.
    Held(Vec<f64>),
    /// It has no numbers, or cannot be read: what it is instead.
    Otherwise(String),
}

/// Numbers of positions that are read, at most.
const MOST_NUMBERS: usize = 3 << 22;

impl Array {
    /// The last part of its name.
    pub(super) fn short_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// For messages: its name and shape.
    pub(super) fn listed(&self) -> String {
        match &self.lies {
            Lies::Text(_) => self.name.clone(),
            Lies::Otherwise(what) => format!("{} ({what})", self.name),
            Lies::Unreadable => format!("{} (damaged)", self.name),
            _ => format!("{} {}", self.name, shape_text(&self.shape)),
        }
    }

    /// For messages: the file, and its name in there where it has one of its own.
    pub(super) fn described(&self) -> String {
        let file = file_name(&self.path);
        match self
            .path
            .file_stem()
            .is_some_and(|stem| *stem == *self.name)
        {
            true => file,
            false => format!("{} in {file}", self.name),
        }
    }

    /// Rows and columns, if it has numbers with two axes.
    pub(super) fn axes(&self) -> Option<[usize; 2]> {
        match self.lies {
            Lies::Otherwise(_) | Lies::Unreadable => None,
            _ => self.shape[..].try_into().ok(),
        }
    }

    /// Whether it may be a matrix of fluorescence: it has more than one row and column, or is text.
    pub(super) fn is_matrix(&self) -> bool {
        match self.lies {
            Lies::Text(_) => true,
            Lies::Held(_) => false,
            _ => self
                .axes()
                .is_some_and(|axes| axes.iter().all(|extent| *extent > 1)),
        }
    }

    /// With its lines counted, if it is a table of text.
    ///
    /// # Errors
    /// As [`Table::scan`].
    pub(super) fn counted(mut self) -> Result<Self, InputError> {
        if let Lies::Text(table) = &mut self.lies {
            let scanned = table.insert(Table::scan(&self.path)?);
            self.shape = scanned.of_neurons(None).shape.to_vec();
        }
        Ok(self)
    }

    /// Its shape where it has this number of neurons: of a table of text, what may be samples or numbers of rows depends on it.
    pub(super) fn shape_with(&self, neurons: usize) -> Result<[usize; 2], InputError> {
        match &self.lies {
            Lies::Text(Some(table)) => Ok(table.of_neurons(Some(neurons)).shape),
            _ => self.matrix_shape(),
        }
    }

    /// Rows and columns.
    ///
    /// # Errors
    /// If it is no matrix of numbers.
    pub(super) fn matrix_shape(&self) -> Result<[usize; 2], InputError> {
        let found = match &self.lies {
            Lies::Otherwise(what) => what.clone(),
            // Says what is wrong with it.
            Lies::Unreadable => return Header::read(&self.path, &self.name).map(|(h, _)| h.shape),
            _ => format!("an array {}", shape_text(&self.shape)),
        };
        let axes = self.axes().filter(|axes| !axes.contains(&0));
        axes.ok_or_else(|| self.wrong(found))
    }

    /// The panel of all its neurons, of this number, if its rows are frames or neurons as `orientation` says; with what was never stored of
    /// it.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn panel(
        &self,
        orientation: Orientation,
        neurons: usize,
    ) -> Result<(Panel, Option<Finding>), InputError> {
        let stored = match (orientation, self.is_reversed) {
            (_, false) => orientation,
            (Orientation::FramesByNeurons, true) => Orientation::NeuronsByFrames,
            (Orientation::NeuronsByFrames, true) => Orientation::FramesByNeurons,
        };
        Ok(match &self.lies {
            Lies::Flat(place) => {
                flat_matrix::Matrix::open(place, stored)?;
                let storage = place.storage(stored);
                (Panel::new(Place::Flat(place.clone()), storage), None)
            }
            Lies::Stream(place) => {
                stream_matrix::Matrix::open(place, stored)?;
                let storage = place.storage(stored);
                (Panel::new(Place::Stream(place.clone()), storage), None)
            }
            Lies::Hdf5 | Lies::Unreadable => {
                let (header, file) = Header::read(&self.path, &self.name)?;
                return Panel::hdf5(&self.path, (&header, &file), &self.name, stored);
            }
            Lies::Text(Some(table)) => {
                let place = table.of_neurons(Some(neurons));
                let storage = place.storage(stored);
                (Panel::new(Place::Text(place), storage), None)
            }
            Lies::Text(None) | Lies::Held(_) | Lies::Otherwise(_) => {
                let found = "numbers that do not lie in the file as they are";
                return Err(self.wrong(found.to_owned()));
            }
        })
    }

    fn wrong(&self, found: String) -> InputError {
        InputError::Dataset {
            path: self.path.clone(),
            dataset: self.name.clone(),
            expected: "a matrix of numbers, (neurons, frames) or (frames, neurons)".to_owned(),
            found,
        }
    }

    /// All numbers, row by row as its owner sees them.
    ///
    /// # Errors
    /// If there are more than those of positions, or the file cannot be read.
    pub(super) fn values(&self) -> Result<Vec<f64>, InputError> {
        let values = match &self.lies {
            Lies::Flat(place) => flat_matrix::read_values(place, MOST_NUMBERS)?,
            Lies::Stream(place) => stream_matrix::read_values(place, MOST_NUMBERS)?,
            Lies::Hdf5 => {
                let file = hdf5_access::open(&self.path);
                let file = file.map_err(|error| {
                    crate::input::hdf5_matrix::hdf5_error(&self.path, &self.name, &error)
                })?;
                let numbers = hdf5_values::numbers(&file, &self.path, &self.name)?;
                numbers.map(|numbers| numbers.values).unwrap_or_default()
            }
            Lies::Held(values) => values.clone(),
            Lies::Text(_) | Lies::Otherwise(_) | Lies::Unreadable => {
                return self.matrix_shape().map(|_| Vec::new());
            }
        };
        Ok(match self.axes() {
            Some([rows, columns]) if self.is_reversed && values.len() == rows * columns => {
                let places = (0..rows).flat_map(|row| (0..columns).map(move |c| c * rows + row));
                places.map(|place| values[place]).collect()
            }
            _ => values,
        })
    }

    /// The number of an array of one.
    pub(super) fn only_value(&self) -> Option<f64> {
        let is_one =
            !matches!(self.lies, Lies::Text(_)) && self.shape.iter().all(|extent| *extent == 1);
        match self.values().ok().filter(|_| is_one)?[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The number that an attribute of its dataset holds, or of the file.
    pub(super) fn attribute(&self, name: &str) -> Option<f64> {
        if !matches!(self.lies, Lies::Hdf5) {
            return None;
        }
        let file = hdf5_access::open(&self.path).ok()?;
        let of_dataset = file.dataset(&self.name).ok();
        of_dataset
            .and_then(|dataset| hdf5_values::number_attribute(&dataset, name))
            .or_else(|| hdf5_values::number_attribute(&file, name))
    }
}
