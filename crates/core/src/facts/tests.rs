use std::collections::HashSet;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;
use crate::baseline::{DffSettings, SlidingPercentile, Window};

const NAN: f32 = f32::NAN;

/// Facts of samples of which `blank_frames` are blank.
fn of_samples(samples: &[f32], blank_frames: &[u32]) -> NeuronFacts {
    let mut samples = samples.to_vec();
    DffSettings::new(Baseline::Dff, Window::from_half(1))
        .leave_out_missing(&mut samples, blank_frames);
    let mut facts = NeuronFacts::default();
    facts.note_samples(&samples, blank_frames.len());
    facts
}

fn flags_of(samples: &[f32]) -> Vec<&'static str> {
    names(of_samples(samples, &[]).flags)
}

fn names(flags: NeuronFlags) -> Vec<&'static str> {
    let set = NeuronFlags::NAMES
        .iter()
        .filter(|(flag, _)| flags.has(*flag));
    set.map(|(_, name)| *name).collect()
}

/// Facts of a trace after ΔF/F with a baseline of 3 frames.
fn of_baseline(baseline: Baseline, trace: &[f32]) -> NeuronFacts {
    let settings = DffSettings {
        percentile: 0.0,
        ..DffSettings::new(baseline, Window::from_half(1))
    };
    let (mut trace, mut scratch) = (trace.to_vec(), SlidingPercentile::new());
    let f0 = settings.apply(&mut trace, &[], &mut scratch);
    let mut facts = NeuronFacts::default();
    facts.note_baseline(baseline, f0, &trace, &mut vec![7.0; 3]);
    facts
}

#[test]
fn rule_9_3_equal_samples_have_equal_hashes_and_others_do_not() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let trace: Vec<f32> = (0..501).map(|_| (random.next_u64() % 9) as f32).collect();
    let given = hash(&trace);
    assert_eq!(given, hash(&trace.clone()));
    let mut hashes = HashSet::from([given]);
    for frame in 0..trace.len() {
        let mut other = trace.clone();
        other[frame] += 1.0;
        assert!(hashes.insert(hash(&other)), "frame {frame} counts");
        other[frame] = NAN;
        assert!(hashes.insert(hash(&other)), "frame {frame} missing");
        assert!(hashes.insert(hash(&trace[..frame])), "{frame} frames");
        // The order counts, within a pair and beyond.
        for distance in [1, 2] {
            let mut swapped = trace.clone();
            swapped.swap(frame, (frame + distance) % 501);
            let same = swapped == trace;
            assert_eq!(hash(&swapped) == given, same, "frame {frame} swapped");
        }
    }
    assert_ne!(hash(&[0.0; 4]), hash(&[0.0; 5]));
}

#[test]
fn rule_9_3_hashes_of_a_hundred_thousand_similar_neurons_differ() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
    // Whole numbers from 0 to 3 in 40 frames, and traces that only count.
    let coarse = (0..100_000u32).map(|neuron| {
        let mut trace: Vec<f32> = (0..40).map(|_| (random.next_u64() % 4) as f32).collect();
        trace[0] = neuron as f32;
        hash(&trace)
    });
    let counting = (0..100_000u32).map(|neuron| hash(&[7.0, neuron as f32, 7.0, 7.0, 7.0]));
    let hashes: HashSet<u64> = coarse.chain(counting).collect();
    assert_eq!(hashes.len(), 200_000);
    // High and low bits are as good as the whole.
    for shift in [0, 32] {
        let halves: HashSet<u32> = hashes.iter().map(|hash| (hash >> shift) as u32).collect();
        assert!(halves.len() > 199_900, "{} of 200,000", halves.len());
    }
}

#[test]
fn rule_9_3_any_nan_is_the_same_to_the_hash() {
    let quiet = f32::from_bits(0x7fc0_0001);
    let negative = f32::from_bits(0xffc0_0000);
    let expected = hash(&[1.0, NAN, 2.0]);
    assert_eq!(hash(&[1.0, quiet, 2.0]), expected);
    assert_eq!(hash(&[1.0, negative, 2.0]), expected);
    assert_ne!(hash(&[1.0, f32::INFINITY, 2.0]), expected);
}

