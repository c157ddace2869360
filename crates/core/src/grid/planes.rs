//! From z coordinates to z-planes (rules 7.1 and 7.4).

use serde::{Deserialize, Serialize};

/// The most planes that z is cut into.
pub const MOST_PLANES: usize = 1 << 16;

/// What is added to the height in slabs, so that a z on the lower edge of a slab is in it although it was rounded.
const ROUNDING: f64 = 1e-9;

/// How neurons are put on z-planes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaneRule {
    /// A plane for each level of z, to a thousandth (rule 7.1).
    #[default]
    Levels,
    /// So many slabs of equal height, from the lowest neuron to the highest (rule 7.4).
    Count(usize),
    /// Slabs of this height, in the unit of the positions, from the lowest neuron up (rule 7.4).
    Step(f64),
}

/// Why z cannot be cut into planes.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PlaneError {
    /// No plane was asked for.
    #[error("z cannot be cut into 0 planes")]
    None,
    /// The height is not positive, infinite or not a number.
    #[error("the height of a plane must be a finite number above 0, not {0}")]
    Height(f64),
    /// The slabs are more than [`MOST_PLANES`].
    #[error(
        "z from {lowest} to {highest} in planes of {height} makes more than {MOST_PLANES} planes, the most that are possible"
    )]
    TooMany {
        /// The lowest z.
        lowest: f64,
        /// The highest z.
        highest: f64,
        /// Height of a slab.
        height: f64,
    },
}

/// The planes of a recording.
pub(super) enum Planes {
    /// Their levels, ascending.
    Levels(Vec<f64>),
    /// Slabs of equal height, each with its lower edge; the last one with its upper edge, too.
    Slabs {
        lowest: f64,
        height: f64,
        count: usize,
    },
}

impl Planes {
    /// The planes that a rule makes of the `z` of all neurons that have a position; none if there are none. Neurons that all have
    /// the same z lie in one plane with any rule, because there is no range to cut.
    pub(super) fn of(
        z: impl Iterator<Item = f64> + Clone,
        rule: PlaneRule,
    ) -> Result<Self, PlaneError> {
        let (lowest, highest) = super::extent(z.clone());
        let range = highest - lowest;
        let (height, count) = match rule {
            PlaneRule::Count(0) => return Err(PlaneError::None),
            PlaneRule::Step(height) if !(height > 0.0 && height.is_finite()) => {
                return Err(PlaneError::Height(height));
            }
            PlaneRule::Count(count) if range > 0.0 => (range / count as f64, count),
            PlaneRule::Step(height) if range > 0.0 => {
                (height, slab(lowest, height, highest).saturating_add(1))
            }
            _ => return Ok(Self::levels(z)),
        };
        if count > MOST_PLANES {
            return Err(PlaneError::TooMany {
                lowest,
                highest,
                height,
            });
        }
        Ok(Self::Slabs {
            lowest,
            height,
            count,
        })
    }

    fn levels(z: impl Iterator<Item = f64>) -> Self {
        let mut levels: Vec<f64> = z.map(level).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        Self::Levels(levels)
    }

    /// The plane of a neuron at `z`, which is one of those that the planes were made of.
    pub(super) fn index(&self, z: f64) -> usize {
        match self {
            Self::Levels(levels) => {
                let z = level(z);
                levels.partition_point(|&level| level < z)
            }
            Self::Slabs {
                lowest,
                height,
                count,
            } => slab(*lowest, *height, z).min(count - 1),
        }
    }

    /// z of each plane: its level, or the middle of its slab.
    pub(super) fn z_values(self) -> Vec<f64> {
        match self {
            Self::Levels(levels) => levels,
            Self::Slabs {
                lowest,
                height,
                count,
            } => (0..count)
                .map(|slab| lowest + (slab as f64 + 0.5) * height)
                .collect(),
        }
    }
}

/// The slab that `z` is in, however many there are.
fn slab(lowest: f64, height: f64, z: f64) -> usize {
    ((z - lowest) / height + ROUNDING) as usize
}

/// Rounded to thousandths, half to even as `numpy.rint`; adding 0 makes one plane of -0.0 and 0.0.
fn level(z: f64) -> f64 {
    (z * 1000.0).round_ties_even() / 1000.0 + 0.0
}
