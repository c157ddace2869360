//! Spikes that a grid cannot hold, because several neurons share a pixel.

use super::{Cell, Layout, Place};
use crate::spikes::row_bytes;

/// Spikes lost because another neuron of the plane has the pixel in that frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collisions {
    /// Lost spikes of all pixels and frames.
    pub lost: u64,
    /// The pixels that lose any, ordered by plane, row and column, with the spikes that each loses.
    pub pixels: Vec<(Place, u64)>,
}

impl Layout {
    /// The spikes that the grids cannot hold: those of all neurons less the pixels that they set, the marker apart. `units` gives, in
    /// the order of neurons, parts of the bit-packed spikes of all of them, (n, ceil(T / 8)) each.
    pub fn collisions<'a>(
        &self,
        frames: usize,
        units: impl Iterator<Item = &'a [u8]>,
    ) -> Collisions {
        let row_bytes = row_bytes(frames).max(1);
        let rows: Vec<&[u8]> = units
            .flat_map(|unit| unit.chunks_exact(row_bytes))
            .collect();
        let mut found = Collisions::default();
        let mut taken = vec![0; row_bytes];
        for plane in 0..self.planes() {
            let mut cells: Vec<Cell> = self.cells_of(plane).to_vec();
            cells.sort_by_key(|cell| cell.pixel);
            let shared = cells.chunk_by(|one, other| one.pixel == other.pixel);
            for cells in shared.filter(|cells| cells.len() > 1) {
                let neurons = cells.iter().map(|cell| cell.neuron as usize);
                let rows = neurons.filter_map(|neuron| rows.get(neuron).copied());
                let lost = lost_spikes(rows, &mut taken);
                if lost > 0 {
                    found.lost += lost;
                    found.pixels.push((Place::new(plane, cells[0].pixel), lost));
                }
            }
        }
        found
    }
}

/// Spikes of these rows in frames in which an earlier one has a spike. `taken` is scratch memory of one row.
fn lost_spikes<'a>(rows: impl Iterator<Item = &'a [u8]>, taken: &mut [u8]) -> u64 {
    const WORD: usize = size_of::<u64>();
    let mut lost = 0;
    taken.fill(0);
    for row in rows {
        for (row, taken) in row.chunks(WORD).zip(taken.chunks_mut(WORD)) {
            let word = |bytes: &[u8]| {
                let mut word = [0; WORD];
                word[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(word)
            };
            let (spikes, before) = (word(row), word(taken));
            lost += u64::from((spikes & before).count_ones());
            taken.copy_from_slice(&(spikes | before).to_le_bytes()[..taken.len()]);
        }
    }
    lost
}
