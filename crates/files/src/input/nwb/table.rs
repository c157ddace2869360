//! The regions of interest of an imaging plane: `PlaneSegmentation` of an NWB file.

use std::path::PathBuf;

use super::Extent;
use super::masks;
use super::node::Node;
use super::plane::Plane;
use crate::hdf5_access::{name_list, shape_text};
use crate::input::error::InputError;

/// Rows of a table, at most: a damaged file may say any number.
const MOST_ROWS: usize = 1 << 22;

/// A table of regions of interest, and which of its rows are used.
#[derive(Debug)]
pub(super) struct Table {
    node: Node,
    pub(super) plane: Plane,
    plane_node: Option<Node>,
    /// Whether each row is a cell, if the table says so.
    is_cell: Option<Vec<bool>>,
    /// Whether each row is used.
    used: Vec<bool>,
}

impl Table {
    /// Reads what a table says of its rows and its imaging plane, but not where the rows are.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(node: Node) -> Result<Self, InputError> {
        let rows = rows(&node)?;
        let plane_node = node.child("imaging_plane")?;
        let plane = match &plane_node {
            Some(node) => Plane::read(node)?,
            None => Plane::unknown(),
        };
        Ok(Self {
            plane,
            plane_node,
            is_cell: is_cell(&node, rows)?,
            used: vec![false; rows],
            node,
        })
    }

    /// Whether it is this group.
    pub(super) fn is(&self, node: &Node) -> bool {
        (&self.node.path, &self.node.name) == (&node.path, &node.name)
    }

    /// The files in which it and its imaging plane lie.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let plane = self.plane_node.iter();
        plane.chain([&self.node]).map(|node| node.path.clone())
    }

    /// Number of its rows.
    pub(super) fn rows(&self) -> usize {
        self.used.len()
    }

    /// Whether a row is a cell, as far as the table says.
    pub(super) fn is_cell(&self, row: usize) -> bool {
        self.is_cell.as_ref().is_none_or(|is_cell| is_cell[row])
    }

    /// Notes that a series has traces of these rows. Returns whether another one has traces of one of them.
    pub(super) fn take(&mut self, rows: &[usize]) -> bool {
        let is_taken = rows.iter().any(|&row| self.used[row]);
        for &row in rows {
            self.used[row] = true;
        }
        is_taken
    }

    /// The place of a row is infinite.
    pub(super) fn infinite(&self, row: usize, [x, y, z]: [f64; 3]) -> InputError {
        InputError::Dataset {
            path: self.node.path.clone(),
            dataset: self.node.name.clone(),
            expected: "regions of interest at finite places (an empty mask is no place)".to_owned(),
            found: format!("({x}, {y}, {z}) for row {row}"),
        }
    }

    /// x, y, z of the rows that are used in micrometres, or pixels where the plane does not say how large they are; NaN where a mask is
    /// empty.
    ///
    /// # Errors
    /// If the masks cannot be read.
    pub(super) fn places(&self, extent: Extent) -> Result<Vec<[f64; 3]>, InputError> {
        let centroids = masks::centroids(&self.node, &self.used, extent)?;
        let centroids = centroids.ok_or_else(|| InputError::Dataset {
            path: self.node.path.clone(),
            dataset: self.node.name.clone(),
            expected:
                "a column voxel_mask, pixel_mask or image_mask, which tells where the neurons are"
                    .to_owned(),
            found: match self.node.names() {
                Ok(names) => name_list(names.into_iter(), "no column"),
                Err(error) => error.to_string(),
            },
        })?;
        let places = centroids
            .into_iter()
            .map(|centroid| self.plane.place(centroid));
        Ok(places.collect())
    }
}

/// Number of rows of a table: that of its `id`, or of the masks.
fn rows(node: &Node) -> Result<usize, InputError> {
    let mut rows = None;
    for column in ["id", "pixel_mask_index", "voxel_mask_index", "image_mask"] {
        if let (None, Some(dataset)) = (rows, node.dataset(column)?) {
            rows = dataset.shape().first().copied();
        }
    }
    match rows {
        Some(rows @ 1..=MOST_ROWS) => Ok(rows),
        found => Err(InputError::Dataset {
            path: node.path.clone(),
            dataset: node.name.clone(),
            expected: format!("a table of 1 to {MOST_ROWS} regions of interest"),
            found: found.map_or("no column id".to_owned(), |rows| format!("{rows} rows")),
        }),
    }
}

/// The column `iscell` of suite2p, (rows,) or (rows, 2): whether each row is a cell, and how likely that is.
fn is_cell(node: &Node, rows: usize) -> Result<Option<Vec<bool>>, InputError> {
    let Some(numbers) = node.numbers("iscell")? else {
        return Ok(None);
    };
    match numbers.shape[..] {
        [length] | [length, 1 | 2] if length == rows => {
            let values = numbers.values.chunks_exact(numbers.values.len() / rows);
            Ok(Some(values.map(|row| row[0] == 1.0).collect()))
        }
        _ => Err(InputError::Dataset {
            path: node.path.clone(),
            dataset: node.path_of("iscell"),
            expected: format!("({rows},) or ({rows}, 2)"),
            found: shape_text(&numbers.shape),
        }),
    }
}
