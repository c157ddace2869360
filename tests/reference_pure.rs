//! The pure stages against what the Python pipeline returned (rules 3.4, 6.1 and 7.3).
//!
//! Runs wherever the folder of reference data lies beside the project; the same rules are tested from fixtures of this
//! repository beside the code.

use std::path::{Path, PathBuf};

use ndarray::{Ix4, s};
use spikegrid_core::baseline::{Baseline, SlidingPercentile, Window, dff};
use spikegrid_core::grid::{COLUMNS, Layout, PLANE_BYTES, PlaneRule, ROWS};
use spikegrid_core::split::train_mask;

const SUBJECTS: [&str; 5] = [
    "subject_1",
    "subject_2",
    "subject_3",
    "subject_4",
    "subject_5",
];

/// Frames and planes compared at a time: as the reference's chunks lie, so that each is inflated once.
const SLAB: (usize, usize) = (64, 8);

fn reference() -> Option<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference"));
    if !folder.is_dir() {
        eprintln!("NOT CHECKED: no reference data at {}", folder.display());
        return None;
    }
    Some(folder.to_path_buf())
}

fn pipeline(reference: &Path) -> hdf5::File {
    hdf5::File::open(reference.join("golden/pipeline.h5")).expect("golden/pipeline.h5")
}

/// What must come out for a subject, and the file that it lies in: that of the Python pipeline, but of the subject with missing
/// samples, cells without position and baselines below 0 that of rules 2.5, 3.2 and 3.3, which the Python pipeline does otherwise.
fn golden(reference: &Path, subject: &str) -> (hdf5::File, hdf5::Group) {
    let (file, group) = match subject {
        "subject_4" => ("golden/subject_4_new_rules.h5", "/"),
        _ => ("golden/pipeline.h5", subject),
    };
    let file = hdf5::File::open(reference.join(file)).expect(file);
    let group = file.group(group).expect(subject);
    (file, group)
}

/// The recorded fluorescence, neuron by neuron, (N, T).
fn fluorescence(reference: &Path, subject: &str, neurons: usize) -> Vec<Vec<f32>> {
    let file = hdf5::File::open(
        reference
            .join("subjects")
            .join(subject)
            .join("TimeSeries.h5"),
    )
    .expect(subject);
    let dataset = file.dataset("CellResp").expect("CellResp");
    let traces = dataset.read_2d::<f32>().expect("two axes");
    let by_column = traces.ncols() == neurons;
    (0..neurons)
        .map(|n| {
            if by_column {
                traces.column(n).to_vec()
            } else {
                traces.row(n).to_vec()
            }
        })
        .collect()
}

/// Agreement within `tolerance(t)`, NaN where it is NaN.
fn assert_close(found: &[f32], expected: &[f32], tolerance: impl Fn(usize) -> f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (t, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let close =
            (found - expected).abs() <= tolerance(t) || (found.is_nan() && expected.is_nan());
        assert!(
            close,
            "{what}, frame {t}: {found:e} instead of {expected:e}"
        );
    }
}

#[test]
fn rule_3_4_equals_the_reference() {
    let Some(reference) = reference() else { return };
    let mut scratch = SlidingPercentile::new();
    for subject in SUBJECTS {
        let (_file, group) = golden(&reference, subject);
        let rate: f64 = group
            .attr("sampling_rate")
            .and_then(|rate| rate.read_scalar())
            .expect("sampling_rate");
        let window = Window::new(30.0, rate).expect("a window");
        let read = |name: &str| {
            group
                .dataset(name)
                .and_then(|dataset| dataset.read_2d::<f32>())
                .expect(name)
        };
        let (subtract, ratio) = (read("dff_subtract"), read("dff_ratio"));
        let fluorescence = fluorescence(&reference, subject, ratio.nrows());
        for (neuron, raw) in fluorescence.iter().enumerate() {
            let what = format!("{subject}, neuron {neuron}");
            let mut trace = raw.clone();
            dff(Baseline::Subtract, window, 8.0, &mut trace, &mut scratch);
            let expected = subtract.row(neuron).to_vec();
            assert_close(&trace, &expected, |t| 1e-6 * raw[t].abs().max(1.0), &what);

            let mut trace = raw.clone();
            dff(Baseline::Dff, window, 8.0, &mut trace, &mut scratch);
            let expected = ratio.row(neuron).to_vec();
            assert_close(
                &trace,
                &expected,
                |t| 2e-6 * expected[t].abs().max(1.0),
                &what,
            );
        }
    }
}

#[test]
fn rule_6_1_equals_every_split_of_the_reference() {
    let Some(reference) = reference() else { return };
    let splits = pipeline(&reference)
        .group("splits")
        .expect("splits")
        .datasets()
        .expect("splits");
    assert_eq!(splits.len(), 360);
    for split in splits {
        let attribute = |name: &str| split.attr(name).expect(name);
        let frames: usize = attribute("T").read_scalar().expect("T");
        let ratio: f64 = attribute("split_ratio").read_scalar().expect("split_ratio");
        let seed: u32 = attribute("seed").read_scalar().expect("seed");
        let packed = split.read_raw::<u8>().expect("a mask");
        let expected: Vec<bool> = (0..frames)
            .map(|t| packed[t / 8] >> (7 - t % 8) & 1 == 1)
            .collect();
        assert!(
            train_mask(frames, ratio, seed) == expected,
            "{frames} frames, split ratio {ratio}, seed {seed}"
        );
    }
}

#[test]
fn rule_7_3_bit_identical_to_the_grids_of_the_reference() {
    let Some(reference) = reference() else { return };
    for subject in SUBJECTS {
        let (_file, group) = golden(&reference, subject);
        let dataset = |name: &str| group.dataset(name).expect(name);
        let xyz: Vec<[f64; 3]> = dataset("cell_xyz")
            .read_2d::<f64>()
            .expect("cell_xyz")
            .rows()
            .into_iter()
            .map(|xyz| [xyz[0], xyz[1], xyz[2]])
            .collect();
        let layout = Layout::new(&xyz, PlaneRule::Levels).expect("levels");
        assert_eq!(
            layout.z_values,
            dataset("meta_z_values")
                .read_raw::<f64>()
                .expect("meta_z_values"),
            "{subject}"
        );

        let spikes = dataset("spikes").read_2d::<u8>().expect("spikes");
        let (frames, row_bytes) = (spikes.ncols(), spikes.ncols().div_ceil(8));
        let mut packed = vec![0u8; spikes.nrows() * row_bytes];
        for ((neuron, t), &spike) in spikes.indexed_iter() {
            packed[neuron * row_bytes + t / 8] |= spike << (t % 8);
        }
        let grids = dataset("grids");
        assert_eq!(
            grids.shape(),
            [frames, layout.planes(), ROWS, COLUMNS],
            "{subject}"
        );
        for first_frame in (0..frames).step_by(SLAB.0) {
            for first_plane in (0..layout.planes()).step_by(SLAB.1) {
                let t = first_frame..frames.min(first_frame + SLAB.0);
                let z = first_plane..layout.planes().min(first_plane + SLAB.1);
                let expected = grids
                    .read_slice::<u8, _, Ix4>(s![t.clone(), z.clone(), .., ..])
                    .expect("grids");
                let mut found = vec![0xff; t.len() * z.len() * PLANE_BYTES];
                layout.rasterise(&packed, row_bytes, t.clone(), z.clone(), &mut found);
                let same = expected.as_slice() == Some(&found);
                assert!(same, "{subject}, frames {t:?}, planes {z:?}");
            }
        }
    }
}
