//! Cell positions and spikes to grids (rules 2.5 and 7.1 to 7.4).
//!
//! Every neuron with a position belongs to one z-plane and one pixel of its 256 × 128 grid. A frame of the grids has a 1 wherever a
//! neuron spikes, and in the corner of each plane a marker whose length tells the planes apart.

mod collisions;
mod planes;

pub use collisions::Collisions;
pub use planes::{MOST_PLANES, PlaneError, PlaneRule};

use std::ops::Range;

use serde::{Deserialize, Serialize};

use planes::Planes;

/// Rows of a plane, along x.
pub const ROWS: usize = 256;
/// Columns of a plane, along y.
pub const COLUMNS: usize = 128;
/// Pixels of a plane, one byte each.
pub const PLANE_BYTES: usize = ROWS * COLUMNS;

/// Rows that the marker of a plane covers.
const MARKER_ROWS: usize = 2;

/// Where each neuron of a subject lies in the grids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// z of the planes, ascending, in the unit of the positions: their levels, or the middles of their slabs, (Z,).
    pub z_values: Vec<f64>,
    /// Number of neurons, N, those without a position among them.
    neurons: usize,
    /// Neurons of each plane: plane `p` has `cells[plane_ends[p - 1]..plane_ends[p]]`, (Z,).
    plane_ends: Vec<u32>,
    /// The neurons that have a position, ordered by plane, then by neuron.
    cells: Vec<Cell>,
}

/// A neuron and its pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cell {
    neuron: u32,
    pixel: u16,
}

/// Where a neuron lies in the grids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Its z-plane, from 0.
    pub plane: usize,
    /// Its row, along x.
    pub row: usize,
    /// Its column, along y.
    pub column: usize,
}

impl Place {
    fn new(plane: usize, pixel: u16) -> Self {
        let pixel = usize::from(pixel);
        Self {
            plane,
            row: pixel / COLUMNS,
            column: pixel % COLUMNS,
        }
    }

    /// Whether the marker of the plane covers the pixel, which is then 1 in all frames (rule 7.2).
    #[must_use]
    pub fn is_under_marker(self) -> bool {
        self.row < MARKER_ROWS && self.column >= COLUMNS - marker_columns(self.plane)
    }
}

impl Layout {
    /// Lays out the neurons at `xyz`, (N, 3). A neuron with a NaN coordinate has no position (rule 2.5): no plane, no pixel, and no
    /// part in the scaling of the others. If no neuron has one there are no planes.
    ///
    /// # Errors
    /// The rule makes no planes of this range of z, or more than [`MOST_PLANES`] of it.
    pub fn new(xyz: &[[f64; 3]], rule: PlaneRule) -> Result<Self, PlaneError> {
        let placed = || {
            let neurons = (0..).zip(xyz);
            neurons.filter(|(_, position)| !position.iter().any(|c| c.is_nan()))
        };
        let axis = |axis: usize| placed().map(move |(_, position)| position[axis]);
        let planes = Planes::of(axis(2), rule)?;
        let row = Scale::of(axis(0), ROWS);
        let column = Scale::of(axis(1), COLUMNS);
        let mut cells: Vec<(usize, Cell)> = Vec::with_capacity(xyz.len());
        for (neuron, &[x, y, z]) in placed() {
            let pixel = (row.index(x) * COLUMNS + column.index(y)) as u16;
            cells.push((planes.index(z), Cell { neuron, pixel }));
        }
        cells.sort_by_key(|&(plane, _)| plane);
        let z_values = planes.z_values();
        let plane_ends = (0..z_values.len())
            .map(|plane| cells.partition_point(|&(of, _)| of <= plane) as u32)
            .collect();
        Ok(Self {
            z_values,
            neurons: xyz.len(),
            plane_ends,
            cells: cells.into_iter().map(|(_, cell)| cell).collect(),
        })
    }

    /// Number of z-planes, Z.
    pub fn planes(&self) -> usize {
        self.z_values.len()
    }

    /// Number of neurons, N, those without a position among them.
    pub fn neurons(&self) -> usize {
        self.neurons
    }

    /// Where each neuron lies, (N,); None for those without a position.
    pub fn places(&self) -> Vec<Option<Place>> {
        let mut places = vec![None; self.neurons];
        for plane in 0..self.planes() {
            for cell in self.cells_of(plane) {
                places[cell.neuron as usize] = Some(Place::new(plane, cell.pixel));
            }
        }
        places
    }

    /// Neurons in each plane, (Z,); a plane of a slab may have none.
    pub fn neurons_per_plane(&self) -> Vec<usize> {
        let starts = std::iter::once(0).chain(self.plane_ends.iter().copied());
        starts
            .zip(&self.plane_ends)
            .map(|(start, &end)| (end - start) as usize)
            .collect()
    }