#[test]
fn rule_9_3_dead_neurons_are_constant_and_missing_ones_have_no_sample() {
    for constant in [0.0, 7.25, -3.0] {
        assert_eq!(flags_of(&[constant; 40]), ["dead"]);
        assert_eq!(flags_of(&[NAN, constant, NAN, constant]), ["dead"]);
    }
    assert_eq!(flags_of(&[NAN; 40]), ["missing"]);
    assert_eq!(
        flags_of(&[NAN, f32::INFINITY, f32::NEG_INFINITY]),
        ["missing"]
    );
    assert!(flags_of(&[7.0, 7.0, 7.5]).is_empty());
    assert!(flags_of(&[7.0]).is_empty() && flags_of(&[NAN, 7.0]).is_empty());
    // Over the lanes in which samples are looked at.
    for place in 0..50 {
        let mut samples = [1.0; 50];
        samples[place] = 1.5;
        assert!(flags_of(&samples).is_empty(), "{place}");
    }
}

#[test]
fn rule_9_3_missing_samples_are_counted_blank_frames_apart() {
    let samples = [0.0, 3.0, NAN, 4.0, 0.0, f32::INFINITY];
    let facts = of_samples(&samples, &[0, 4]);
    assert_eq!(facts.missing_frames, 2);
    assert_eq!(of_samples(&samples, &[]).missing_frames, 2);
    let constant_elsewhere = of_samples(&[0.0, 3.0, 3.0], &[0]);
    assert_eq!(names(constant_elsewhere.flags), ["dead"]);
    let nothing_elsewhere = of_samples(&[0.0, NAN, NAN], &[0]);
    assert_eq!(names(nothing_elsewhere.flags), ["missing"]);
    assert_eq!(nothing_elsewhere.missing_frames, 2);
    // A recording of zeros alone.
    let all_blank = of_samples(&[0.0; 3], &[0, 1, 2]);
    assert_eq!(names(all_blank.flags), ["dead"]);
    assert_eq!(all_blank.missing_frames, 0);
}

#[test]
fn rule_9_3_clipped_neurons_have_a_hundredth_of_their_samples_at_the_largest_value() {
    let clipped = |frames: u32, at_largest: u32, missing: usize| {
        let rising = (0..frames - at_largest).map(|t| 100.0 + t as f32);
        let mut trace: Vec<f32> = rising.collect();
        trace.extend(vec![65_535.0; at_largest as usize]);
        trace.extend(vec![NAN; missing]);
        flags_of(&trace) == ["clipped"]
    };
    assert!(clipped(1000, 10, 0) && !clipped(1000, 9, 0));
    assert!(clipped(1000, 10, 500), "of the samples that are there");
    assert!(!clipped(1001, 10, 0) && clipped(1001, 11, 0));
    assert!(clipped(50, 5, 0) && !clipped(50, 4, 0), "5 at least");
}

#[test]
fn rule_9_3_zeros_lie_below_half_of_the_8th_percentile_of_the_others() {
    let with_zeros = |others: &[f32]| {
        let mut trace = others.to_vec();
        trace.extend([0.0, -0.0]);
        flags_of(&trace) == ["zeros"]
    };
    let positive: Vec<f32> = (0..100).map(|t| 50.0 + t as f32).collect();
    assert!(with_zeros(&positive));
    assert!(flags_of(&positive).is_empty());
    // The 8th percentile of 101 others is the ninth smallest.
    let shifted = |negative: usize| -> Vec<f32> {
        let others = (0..101).map(|t| t as f32 - negative as f32 + 0.5);
        others.collect()
    };
    assert!(with_zeros(&shifted(8)) && !with_zeros(&shifted(9)));
    // Between two: 0.08 · 4 = 0.32 of the way from -1 to 3 is 0.28, to 2 it is -0.04.
    assert!(with_zeros(&[-1.0, 3.0, 4.0, 5.0, 6.0]));
    assert!(!with_zeros(&[-1.0, 2.0, 4.0, 5.0, 6.0]));
    assert!(!with_zeros(&[-1.0]) && with_zeros(&[1.0]) && !with_zeros(&[-1.0; 20]));
    assert!(!with_zeros(&[-2.0, -1.0, -3.0]));
    // Those of blank frames are none.
    assert!(of_samples(&[0.0, 5.0, 6.0, 7.0], &[0]).flags == NeuronFlags::default());
}

