//! Rules 5 to 7 written once more for checks, from the words of the specification and not from the code that makes outputs: a mistake
//! there must not hide here. Plain rather than fast where that is enough.

use std::fmt;

use rand_mt::Mt;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// Rows and columns of a plane (rule 7.1).
pub(super) const ROWS: usize = 256;
pub(super) const COLUMNS: usize = 128;
pub(super) const PIXELS: usize = ROWS * COLUMNS;
/// Frames of a block (rule 6.1).
const BLOCK: usize = 330;
/// A damaged configuration may ask for any number of slabs; no grids have more than this.
const MOST_SLABS: usize = 1 << 20;

/// How z becomes planes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cut {
    /// A plane for each level (rule 7.1).
    Levels,
    /// So many planes of equal height (rule 7.4).
    Count(usize),
    /// Planes of this height (rule 7.4).
    Step(f64),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Levels => f.write_str("a plane for each level of z"),
            Self::Count(count) => write!(f, "{count} planes of equal height"),
            Self::Step(step) => write!(f, "planes of height {step:?}"),
        }
    }
}

/// What a NaN coordinate means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The neuron has no position (rule 2.5).
    NoPosition,
    /// The coordinate is 0, as in outputs that were made before rule 2.5.
    Zero,
}

/// Plane, row and column of a neuron in the grids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub plane: usize,
    pub row: usize,
    pub column: usize,
}

impl Place {
    /// The place of its pixel within the plane, row by row.
    pub(super) fn pixel(self) -> usize {
        self.row * COLUMNS + self.column
    }
}

/// The z of each plane, (Z,), and the place of each neuron, (N,), none for one without a position (rules 2.5, 7.1 and 7.4).
pub(super) fn places(
    xyz: &[[f64; 3]],
    cut: Cut,
    missing: Missing,
) -> (Vec<f64>, Vec<Option<Place>>) {
    let xyz: Vec<Option<[f64; 3]>> = xyz
        .iter()
        .map(|position| match missing {
            Missing::NoPosition => position.iter().all(|c| !c.is_nan()).then_some(*position),
            Missing::Zero => Some(position.map(|c| if c.is_nan() { 0.0 } else { c })),
        })
        .collect();
    let axis = |axis: usize| xyz.iter().flatten().map(move |position| position[axis]);
    let [x, y, z] = [0, 1, 2].map(|number| range(axis(number)));
    // Where all neurons have one z there is nothing to cut.
    let cut = if z.0 == z.1 { Cut::Levels } else { cut };
    let z_values = match cut {
        Cut::Levels => levels(axis(2)),
        Cut::Count(count) => middles(z, (z.1 - z.0) / count as f64, count),
        Cut::Step(step) => middles(z, step, slabs_below(z.1, z.0, step) + 1),
    };
    let plane = |of: f64| match cut {
        Cut::Levels => Some(z_values.partition_point(|&level| level < thousandths(of))),
        Cut::Count(count) => slab(of, z.0, (z.1 - z.0) / count as f64, z_values.len()),
        Cut::Step(step) => slab(of, z.0, step, z_values.len()),
    };
    let place = |position: Option<[f64; 3]>| {
        let position = position?;
        Some(Place {
            plane: plane(position[2])?,
            row: scaled(position[0], x, ROWS - 1),
            column: scaled(position[1], y, COLUMNS - 1),
        })
    };
    let places = xyz.iter().map(|&position| place(position)).collect();
    (z_values, places)
}

/// Smallest and largest of some numbers; 0 and 0 where there are none.
fn range(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    numbers
        .map(|number| (number, number))
        .reduce(|(min, max), (number, _)| (min.min(number), max.max(number)))
        .unwrap_or_default()
}

/// `rint(z * 1000) / 1000`, half to even.
fn thousandths(z: f64) -> f64 {
    (z * 1000.0).round_ties_even() / 1000.0
}

