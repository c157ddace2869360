//! Where the cells of a made-up larval zebrafish are.

use crate::random::Random;

/// A brain region: two ellipsoids, mirrored at the midline.
///
/// Lengths are fractions of the field of view: x from snout to spinal cord, y from left to right, z from the lowest to the
/// highest plane.
struct Region {
    centre: [f32; 3],
    radius: [f32; 3],
    /// How much narrower the tail end is.
    taper: f32,
    /// Share of all cells.
    share: f32,
}

const REGIONS: [Region; 6] = [
    // Telencephalon
    Region {
        centre: [0.13, 0.10, 0.55],
        radius: [0.11, 0.09, 0.35],
        taper: 0.0,
        share: 0.15,
    },
    // Habenula
    Region {
        centre: [0.25, 0.04, 0.85],
        radius: [0.03, 0.03, 0.12],
        taper: 0.0,
        share: 0.03,
    },
    // Diencephalon
    Region {
        centre: [0.31, 0.09, 0.30],
        radius: [0.11, 0.11, 0.28],
        taper: 0.0,
        share: 0.13,
    },
    // Optic tectum
    Region {
        centre: [0.43, 0.24, 0.60],
        radius: [0.16, 0.18, 0.34],
        taper: 0.2,
        share: 0.31,
    },
    // Cerebellum
    Region {
        centre: [0.60, 0.14, 0.75],
        radius: [0.05, 0.15, 0.22],
        taper: 0.0,
        share: 0.11,
    },
    // Hindbrain
    Region {
        centre: [0.79, 0.10, 0.40],
        radius: [0.20, 0.12, 0.34],
        taper: 0.55,
        share: 0.27,
    },
];

/// Number of brain regions.
pub(super) const REGION_COUNT: usize = REGIONS.len();

/// Pixels of the field of view.
const LENGTH: f32 = 1120.0;
const WIDTH: f32 = 600.0;
/// Distance of the z-planes.
const PLANE_DISTANCE: f64 = 8.0;
/// Segmented cells that turn out to lie outside of the brain.
const INVALID_SHARE: f64 = 0.03;

/// Every segmented cell of a subject, and which of them have a trace.
pub(super) struct Brain {
    /// Positions of all segmented cells: x and y in pixels, z the depth of the plane.
    pub(super) cell_xyz: Vec<[f64; 3]>,
    /// 1-based row of `cell_xyz` of each neuron with a trace.
    pub(super) abs_ix: Vec<u32>,
    /// 1-based rows of the cells without a trace.
    pub(super) invalid: Vec<u32>,
    /// Brain region of each neuron with a trace, below [`REGION_COUNT`].
    pub(super) regions: Vec<usize>,
}

impl Brain {
    /// A brain with `neurons` valid cells.
    pub(super) fn new(neurons: usize, subject: usize, seed: u64) -> Brain {
        let mut random = Random::stream(seed, u64::MAX);
        let planes = plane_count(neurons, subject);
        let invalid = ((neurons as f64 * INVALID_SHARE).ceil() as usize).max(1);
        let total = neurons + invalid;
        let mut brain = Brain {
            cell_xyz: Vec::with_capacity(total),
            abs_ix: Vec::with_capacity(neurons),
            invalid: Vec::with_capacity(invalid),
            regions: Vec::with_capacity(neurons),
        };
        for row in 0..total {
            let (invalid_left, rows_left) = (invalid - brain.invalid.len(), total - row);
            let number = row as u32 + 1;
            let place = if random.uniform() * (rows_left as f32) < invalid_left as f32
                && invalid_left > 0
                || invalid_left == rows_left
            {
                brain.invalid.push(number);
                outside(&mut random)
            } else {
                let region = pick_region(&mut random);
                brain.abs_ix.push(number);
                brain.regions.push(region);
                inside(&REGIONS[region], &mut random)
            };
            brain.cell_xyz.push(on_plane(place, planes));
        }
        brain
    }
}

/// About eighty cells on a plane, up to the 25 to 29 planes of a whole-brain recording.
fn plane_count(neurons: usize, subject: usize) -> usize {
    (neurons / 80).clamp(3, 29 - subject % 5)
}

fn pick_region(random: &mut Random) -> usize {
    let mut left = random.uniform();
    for (place, region) in REGIONS.iter().enumerate() {
        if left < region.share {
            return place;
        }
        left -= region.share;
    }
    REGION_COUNT - 1
}

/// A uniform place within one of the region's two ellipsoids.
fn inside(region: &Region, random: &mut Random) -> [f32; 3] {
    loop {
        let [x, y, z] = std::array::from_fn(|_| random.between(-1.0, 1.0));
        let width = 1.0 - region.taper * (x + 1.0) / 2.0;
        if x * x + (y / width) * (y / width) + z * z > 1.0 {
            continue;
        }
        let side = if random.uniform() < 0.5 { -1.0 } else { 1.0 };
        let lateral = (region.centre[1] * width + region.radius[1] * y)
            .abs()
            .max(0.003);
        return [
            region.centre[0] + region.radius[0] * x,
            0.5 + side * lateral,
            region.centre[2] + region.radius[2] * z,
        ];
    }
}

/// Somewhere along the rim of the field of view.
fn outside(random: &mut Random) -> [f32; 3] {
    let lateral = if random.uniform() < 0.5 { 0.01 } else { 0.99 };
    [random.uniform(), lateral, random.uniform()]
}

/// From fractions of the field of view to whole pixels and the depth of the nearest lower plane.
fn on_plane([x, y, z]: [f32; 3], planes: usize) -> [f64; 3] {
    let plane = ((z.clamp(0.0, 1.0) * planes as f32) as usize).min(planes - 1);
    [
        f64::from((x.clamp(0.0, 1.0) * LENGTH).round()) + 1.0,
        f64::from((y.clamp(0.0, 1.0) * WIDTH).round()) + 1.0,
        1.0 + PLANE_DISTANCE * plane as f64,
    ]
}