#[test]
fn rule_9_4_the_median_of_f0_leaves_out_frames_without_one() {
    let trace = [1.0, 2.0, 4.0, NAN, NAN, NAN, 8.0, 9.0];
    for baseline in [Baseline::Dff, Baseline::Subtract] {
        // F0 is 1, 1, 2, NaN, NaN, NaN, 8, 8.
        assert_eq!(of_baseline(baseline, &trace).f0_median, 2.0);
    }
    assert!(of_baseline(Baseline::None, &trace).f0_median.is_nan());
    assert!(of_baseline(Baseline::Dff, &[NAN; 4]).f0_median.is_nan());
    assert!(of_baseline(Baseline::Dff, &[]).f0_median.is_nan());
}

#[test]
fn rule_9_3_frames_with_f0_that_is_not_positive_count_where_it_divides() {
    let trace = [-1.0, 3.0, 3.0, 0.0, 3.0, 3.0, 2.0, NAN];
    // F0 is -1, -1, 0, 0, 0, 2, 2, 2.
    assert_eq!(of_baseline(Baseline::Dff, &trace).f0_not_positive, 5);
    for baseline in [Baseline::Subtract, Baseline::None] {
        assert_eq!(of_baseline(baseline, &trace).f0_not_positive, 0);
    }
}

#[test]
fn rule_9_3_gaps_lie_between_frames_that_have_dff() {
    let gaps = |baseline, trace: &[f32]| of_baseline(baseline, trace).gap_frames;
    let none = |trace: &[f32]| gaps(Baseline::None, trace);
    assert_eq!(none(&[NAN, 1.0, NAN, NAN, 2.0, NAN, 3.0, NAN]), 3);
    for whole in [
        &[][..],
        &[NAN; 3],
        &[1.0],
        &[NAN, NAN, 1.0, 2.0],
        &[1.0, NAN],
    ] {
        assert_eq!(none(whole), 0, "{whole:?}");
    }
    // F0 is 3, -1, -1, -1, 3, 3, 3, 3: where it divides, frames 1 to 3 have no ΔF/F, and no bridge is advised over them.
    let negative = [3.0, 3.0, -1.0, 3.0, 3.0, NAN, 3.0, 3.0];
    assert_eq!(gaps(Baseline::Dff, &negative), 1);
    assert_eq!(gaps(Baseline::Subtract, &negative), 1);
}

#[test]
fn rule_9_3_near_zero_is_a_ratio_beyond_20_on_either_side() {
    let flags = |baseline, trace: &[f32]| names(of_baseline(baseline, trace).flags);
    assert!(flags(Baseline::Dff, &[1.0, 21.0, 1.0]).is_empty());
    assert_eq!(flags(Baseline::Dff, &[1.0, 21.5, 1.0]), ["near_zero"]);
    assert!(flags(Baseline::Subtract, &[1.0, 99.0, 1.0]).is_empty());
    let mut facts = NeuronFacts::default();
    facts.note_baseline(Baseline::Dff, &[1.0], &[-20.5], &mut Vec::new());
    assert_eq!(names(facts.flags), ["near_zero"]);
}

#[test]
fn rule_9_3_drift_is_a_change_by_more_than_half_between_the_ends() {
    let drifts = |baseline, first: f32, last: f32| {
        let mut trace = vec![first; 10];
        trace.extend([first; 40]);
        trace.extend([last; 50]);
        let flags = of_baseline(baseline, &trace).flags;
        flags.has(NeuronFlags::DRIFT)
    };
    assert!(!drifts(Baseline::Dff, 100.0, 50.0) && drifts(Baseline::Dff, 100.0, 49.0));
    assert!(!drifts(Baseline::Dff, 100.0, 150.0) && drifts(Baseline::Dff, 100.0, 151.0));
    assert!(!drifts(Baseline::Dff, -100.0, 100.0) && !drifts(Baseline::Dff, 0.0, 100.0));
    assert!(!drifts(Baseline::Dff, NAN, 100.0) && !drifts(Baseline::Dff, 100.0, NAN));
    assert!(!drifts(Baseline::Subtract, 100.0, 1.0) && !drifts(Baseline::None, 100.0, 1.0));
    // No tenth.
    let short = of_baseline(Baseline::Dff, &[100.0, 1.0, 1.0, 1.0]).flags;
    assert!(!short.has(NeuronFlags::DRIFT));
}

