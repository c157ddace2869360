//! The chosen series of an NWB file as panels of a recording: their neurons, times and numbers.

use std::collections::BTreeSet;
use std::path::PathBuf;

use spikegrid_core::findings::Finding;

use super::Extent;
use super::node::{Member, Node};
use super::series::Series;
use super::table::Table;
use super::times::{self, Times};
use crate::hdf5_access::shape_text;
use crate::input::error::InputError;
use crate::input::form::{Cells, Request};
use crate::input::hdf5_matrix::Header;
use crate::input::hdf5_values;
use crate::input::panel::Panel;
use crate::input::place::Place;
use crate::input::source::{Location, Positions};
use crate::input::storage::Orientation;
use crate::input::time_series::ambiguity;

const DATA: &str = "data";
const ROIS: &str = "rois";
/// By how much of each other rates of the series of one recording differ, at most.
const SAME_RATE: f64 = 0.01;

/// The series of a recording.
#[derive(Debug, Default)]
pub(super) struct Panels {
    panels: Vec<Placed>,
    tables: Vec<Table>,
    /// Hz.
    pub(super) rate: Option<f64>,
    /// The files in which they lie.
    pub(super) files: BTreeSet<PathBuf>,
    pub(super) findings: Vec<Finding>,
    /// Whether two series have traces of the same region of interest.
    pub(super) overlap: bool,
}

/// A series and its neurons.
#[derive(Debug)]
struct Placed {
    /// Name of its dataset, for messages.
    name: String,
    panel: Panel,
    /// Its place in the list of tables.
    table: usize,
    /// The row of each neuron in the table.
    rows: Vec<usize>,
}

impl Panels {
    /// Reads what the series say of their neurons and times.
    ///
    /// # Errors
    /// If they cannot be read, contradict themselves, or have different rates.
    pub(super) fn of(
        root: &Node,
        series: &[Series],
        request: &Request,
    ) -> Result<Self, InputError> {
        let mut panels = Self::default();
        let mut all_times = Vec::new();
        for series in series {
            let neuropil = neuropil(root, series, request)?;
            let node = series.group(root)?;
            all_times.push(Times::read(&node)?);
            panels.add(&node, neuropil, request)?;
        }
        panels.set_times(root, all_times)?;
        let neurons: usize = panels.panels.iter().map(|placed| placed.rows.len()).sum();
        match neurons {
            0 => Err(InputError::Dataset {
                path: root.path.clone(),
                dataset: "iscell".to_owned(),
                expected: "at least one cell (--cells all takes all regions of interest)"
                    .to_owned(),
                found: "none".to_owned(),
            }),
            _ => Ok(panels),
        }
    }

    /// Adds a series.
    fn add(
        &mut self,
        node: &Node,
        neuropil: Option<(f64, Node)>,
        request: &Request,
    ) -> Result<(), InputError> {
        let table = self.table(node.referred(ROIS, "table")?)?;
        let rois = rois(node, self.tables[table].rows())?;
        let (header, file) = Header::read(&node.path, &node.path_of(DATA))?;
        let orientation = orientation(node, header.shape, rois.len())?;
        let name = node.path_of(DATA);
        let (mut panel, unwritten) = Panel::hdf5(&node.path, (&header, &file), &name, orientation)?;
        self.findings.extend(unwritten);
        self.findings.extend(ambiguity(&name, header.shape));
        let (gain, mut offset) = scale(node)?;
        if let Some((coefficient, neuropil)) = neuropil {
            let other = neuropil.path_of(DATA);
            let (found, _) = Header::read(&neuropil.path, &other)?;
            if found.shape != header.shape {
                return Err(InputError::Dataset {
                    path: neuropil.path,
                    dataset: other,
                    expected: format!("the shape of {name}, {}", shape_text(&header.shape)),
                    found: shape_text(&found.shape),
                });
            }
            let (other_gain, other_offset) = scale(&neuropil)?;
            offset -= coefficient * other_offset;
            panel = panel.plus(
                -coefficient * other_gain,
                Place::hdf5(&neuropil.path, &other),
            );
            self.files.insert(neuropil.path);
        }
        self.files.insert(node.path.clone());
        if let Some(Member::Dataset(Some(linked))) = node.member(DATA)? {
            self.files.insert(linked);
        }
        let table_of = &self.tables[table];
        let is_taken = |row: usize| request.cells == Cells::All || table_of.is_cell(row);
        let taken: Vec<usize> = (0..rois.len())
            .filter(|&place| is_taken(rois[place]))
            .collect();
        let rows: Vec<usize> = taken.iter().map(|&place| rois[place]).collect();
        self.overlap |= self.tables[table].take(&rows);
        self.panels.push(Placed {
            name,
            panel: panel.of_neurons(taken).scaled(gain, offset),
            table,
            rows,
        });
        Ok(())
    }

    /// The place of a table in the list of those that are used, to which it is added if it is new.
    fn table(&mut self, node: Node) -> Result<usize, InputError> {
        if let Some(place) = self.tables.iter().position(|table| table.is(&node)) {
            return Ok(place);
        }
        let table = Table::read(node)?;
        self.files.extend(table.files());
        self.tables.push(table);
        Ok(self.tables.len() - 1)
    }

