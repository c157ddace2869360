//! The rules by hand, and against the code that makes outputs.

use rand_xoshiro::rand_core::Rng;
use spikegrid_core::{grid, spikes, split};

use super::*;

fn random(seed: u64) -> impl FnMut() -> f64 {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    move || (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[test]
fn rule_9_6_places_by_hand() {
    let xyz = [
        [0.0, 0.0, 2.0],
        [10.0, 5.0, 1.0004],
        [5.0, 10.0, 1.0],
        [f64::NAN, 1.0, 7.0],
    ];
    let (z_values, found) = places(&xyz, Cut::Levels, Missing::NoPosition);
    assert_eq!(z_values, [1.0, 2.0]);
    let place = |plane, row, column| Some(Place { plane, row, column });
    assert_eq!(
        found,
        [place(1, 0, 0), place(0, 255, 63), place(0, 127, 127), None]
    );
    let (z_values, found) = places(&xyz, Cut::Levels, Missing::Zero);
    assert_eq!(z_values, [1.0, 2.0, 7.0]);
    assert_eq!(found[3], place(2, 0, 12));
}

#[test]
fn rule_9_6_levels_round_half_to_even_and_zeros_are_one_level() {
    let levels = |z: &[f64]| {
        let xyz: Vec<[f64; 3]> = z.iter().map(|&z| [0.0, 0.0, z]).collect();
        places(&xyz, Cut::Levels, Missing::NoPosition).0
    };
    assert_eq!(levels(&[0.0005, 0.0015, 0.0025]), [0.0, 0.002]);
    let zero = levels(&[0.0, -0.0, -0.0001]);
    assert_eq!(zero.iter().map(|z| z.to_bits()).collect::<Vec<_>>(), [0]);
    assert_eq!(levels(&[]), [0.0; 0]);
}

#[test]
fn rule_9_6_slabs_have_their_middle_as_z() {
    let z = [0.0, 2.4, 2.5, 9.9, 10.0];
    let xyz: Vec<[f64; 3]> = z.iter().map(|&z| [0.0, 0.0, z]).collect();
    let planes = |places: Vec<Option<Place>>| -> Vec<usize> {
        places.iter().flatten().map(|place| place.plane).collect()
    };
    let (z_values, found) = places(&xyz, Cut::Count(4), Missing::NoPosition);
    assert_eq!(z_values, [1.25, 3.75, 6.25, 8.75]);
    assert_eq!(planes(found), [0, 0, 1, 3, 3]);
    let (z_values, found) = places(&xyz, Cut::Step(4.0), Missing::NoPosition);
    assert_eq!(z_values, [2.0, 6.0, 10.0]);
    assert_eq!(planes(found), [0, 0, 0, 2, 2]);
    // Levels that lie a step apart stay apart.
    let (z_values, found) = places(&xyz, Cut::Step(2.5), Missing::NoPosition);
    assert_eq!(z_values, [1.25, 3.75, 6.25, 8.75, 11.25]);
    assert_eq!(planes(found), [0, 0, 1, 3, 4]);
}

#[test]
fn rule_9_6_places_are_those_of_the_grids_that_are_made() {
    let mut random = random(1);
    let xyz: Vec<[f64; 3]> = (0..500)
        .map(|_| {
            [
                random() * 700.0 - 50.0,
                random() * 300.0,
                (random() * 12.0).floor() * 7.5,
            ]
        })
        .collect();
    let layout = grid::Layout::new(&xyz, grid::PlaneRule::Levels).unwrap();
    let (z_values, found) = places(&xyz, Cut::Levels, Missing::NoPosition);
    assert_eq!(z_values, layout.z_values);
    // Each neuron alone spikes in the frame of its number.
    let frames = xyz.len();
    let row = spikes::row_bytes(frames);
    let mut packed = vec![0; frames * row];
    for neuron in 0..frames {
        packed[neuron * row + neuron / 8] |= 1 << (neuron % 8);
    }
    let mut pixels = vec![0; z_values.len() * PIXELS];
    for (neuron, place) in found.iter().enumerate() {
        layout.rasterise(
            &packed,
            row,
            neuron..neuron + 1,
            0..z_values.len(),
            &mut pixels,
        );
        let place = place.unwrap();
        for (index, &pixel) in pixels.iter().enumerate() {
            let (plane, pixel_of) = (index / PIXELS, index % PIXELS);
            let here = plane == place.plane && pixel_of == place.pixel();
            assert_eq!(
                pixel == 1,
                here || is_marker(plane, pixel_of),
                "{neuron}, {index}"
            );
        }
    }
}

#[test]
fn rule_9_6_slabs_are_those_of_the_grids_that_are_made() {
    let mut random = random(2);
    let mut cloud = |z: &mut dyn FnMut(f64) -> f64| -> Vec<[f64; 3]> {
        let mut place = || [random() * 700.0, random() * 300.0, z(random())];
        (0..500).map(|_| place()).collect()
    };
    let (continuous, stack) = (
        cloud(&mut |uniform| uniform * 90.0 - 7.0),
        cloud(&mut |uniform| (uniform * 12.0).floor() * 0.1),
    );
    let flat = cloud(&mut |_| 3.0);
    for (xyz, step) in [(continuous, 4.0), (stack, 0.1), (flat, 2.0)] {
        for (cut, rule) in [
            (Cut::Count(7), grid::PlaneRule::Count(7)),
            (Cut::Count(300), grid::PlaneRule::Count(300)),
            (Cut::Step(step), grid::PlaneRule::Step(step)),
        ] {
            let layout = grid::Layout::new(&xyz, rule).unwrap();
            let (z_values, found) = places(&xyz, cut, Missing::NoPosition);
            assert_eq!(z_values, layout.z_values, "{rule:?}");
            for (found, made) in found.iter().zip(layout.places()) {
                let made = made.map(|place| (place.plane, place.row, place.column));
                assert_eq!(
                    found.map(|place| (place.plane, place.row, place.column)),
                    made,
                    "{rule:?}"
                );
            }
        }
    }
}

#[test]
fn rule_9_6_marker_by_hand() {
    assert_eq!([0, 1, 125, 126, 300].map(marker_start), [126, 125, 1, 0, 0]);
    let under = (0..PIXELS).filter(|&pixel| is_marker(1, pixel));
    assert_eq!(under.collect::<Vec<_>>(), [125, 126, 127, 253, 254, 255]);
}

#[test]
fn rule_9_6_split_is_that_of_numpy() {
    // numpy.random.seed(42); blocks = numpy.arange(10); numpy.random.shuffle(blocks): 8 1 5 0 7 2 9 4 3 6
    let tests = |ratio| -> Vec<usize> {
        let is_train = split(3400, ratio, 42);
        (0..10)
            .filter(|block| is_train[block * BLOCK] == 0)
            .collect()
    };
    assert_eq!(tests(0.95), [8]);
    assert_eq!(tests(0.6), [0, 1, 5, 8]);
    assert_eq!(split(329, 0.5, 1), vec![1; 329]);
    for frames in (0..9000).step_by(333) {
        for ratio in [0.0, 0.5, 0.95, 1.0] {
            let made = split::train_mask(frames, ratio, frames as u32);
            let made: Vec<u8> = made.into_iter().map(u8::from).collect();
            assert!(
                split(frames, ratio, frames as u32) == made,
                "{frames} frames, {ratio}"
            );
        }
    }
}

#[test]
fn rule_9_6_spikes_are_those_of_the_run() {
    let mut random = random(2);
    for neuron in [0, 1, 99_999] {
        let mut rate: Vec<f32> = (0..1000).map(|_| random() as f32 * 1.4 - 0.2).collect();
        rate[7] = f32::NAN;
        let mut packed = vec![0; spikes::row_bytes(rate.len())];
        let mut generator = spikes::generator(4_294_967_295, "subject_ä", neuron as u64);
        spikes::sample(&rate, &mut generator, &mut packed);
        let mut uniform = Uniform::new(4_294_967_295, "subject_ä", neuron);
        for (frame, &rate) in rate.iter().enumerate() {
            assert_eq!(
                uniform.spikes(rate),
                spikes::is_set(&packed, frame),
                "{frame}"
            );
        }
    }
}