/// The distinct levels, ascending.
fn levels(z: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut levels: Vec<f64> = z.map(thousandths).collect();
    levels.sort_by(f64::total_cmp);
    // -0 and 0 are one level.
    levels.dedup_by(|a, b| a == b);
    levels.iter().map(|level| level + 0.0).collect()
}

/// The middles of `count` slabs of one height from the lowest z.
fn middles((lowest, _): (f64, f64), height: f64, count: usize) -> Vec<f64> {
    let middle = |slab: usize| lowest + (slab as f64 + 0.5) * height;
    (0..count.min(MOST_SLABS)).map(middle).collect()
}

/// The slab that holds a z: it begins at its lowest z; only the last one holds its highest z, too.
fn slab(z: f64, lowest: f64, height: f64, count: usize) -> Option<usize> {
    Some(slabs_below(z, lowest, height).min(count.checked_sub(1)?))
}

/// The slabs of one height that end at or below a z. 1e-9 of a slab makes up for z that were rounded.
fn slabs_below(z: f64, lowest: f64, height: f64) -> usize {
    (((z - lowest) / height + 1e-9).floor() as usize).min(MOST_SLABS)
}

/// `floor(((c - min) / (max - min)) * last)`, where a range of 0 is 1.
fn scaled(coordinate: f64, (min, max): (f64, f64), last: usize) -> usize {
    let range = if max == min { 1.0 } else { max - min };
    ((((coordinate - min) / range) * last as f64).floor() as usize).min(last)
}

/// The first column of the marker of a plane, which reaches from there to the last column in rows 0 and 1 (rule 7.2).
pub(super) fn marker_start(plane: usize) -> usize {
    COLUMNS - (plane + 2).min(COLUMNS)
}

/// Whether a pixel lies under the marker of a plane.
pub(super) fn is_marker(plane: usize, pixel: usize) -> bool {
    pixel / COLUMNS < 2 && pixel % COLUMNS >= marker_start(plane)
}

/// 1 where a frame trains and 0 where it tests, (T,) (rule 6.1).
pub(super) fn split(frames: usize, split_ratio: f64, seed: u32) -> Vec<u8> {
    let blocks = frames / BLOCK;
    let mut order: Vec<usize> = (0..blocks).collect();
    // `numpy.random.shuffle` after `numpy.random.seed`: from the last place down, each item changes places with one at or before it.
    let mut generator = Mt::new(seed);
    for last in (1..blocks).rev() {
        // The least number of the form 2^k - 1 that is not below `last`.
        let mask = (last as u64 + 1).next_power_of_two() - 1;
        let other = loop {
            let number = u64::from(generator.next_u32()) & mask;
            if number <= last as u64 {
                break number as usize;
            }
        };
        order.swap(last, other);
    }
    let tests = ((blocks as f64 * (1.0 - split_ratio)) as usize).max(1);
    let mut is_train = vec![1; frames];
    for block in order.into_iter().take(tests) {
        is_train[block * BLOCK..(block + 1) * BLOCK].fill(0);
    }
    is_train
}

/// The random numbers of one neuron, one for each frame (rule 5.2): of the neuron at a place, counted from 0, of a subject.
pub(super) struct Uniform(Xoshiro256PlusPlus);

impl Uniform {
    pub(super) fn new(seed: u64, subject: &str, neuron: usize) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"spikegrid-mpi spikes 1\0");
        hash.update(seed.to_le_bytes());
        hash.update((neuron as u64).to_le_bytes());
        hash.update(subject.as_bytes());
        Self(Xoshiro256PlusPlus::from_seed(hash.finalize().into()))
    }

    /// Whether the next frame, which has this rate, has a spike (rule 5.1).
    pub(super) fn spikes(&mut self, rate: f32) -> bool {
        let uniform = (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let probability = f64::from(rate).clamp(0.0, 1.0);
        // False where there is no rate.
        uniform < probability
    }
}

#[cfg(test)]
mod tests;