#[test]
fn rule_9_4_expected_spikes_are_the_sum_of_clipped_rates() {
    let of_rates = |rate: &[f32]| {
        let mut facts = NeuronFacts::default();
        facts.note_rates(rate);
        (
            facts.expected_spikes,
            facts.clipped_spikes,
            facts.largest_rate,
        )
    };
    let rate = [NAN, 0.5, -0.25, 1.5, 3.0, 0.25, 1.0, NAN];
    assert_eq!(of_rates(&rate), (3.75, 2.5, 3.0));
    assert_eq!(of_rates(&[NAN; 3]), (0.0, 0.0, 0.0));
    assert_eq!(of_rates(&[]), (0.0, 0.0, 0.0));
    assert_eq!(of_rates(&[-0.5, -0.25]), (0.0, 0.0, -0.25));
    // In f64: a thousand million small ones would be lost in f32.
    let many = vec![1e-4; 1 << 20];
    let (expected, ..) = of_rates(&many);
    assert!((expected - 104.8576).abs() < 1e-4, "{expected}");
}

/// The repeated frames of neurons of equal length, all in one unit.
fn repeated(neurons: &[&[f32]], missing: Option<f32>, blank_frames: &[u32]) -> RepeatedFrames {
    RepeatedFrames::of(&neurons.concat(), neurons[0].len(), missing, blank_frames)
}

fn frames(repeated: &RepeatedFrames) -> Vec<u32> {
    repeated.frames().collect()
}

#[test]
fn rule_9_3_a_frame_is_repeated_if_all_neurons_repeat_it() {
    let one = [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0];
    let other = [5.0, 5.0, 6.0, 7.0, 7.0, 7.0, 7.0];
    assert_eq!(frames(&repeated(&[&one, &other], None, &[])), [1, 4, 6]);
    assert_eq!(frames(&repeated(&[&one], None, &[])), [1, 3, 4, 6]);
    assert!(
        frames(&repeated(
            &[&one, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]],
            None,
            &[]
        ))
        .is_empty()
    );
    for short in [&[][..], &[1.0]] {
        assert_eq!(repeated(&[short], None, &[]), RepeatedFrames::default());
    }
}

#[test]
fn rule_9_3_blank_and_missing_frames_repeat_nothing() {
    let dark = [0.0, 0.0, 0.0, 4.0, 4.0];
    assert_eq!(frames(&repeated(&[&dark, &dark], None, &[0, 1, 2])), [4]);
    let lost = [2.0, NAN, -NAN, NAN, 4.0, 4.0];
    let found = [1.0, 1.0, 1.0, NAN, 3.0, 3.0];
    assert_eq!(frames(&repeated(&[&lost, &lost], None, &[])), [5]);
    assert_eq!(frames(&repeated(&[&lost, &found], None, &[])), [2, 5]);
    let coded = [-1.0, -1.0, 2.0, 2.0];
    assert_eq!(frames(&repeated(&[&coded], Some(-1.0), &[])), [3]);
}

#[test]
fn rule_9_3_repeated_frames_do_not_depend_on_how_neurons_are_cut_into_units() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    for _ in 0..300 {
        let kinds = [1.0, NAN, -1.0];
        let recording: Vec<f32> = (0..4 * 9)
            .map(|_| kinds[(random.next_u64() % 9).saturating_sub(6) as usize])
            .collect();
        let whole = RepeatedFrames::of(&recording, 9, Some(-1.0), &[3, 4]);
        for neurons in [1, 2, 3] {
            let units = recording.chunks(neurons * 9);
            let mut units = units.map(|unit| RepeatedFrames::of(unit, 9, Some(-1.0), &[3, 4]));
            let mut merged = units.next_back().expect("a unit");
            units.for_each(|unit| merged.intersect(&unit));
            assert_eq!(merged, whole, "units of {neurons}");
        }
    }
}
