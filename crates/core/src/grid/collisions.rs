//! Spikes that a grid cannot hold, because several neurons share a pixel.

use super::{Cell, Layout, Place};

/// Spikes lost because another neuron of the plane has the pixel in that frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collisions {
    /// Lost spikes of all pixels and frames.
    pub lost: u64,
    /// The pixels that lose any, ordered by plane, row and column, with the spikes that each loses.
    pub pixels: Vec<(Place, u64)>,
}

impl Layout {
    /// The spikes that the grids cannot hold: those of all neurons less the pixels that they set, the marker apart. `octets` gives
    /// the spikes of all neurons in 8 frames after the other, (N,) each.
    pub fn collisions<'a>(&self, octets: impl Iterator<Item = &'a [u8]>) -> Collisions {
        let mut shared: Vec<(Place, Vec<usize>, u64)> = Vec::new();
        for plane in 0..self.planes() {
            let mut cells: Vec<Cell> = self.cells_of(plane).to_vec();
            cells.sort_by_key(|cell| cell.pixel);
            let pixels = cells.chunk_by(|one, other| one.pixel == other.pixel);
            shared.extend(pixels.filter(|cells| cells.len() > 1).map(|cells| {
                let neurons = cells.iter().map(|cell| cell.neuron as usize);
                (Place::new(plane, cells[0].pixel), neurons.collect(), 0)
            }));
        }
        for octet in octets {
            for (_, neurons, lost) in &mut shared {
                *lost += u64::from(lost_spikes(octet, neurons));
            }
        }
        let losing = shared.into_iter().filter(|(.., lost)| *lost > 0);
        let pixels: Vec<(Place, u64)> = losing.map(|(place, _, lost)| (place, lost)).collect();
        Collisions {
            lost: pixels.iter().map(|(_, lost)| lost).sum(),
            pixels,
        }
    }
}

/// Spikes of these neurons in frames in which an earlier one has a spike.
fn lost_spikes(octet: &[u8], neurons: &[usize]) -> u32 {
    let mut taken = 0;
    let spikes = neurons.iter().filter_map(|neuron| octet.get(*neuron));
    spikes
        .map(|spikes| {
            let lost = (spikes & taken).count_ones();
            taken |= spikes;
            lost
        })
        .sum()
}
