use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::*;

#[derive(serde::Deserialize)]
struct Golden {
    name: String,
    xyz: Vec<u64>,
    frames: usize,
    z_values: Vec<u64>,
    spikes: Vec<u8>,
    ones: u32,
    sha256: String,
}

fn rasterised(
    layout: &Layout,
    spikes: &[u8],
    row_bytes: usize,
    frames: Range<usize>,
    planes: Range<usize>,
) -> Vec<u8> {
    let mut out = vec![0xff; frames.len() * planes.len() * PLANE_BYTES];
    layout.rasterise(spikes, row_bytes, frames, planes, &mut out);
    out
}

/// Neurons in a cloud over `planes` planes, and their spikes over 37 frames in rows of 5 bytes.
fn cloud(neurons: usize, planes: u64) -> (Vec<[f64; 3]>, Vec<u8>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(neurons as u64);
    let mut coordinate = |places: u64| (rng.next_u64() % places) as f64;
    let xyz = (0..neurons)
        .map(|_| [coordinate(400), coordinate(300), coordinate(planes) * 5.0])
        .collect();
    let spikes = (0..neurons * 5)
        .map(|_| (rng.next_u64() & rng.next_u64()) as u8)
        .collect();
    (xyz, spikes)
}

/// The (plane, row, column) of the only spike, away from the markers.
fn only_spike(xyz: &[[f64; 3]], neuron: usize) -> (usize, usize, usize) {
    let layout = Layout::new(xyz);
    let mut spikes = vec![0; xyz.len()];
    let without = rasterised(&layout, &spikes, 1, 0..1, 0..layout.planes());
    spikes[neuron] = 1;
    let with = rasterised(&layout, &spikes, 1, 0..1, 0..layout.planes());
    let place = (0..with.len())
        .find(|&place| with[place] != without[place])
        .expect("a spike outside the markers");
    (
        place / PLANE_BYTES,
        place % PLANE_BYTES / COLUMNS,
        place % COLUMNS,
    )
}

#[test]
fn rule_7_3_equals_grids_by_plain_loops_in_numpy() {
    let golden: Vec<Golden> =
        serde_json::from_str(include_str!("../../../../tests/fixtures/pure/grids.json")).unwrap();
    for Golden {
        name,
        xyz,
        frames,
        z_values,
        spikes,
        ones,
        sha256,
    } in golden
    {
        let xyz: Vec<[f64; 3]> = xyz
            .chunks_exact(3)
            .map(|xyz| [0, 1, 2].map(|axis| f64::from_bits(xyz[axis])))
            .collect();
        let layout = Layout::new(&xyz);
        let expected: Vec<f64> = z_values.into_iter().map(f64::from_bits).collect();
        assert_eq!(layout.z_values, expected, "{name}");
        let volume = rasterised(
            &layout,
            &spikes,
            frames.div_ceil(8),
            0..frames,
            0..layout.planes(),
        );
        assert_eq!(
            volume.iter().map(|&voxel| u32::from(voxel)).sum::<u32>(),
            ones,
            "{name}"
        );
        let digest: String = Sha256::digest(&volume)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(digest, sha256, "{name}");
    }
}

#[test]
fn rule_7_1_levels_are_thousandths_rounded_half_to_even() {
    let levels =
        |z: &[f64]| Layout::new(&z.iter().map(|&z| [0.0, 0.0, z]).collect::<Vec<_>>()).z_values;
    assert_eq!(levels(&[0.0005, 0.0015, 0.0025]), [0.0, 0.002]);
    assert_eq!(levels(&[3.0, -1.0, 2.0, 3.0004]), [-1.0, 2.0, 3.0]);
}

#[test]
fn rule_7_1_zeros_of_both_signs_are_one_plane() {
    let layout = Layout::new(&[[0.0, 0.0, -0.0], [1.0, 1.0, 0.0], [2.0, 2.0, -0.0004]]);
    assert_eq!(layout.z_values, [0.0]);
    assert!(layout.z_values[0].is_sign_positive());
}

#[test]
fn rule_7_1_extremes_lie_in_the_first_and_last_pixel() {
    let xyz = [[-5.0, 100.0, 1.0], [20.0, 300.0, 1.0], [7.5, 200.0, 0.0]];
    assert_eq!(only_spike(&xyz, 1), (1, 255, 127));
    assert_eq!(only_spike(&xyz, 2), (0, 127, 63));
    assert_eq!(
        only_spike(&[xyz[0], xyz[1], [-5.0, 100.0, 2.0]], 2),
        (1, 0, 0)
    );
}