    /// Finds the rate, and brings frames of one time together.
    fn set_times(&mut self, root: &Node, all: Vec<Times>) -> Result<(), InputError> {
        let rates: Vec<f64> = all.iter().filter_map(|times| times.rate).collect();
        let planes = self.tables.iter().filter_map(|table| table.plane.rate);
        self.rate = rates
            .iter()
            .copied()
            .chain(planes.filter_map(times::usable))
            .next();
        if let Some(rate) = self.rate
            && let Some(other) = rates
                .iter()
                .find(|other| (*other / rate - 1.0).abs() > SAME_RATE)
        {
            return Err(InputError::Dataset {
                path: root.path.clone(),
                dataset: "RoiResponseSeries".to_owned(),
                expected: "series of one rate (--calcium_dataset chooses one)".to_owned(),
                found: format!("{rate} Hz and {other} Hz"),
            });
        }
        let skipped = times::skipped(&all, self.rate);
        for (placed, skipped) in self.panels.iter_mut().zip(skipped) {
            let panel = placed.panel.clone().skipping(skipped);
            if panel.frames() == 0 {
                return Err(InputError::Dataset {
                    path: root.path.clone(),
                    dataset: placed.name.clone(),
                    expected: "frames of the same time as those of the other series (--calcium_dataset chooses one)".to_owned(),
                    found: format!("an end {skipped} frames before the last of them begins"),
                });
            }
            placed.panel = panel;
        }
        let findings = all.into_iter().filter_map(|times| times.finding);
        let worst = findings.max_by_key(|finding| (finding.severity, finding.frames));
        self.findings.extend(worst);
        Ok(())
    }

    /// Where the neurons are.
    ///
    /// # Errors
    /// If the masks cannot be read, or a coordinate is infinite.
    pub(super) fn positions(
        &self,
        request: &Request,
        extent: Extent,
    ) -> Result<Positions, InputError> {
        let places = self.tables.iter().map(|table| table.places(extent));
        let places: Vec<Vec<[f64; 3]>> = places.collect::<Result<_, _>>()?;
        let is_flat =
            self.tables.len() > 1 && self.tables.iter().all(|table| !table.plane.has_origin);
        let step = request.plane_step.filter(|_| is_flat);
        let mut positions = Positions {
            xyz: Vec::new(),
            source_row: Vec::new(),
            source_plane: (self.panels.len() > 1).then(Vec::new),
        };
        for (number, placed) in self.panels.iter().enumerate() {
            for &row in &placed.rows {
                let [x, y, z] = places[placed.table][row];
                let z = step.map_or(z, |step| z + step * placed.table as f64);
                if [x, y, z].iter().any(|place| place.is_infinite()) {
                    return Err(self.tables[placed.table].infinite(row, [x, y, z]));
                }
                positions.xyz.push([x, y, z]);
                positions.source_row.push(row as i64);
                if let Some(planes) = &mut positions.source_plane {
                    planes.push(number as i64);
                }
            }
        }
        Ok(positions)
    }

    /// A unit of positions that is not known.
    pub(super) fn unknown_unit(&self) -> Option<&str> {
        let mut units = self.tables.iter().map(|table| &table.plane.unknown_unit);
        units.find_map(Option::as_deref)
    }

    /// Where the fluorescence lies.
    pub(super) fn location(&self) -> Location {
        let panels = self.panels.iter().map(|placed| placed.panel.clone());
        Location::of_panels(panels.filter(|panel| panel.neurons() > 0).collect())
    }
}

/// The rows of the table that the traces of a series belong to.
fn rois(node: &Node, rows: usize) -> Result<Vec<usize>, InputError> {
    let wrong = |found: String| InputError::Dataset {
        path: node.path.clone(),
        dataset: node.path_of(ROIS),
        expected: format!(
            "rows of the table of cells, 0 to {}",
            rows.saturating_sub(1)
        ),
        found,
    };
    let numbers = node.numbers(ROIS)?;
    let numbers = numbers.ok_or_else(|| wrong("no numbers".to_owned()))?;
    let rois = numbers.values.iter().map(|&number| {
        let row = number as usize;
        match row as f64 == number && row < rows {
            true => Ok(row),
            false => Err(wrong(number.to_string())),
        }
    });
    rois.collect()
}

/// What the rows and columns of the data of a series with so many neurons are.
fn orientation(node: &Node, shape: [usize; 2], neurons: usize) -> Result<Orientation, InputError> {
    match shape {
        [_, columns] if columns == neurons => Ok(Orientation::FramesByNeurons),
        [rows, _] if rows == neurons => Ok(Orientation::NeuronsByFrames),
        _ => Err(InputError::Dataset {
            path: node.path.clone(),
            dataset: node.path_of(DATA),
            expected: format!(
                "(frames, {neurons}), as {ROIS} has {neurons} rows, or its transpose"
            ),
            found: shape_text(&shape),
        }),
    }
}

/// By what the numbers of a series are multiplied, and what is then added.
fn scale(node: &Node) -> Result<(f64, f64), InputError> {
    let Some(data) = node.dataset(DATA)? else {
        return Ok((1.0, 0.0));
    };
    let attribute = |name| hdf5_values::number_attribute(&data, name);
    Ok((
        attribute("conversion").unwrap_or(1.0),
        attribute("offset").unwrap_or(0.0),
    ))
}

/// The neuropil of a series, and by what it is multiplied before it is subtracted, where the user says so: a series of the same name in a
/// container beside, which is called neuropil.
fn neuropil(
    root: &Node,
    series: &Series,
    request: &Request,
) -> Result<Option<(f64, Node)>, InputError> {
    let Some(coefficient) = request.neuropil_coefficient.filter(|c| *c != 0.0) else {
        return Ok(None);
    };
    let (module, own) = match series.container().rsplit_once('/') {
        Some((module, own)) => (root.descend(module)?, own),
        None => return Ok(None),
    };
    let Some(module) = module else {
        return Ok(None);
    };
    for name in module.names()? {
        if name != own
            && name.to_lowercase().contains("neuropil")
            && let Some(container) = module.child(&name)?
            && let Some(found) = container.child(series.name())?
        {
            return Ok(Some((coefficient, found)));
        }
    }
    Ok(None)
}