    /// Rasterises the grids of some `frames` and `planes` into `out`, (frames, planes, 256, 128), which is overwritten whole.
    ///
    /// `spikes` is neuron-major: `row_bytes` bytes per neuron, bit-packed as [`crate::spikes::sample`] packs them.
    /// `frames` are places within these rows. Neurons and frames beyond the end of `spikes` have no spikes, planes
    /// beyond the last have no neurons.
    ///
    /// # Panics
    /// When `out` has another length than that.
    pub fn rasterise(
        &self,
        spikes: &[u8],
        row_bytes: usize,
        frames: Range<usize>,
        planes: Range<usize>,
        out: &mut [u8],
    ) {
        let frame_bytes = planes.len() * PLANE_BYTES;
        assert_eq!(
            out.len(),
            frames.len() * frame_bytes,
            "bytes for {frames:?} frames of {planes:?} planes"
        );
        if out.is_empty() {
            return;
        }
        let mut rest = out;
        let mut begin = frames.start;
        while begin < frames.end {
            // Frames that share a byte of every row are rasterised together.
            let end = frames.end.min((begin / 8 + 1) * 8);
            let (octet, after) = rest.split_at_mut((end - begin) * frame_bytes);
            self.rasterise_octet(spikes, row_bytes, begin..end, planes.clone(), octet);
            rest = after;
            begin = end;
        }
    }

    /// [`Self::rasterise`] for frames in one byte of each row, plane by plane so that what is written stays in cache.
    fn rasterise_octet(
        &self,
        spikes: &[u8],
        row_bytes: usize,
        frames: Range<usize>,
        planes: Range<usize>,
        out: &mut [u8],
    ) {
        let frame_bytes = planes.len() * PLANE_BYTES;
        let shift = frames.start % 8;
        let mask = u8::MAX >> (8 - frames.len());
        let column = frames.start / 8;
        for (slot, plane) in planes.enumerate() {
            for frame in out.chunks_exact_mut(frame_bytes) {
                frame[slot * PLANE_BYTES..][..PLANE_BYTES].fill(0);
            }
            for cell in self.cells_of(plane) {
                let row = cell.neuron as usize * row_bytes;
                let Some(&byte) = spikes.get(row + column).filter(|_| column < row_bytes) else {
                    continue;
                };
                let mut bits = byte >> shift & mask;
                while bits != 0 {
                    let frame = bits.trailing_zeros() as usize;
                    out[frame * frame_bytes + slot * PLANE_BYTES + usize::from(cell.pixel)] = 1;
                    bits &= bits - 1;
                }
            }
            for frame in out.chunks_exact_mut(frame_bytes) {
                set_marker(plane, &mut frame[slot * PLANE_BYTES..][..PLANE_BYTES]);
            }
        }
    }

    fn cells_of(&self, plane: usize) -> &[Cell] {
        let Some(&end) = self.plane_ends.get(plane) else {
            return &[];
        };
        let begin = plane
            .checked_sub(1)
            .map_or(0, |before| self.plane_ends[before]);
        &self.cells[begin as usize..end as usize]
    }
}

/// Marks z-plane `plane` in its upper right corner: two rows, one column longer than the plane before (rule 7.2).
fn set_marker(plane: usize, pixels: &mut [u8]) {
    for row in pixels.chunks_exact_mut(COLUMNS).take(MARKER_ROWS) {
        row[COLUMNS - marker_columns(plane)..].fill(1);
    }
}

/// Columns that the marker of z-plane `plane` covers.
fn marker_columns(plane: usize) -> usize {
    plane.saturating_add(2).min(COLUMNS)
}

/// The smallest and the largest coordinate; infinite ones of none.
fn extent(coordinates: impl Iterator<Item = f64>) -> (f64, f64) {
    coordinates.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), c| {
        (c.min(min), c.max(max))
    })
}

/// From coordinates along one axis to rows or columns.
struct Scale {
    min: f64,
    range: f64,
    last: usize,
}

impl Scale {
    /// Over all `coordinates`; a range of 0 is taken as 1.
    fn of(coordinates: impl Iterator<Item = f64>, places: usize) -> Self {
        let (min, max) = extent(coordinates);
        let range = max - min;
        Self {
            min,
            range: if range == 0.0 { 1.0 } else { range },
            last: places - 1,
        }
    }

    fn index(&self, coordinate: f64) -> usize {
        let index = (((coordinate - self.min) / self.range) * self.last as f64).floor();
        (index as usize).min(self.last)
    }
}

#[cfg(test)]
mod tests;