#[test]
fn rule_7_1_range_of_zero_is_taken_as_one() {
    assert_eq!(only_spike(&[[9.0, -4.0, 3.0]; 3], 1), (0, 0, 0));
}

#[test]
fn rule_2_5_missing_coordinates_count_as_zero() {
    let nan = f64::NAN;
    let missing = [[nan, 1.0, 2.0], [-4.0, nan, nan], [4.0, -1.0, nan]];
    let zero = missing.map(|position| position.map(|c| if c.is_nan() { 0.0 } else { c }));
    assert_eq!(Layout::new(&missing), Layout::new(&zero));
}

#[test]
fn rule_7_2_marker_grows_with_the_plane_up_to_the_whole_row() {
    let xyz: Vec<[f64; 3]> = (0..200).map(|z| [0.0, 0.0, f64::from(z)]).collect();
    let grids = rasterised(&Layout::new(&xyz), &[], 1, 0..1, 0..200);
    for (z, plane) in grids.chunks_exact(PLANE_BYTES).enumerate() {
        let length = (z + 2).min(128);
        for (row, pixels) in plane.chunks_exact(COLUMNS).enumerate() {
            let marked = if row < 2 { length } else { 0 };
            let expected: Vec<u8> = (0..COLUMNS)
                .map(|column| u8::from(column >= COLUMNS - marked))
                .collect();
            assert_eq!(pixels, expected, "plane {z}, row {row}");
        }
    }
}

#[test]
fn rule_7_2_cut_frames_and_planes_equal_the_whole() {
    let (xyz, spikes) = cloud(300, 9);
    let layout = Layout::new(&xyz);
    let planes = layout.planes();
    let whole = rasterised(&layout, &spikes, 5, 0..37, 0..planes);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    let mut cut = |end: usize| {
        let (a, b) = (
            rng.next_u64() as usize % (end + 1),
            rng.next_u64() as usize % (end + 1),
        );
        a.min(b)..a.max(b)
    };
    for _ in 0..60 {
        let (frames, planes_cut) = (cut(37), cut(planes));
        let expected: Vec<u8> = frames
            .clone()
            .flat_map(|t| {
                planes_cut
                    .clone()
                    .map(move |z| (t * planes + z) * PLANE_BYTES)
            })
            .flat_map(|begin| whole[begin..begin + PLANE_BYTES].iter().copied())
            .collect();
        let found = rasterised(&layout, &spikes, 5, frames.clone(), planes_cut.clone());
        assert!(
            found == expected,
            "frames {frames:?}, planes {planes_cut:?}"
        );
    }
}

#[test]
fn rule_7_2_order_of_neurons_does_not_matter() {
    let (mut xyz, mut spikes) = cloud(200, 4);
    let grids =
        |xyz: &[[f64; 3]], spikes: &[u8]| rasterised(&Layout::new(xyz), spikes, 5, 0..37, 0..4);
    let forwards = grids(&xyz, &spikes);
    xyz.reverse();
    spikes = spikes.chunks_exact(5).rev().flatten().copied().collect();
    assert!(forwards == grids(&xyz, &spikes));
}

#[test]
fn spikes_that_are_not_there_leave_pixels_empty() {
    let (xyz, spikes) = cloud(50, 3);
    let layout = Layout::new(&xyz);
    let empty = rasterised(&layout, &[], 5, 0..1, 0..4);
    // Frames beyond the rows, although bytes of the next neuron follow there.
    assert!(rasterised(&layout, &spikes, 5, 40..41, 0..4) == empty);
    // Neurons beyond the end of the slab.
    let first = rasterised(&layout, &spikes[..5], 5, 0..8, 0..3);
    let alone = rasterised(
        &layout,
        &[&spikes[..5], &vec![0; 245]].concat(),
        5,
        0..8,
        0..3,
    );
    assert!(first == alone);
    layout.rasterise(&spikes, 5, 3..3, 0..3, &mut []);
    layout.rasterise(&spikes, 5, 0..8, 2..2, &mut []);
}

#[test]
fn layout_survives_the_way_to_other_ranks() {
    let layout = Layout::new(&cloud(100, 7).0);
    let bytes = postcard::to_stdvec(&layout).unwrap();
    assert_eq!(postcard::from_bytes::<Layout>(&bytes), Ok(layout));
}
