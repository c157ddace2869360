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

/// The layout with a plane for each level.
fn laid_out(xyz: &[[f64; 3]]) -> Layout {
    Layout::new(xyz, PlaneRule::Levels).unwrap()
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
    let layout = laid_out(xyz);
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
        let layout = laid_out(&xyz);
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
        |z: &[f64]| laid_out(&z.iter().map(|&z| [0.0, 0.0, z]).collect::<Vec<_>>()).z_values;
    assert_eq!(levels(&[0.0005, 0.0015, 0.0025]), [0.0, 0.002]);
    assert_eq!(levels(&[3.0, -1.0, 2.0, 3.0004]), [-1.0, 2.0, 3.0]);
}

#[test]
fn rule_7_1_zeros_of_both_signs_are_one_plane() {
    let layout = laid_out(&[[0.0, 0.0, -0.0], [1.0, 1.0, 0.0], [2.0, 2.0, -0.0004]]);
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

/// The places of neurons at `z`, by plane.
fn planes_of(z: &[f64], rule: PlaneRule) -> (Vec<f64>, Vec<usize>) {
    let xyz: Vec<[f64; 3]> = z.iter().map(|&z| [0.0, 0.0, z]).collect();
    let layout = Layout::new(&xyz, rule).unwrap();
    let places = layout.places();
    let planes = places.iter().flatten().map(|place| place.plane).collect();
    (layout.z_values, planes)
}

#[test]
fn rule_2_5_a_neuron_with_a_missing_coordinate_has_no_place_and_moves_no_other() {
    let nan = f64::NAN;
    let placed = [[10.0, 5.0, 2.0], [20.0, 9.0, 2.0], [15.0, 7.0, 3.0]];
    for missing in [
        [nan, 0.0, 0.0],
        [0.0, nan, 0.0],
        [900.0, 0.0, nan],
        [nan; 3],
    ] {
        let xyz = [placed[0], missing, placed[1], missing, placed[2]];
        let (layout, without) = (laid_out(&xyz), laid_out(&placed));
        assert_eq!(layout.z_values, without.z_values);
        assert_eq!((layout.neurons(), without.neurons()), (5, 3));
        assert_eq!(layout.neurons_per_plane(), [2, 1]);
        let places = without.places();
        assert_eq!(
            layout.places(),
            [places[0], None, places[1], None, places[2]]
        );
        // Its spikes are in no pixel, those of the others where they were.
        let found = rasterised(&layout, &[1, 1, 2, 2, 4], 1, 0..3, 0..2);
        assert!(found == rasterised(&without, &[1, 2, 4], 1, 0..3, 0..2));
    }
    let nowhere = laid_out(&[[nan; 3]; 2]);
    assert_eq!((nowhere.planes(), nowhere.neurons()), (0, 2));
    assert_eq!(nowhere.places(), [None, None]);
}

#[test]
fn rule_7_4_slabs_of_equal_height_reach_from_the_lowest_to_the_highest_neuron() {
    let (z_values, planes) = planes_of(&[10.0, 12.4, 12.5, 19.9, 20.0], PlaneRule::Count(4));
    assert_eq!(z_values, [11.25, 13.75, 16.25, 18.75]);
    assert_eq!(planes, [0, 0, 1, 3, 3]);
    // A slab without neurons is a plane.
    let xyz = [[0.0, 0.0, 10.0], [1.0, 1.0, 20.0]];
    let layout = Layout::new(&xyz, PlaneRule::Count(4)).unwrap();
    assert_eq!(layout.neurons_per_plane(), [1, 0, 0, 1]);
    let grids = rasterised(&layout, &[1, 0], 1, 0..1, 0..4);
    assert_eq!(
        grids.iter().map(|&pixel| usize::from(pixel)).sum::<usize>(),
        1 + 2 * (2 + 3 + 4 + 5)
    );
    assert_eq!(
        planes_of(&[-3.0, 4.0], PlaneRule::Count(1)),
        (vec![0.5], vec![0, 0])
    );
}

#[test]
fn rule_7_4_slabs_of_a_height_begin_at_the_lowest_neuron() {
    let (z_values, planes) = planes_of(&[9.0, -1.0, 2.9, 3.0, 6.9], PlaneRule::Step(4.0));
    assert_eq!(z_values, [1.0, 5.0, 9.0]);
    assert_eq!(planes, [2, 0, 0, 1, 1]);
    // The planes of a stack stay apart, also where a sum of tenths is no tenth.
    let stack: Vec<f64> = (0..40).map(|plane| f64::from(plane) * 0.1).collect();
    let (z_values, planes) = planes_of(&stack, PlaneRule::Step(0.1));
    assert_eq!((z_values.len(), planes), (40, (0..40).collect()));
    let lower = [0.0, 0.29, 0.58, 1.0];
    assert_eq!(planes_of(&lower, PlaneRule::Count(100)).1, [0, 29, 58, 99]);
}

#[test]
fn rule_7_4_neurons_of_one_z_lie_in_one_plane_with_any_rule() {
    for rule in [
        PlaneRule::Levels,
        PlaneRule::Count(30),
        PlaneRule::Step(5.0),
    ] {
        assert_eq!(
            planes_of(&[7.5; 3], rule),
            (vec![7.5], vec![0, 0, 0]),
            "{rule:?}"
        );
        assert_eq!(planes_of(&[], rule), (vec![], vec![]), "{rule:?}");
    }
    assert_eq!(PlaneRule::default(), PlaneRule::Levels);
}

#[test]
fn rule_7_4_planes_that_make_no_sense_are_refused() {
    let xyz = [[0.0, 0.0, 0.0], [1.0, 1.0, 100.0]];
    let refused = |rule| Layout::new(&xyz, rule).unwrap_err();
    assert_eq!(refused(PlaneRule::Count(0)), PlaneError::None);
    for height in [0.0, -5.0, f64::NAN, f64::INFINITY] {
        let error = refused(PlaneRule::Step(height));
        assert!(matches!(error, PlaneError::Height(_)), "{error}");
    }
    for rule in [
        PlaneRule::Count(usize::MAX),
        PlaneRule::Step(1e-3),
        PlaneRule::Step(1e-300),
    ] {
        let error = refused(rule).to_string();
        assert!(error.contains("more than 65536 planes"), "{error}");
    }
    let most = Layout::new(&xyz, PlaneRule::Count(MOST_PLANES)).unwrap();
    assert_eq!(most.planes(), MOST_PLANES);
}

#[test]
fn rule_9_4_places_are_the_pixels_that_spikes_set() {
    let (xyz, _) = cloud(40, 3);
    let places = laid_out(&xyz).places();
    for (neuron, place) in places.into_iter().enumerate() {
        let place = place.unwrap();
        if !place.is_under_marker() {
            let expected = (place.plane, place.row, place.column);
            assert_eq!(only_spike(&xyz, neuron), expected);
        }
    }
}

#[test]
fn rule_7_2_the_marker_covers_two_rows_of_as_many_columns_as_the_plane_has() {
    let covered = |plane, row, column| Place { plane, row, column }.is_under_marker();
    assert!(covered(0, 0, 126) && covered(0, 1, 127));
    assert!(!covered(0, 0, 125) && !covered(0, 2, 127));
    assert!(covered(1, 0, 125) && covered(126, 1, 0) && covered(4000, 1, 0));
}

#[test]
fn rule_7_2_marker_grows_with_the_plane_up_to_the_whole_row() {
    let xyz: Vec<[f64; 3]> = (0..200).map(|z| [0.0, 0.0, f64::from(z)]).collect();
    let grids = rasterised(&laid_out(&xyz), &[], 1, 0..1, 0..200);
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
    let layout = laid_out(&xyz);
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
        |xyz: &[[f64; 3]], spikes: &[u8]| rasterised(&laid_out(xyz), spikes, 5, 0..37, 0..4);
    let forwards = grids(&xyz, &spikes);
    xyz.reverse();
    spikes = spikes.chunks_exact(5).rev().flatten().copied().collect();
    assert!(forwards == grids(&xyz, &spikes));
}

#[test]
fn spikes_that_are_not_there_leave_pixels_empty() {
    let (xyz, spikes) = cloud(50, 3);
    let layout = laid_out(&xyz);
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
fn rule_9_3_collisions_are_spikes_less_the_pixels_that_they_set() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    for frames in [1usize, 8, 37, 64, 100] {
        // Few pixels and planes for 90 neurons, some of which have no position.
        let xyz: Vec<[f64; 3]> = (0..90)
            .map(|_| [3, 4, 2].map(|places| (random.next_u64() % places) as f64))
            .map(|[x, y, z]| {
                if x + y + z == 4.0 {
                    [x, f64::NAN, z]
                } else {
                    [x, y, z]
                }
            })
            .collect();
        let layout = laid_out(&xyz);
        let bytes = frames.div_ceil(8);
        let mut spikes: Vec<u8> = (0..90 * bytes).map(|_| random.next_u64() as u8).collect();
        for row in spikes.chunks_mut(bytes) {
            row[bytes - 1] &= u8::MAX >> (bytes * 8 - frames);
        }
        let spikes_at = |neuron: usize, t: usize| spikes[neuron * bytes + t / 8] >> (t % 8) & 1;
        let places = layout.places();
        let mut expected = std::collections::BTreeMap::new();
        for t in 0..frames {
            let mut set = std::collections::BTreeSet::new();
            for (neuron, place) in places.iter().enumerate() {
                if let Some(place) = place
                    && spikes_at(neuron, t) == 1
                    && !set.insert(*place)
                {
                    *expected.entry(*place).or_insert(0) += 1;
                }
            }
        }
        let octets: Vec<Vec<u8>> = (0..bytes)
            .map(|octet| spikes.chunks(bytes).map(|row| row[octet]).collect())
            .collect();
        let found = layout.collisions(octets.iter().map(Vec::as_slice));
        assert_eq!(
            found.lost,
            expected.values().sum::<u64>(),
            "{frames} frames"
        );
        assert_eq!(found.pixels, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn rule_9_3_neurons_that_share_no_pixel_or_no_frame_lose_nothing() {
    let layout = laid_out(&[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0; 3]]);
    let lost = |spikes: [u8; 4]| layout.collisions([&spikes[..]].into_iter()).lost;
    assert_eq!(lost([0xff, 0xff, 0xff, 0]), 0);
    assert_eq!(lost([0x0f, 0xff, 0xff, 0xf0]), 0);
    assert_eq!(lost([0x0f, 0xff, 0xff, 0x1f]), 4);
    // Of neurons whose spikes are not there nothing is lost.
    assert_eq!(
        layout.collisions([&[0xff][..]].into_iter()),
        Collisions::default()
    );
    assert_eq!(layout.collisions(std::iter::empty()), Collisions::default());
}

#[test]
fn layout_survives_the_way_to_other_ranks() {
    let layout = laid_out(&cloud(100, 7).0);
    let bytes = postcard::to_stdvec(&layout).unwrap();
    assert_eq!(postcard::from_bytes::<Layout>(&bytes), Ok(layout));
}
