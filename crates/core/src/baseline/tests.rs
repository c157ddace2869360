use std::collections::HashMap;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::ranks::RankSet;
use super::*;

fn dff_of(baseline: Baseline, half: usize, percentile: f64, trace: &[f32]) -> Vec<f32> {
    let mut out = trace.to_vec();
    dff(
        baseline,
        Window::from_half(half),
        percentile,
        &mut out,
        &mut SlidingPercentile::new(),
    );
    out
}

fn f0_of(half: usize, percentile: f64, trace: &[f32]) -> Vec<f32> {
    SlidingPercentile::new()
        .of(trace, Window::from_half(half), percentile)
        .to_vec()
}

/// Equal values, or NaN on both sides.
fn assert_same(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (t, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let same = found == expected || (found.is_nan() && expected.is_nan());
        assert!(same, "{what}, frame {t}: {found:e} instead of {expected:e}");
    }
}

/// Each percentile of every window, from a sorted copy of those of its samples that are there.
fn brute_force<const P: usize>(half: usize, percentiles: [f64; P], trace: &[f32]) -> [Vec<f32>; P] {
    let mut f0 = [const { Vec::new() }; P];
    for t in 0..trace.len() {
        let mut window = trace[t.saturating_sub(half)..trace.len().min(t + half + 1)].to_vec();
        let frames = window.len();
        window.retain(|sample| sample.is_finite());
        window.sort_unstable_by(f32::total_cmp);
        for (f0, percentile) in f0.iter_mut().zip(percentiles) {
            if 2 * window.len() < frames {
                f0.push(f32::NAN);
                continue;
            }
            let place = (window.len() - 1) as f64 * (percentile / 100.0);
            let low = f64::from(window[place.floor() as usize]);
            let high = f64::from(window[place.ceil() as usize]);
            let weight = place - place.floor();
            let value = if weight < 0.5 {
                low + (high - low) * weight
            } else {
                high - (high - low) * (1.0 - weight)
            };
            f0.push(value as f32);
        }
    }
    f0
}

/// Kinds of hard samples.
const KINDS: u64 = 10;

/// Samples of many kinds, most of them hard: `kind` 0 to 9.
fn hard_sample(kind: u64, rng: &mut Xoshiro256PlusPlus) -> f32 {
    let bits = rng.next_u64();
    let unit = (bits >> 40) as f32 / (1u64 << 24) as f32;
    match kind {
        0 => 100.0 + 20.0 * unit,
        1 => (bits % 5) as f32 - 2.0,
        2 => match bits % 40 {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            _ => unit,
        },
        3 => f32::from_bits((bits % 9) as u32 | (bits as u32 & 1 << 31)), // subnormal, both signs, both zeros
        4 => [f32::MAX, -f32::MAX, 1e38, -1e38, 0.0, -0.0][(bits % 6) as usize],
        5 => [1e6, unit][(bits % 2) as usize],
        6 => f32::from_bits(bits as u32), // any bits: NaN and infinities among them
        7 => [f32::NAN, unit][(bits % 2) as usize], // about half of each window
        8 => [f32::NAN, 3.0, -1.0, f32::INFINITY, f32::NAN][(bits % 5) as usize],
        _ => 42.0,
    }
}

#[derive(serde::Deserialize)]
struct Percentiles {
    traces: HashMap<String, Vec<u32>>,
    cases: Vec<PercentileCase>,
}

#[derive(serde::Deserialize)]
struct PercentileCase {
    name: String,
    half: usize,
    percentile: f64,
    f0: Vec<u32>,
}

fn from_bits(bits: &[u32]) -> Vec<f32> {
    bits.iter().copied().map(f32::from_bits).collect()
}

#[test]
fn rule_3_1_window_is_whole_frames_half_on_each_side() {
    let half = |window_sec, rate_hz| Window::new(window_sec, rate_hz).map(Window::half);
    assert_eq!(half(30.0, 2.0), Ok(30)); // 61 frames
    assert_eq!(half(30.0, 30.0), Ok(450)); // 901 frames
    assert_eq!(half(30.0, 7.5), Ok(112)); // int(225.0) / 2
    assert_eq!(half(1.0, 2.999), Ok(1)); // int(2.999) = 2
    assert_eq!(half(0.5, 3.0), Ok(0));
    assert_eq!(half(0.0, 3.0), Ok(0));
}

#[test]
fn rule_3_1_nonsense_windows_are_refused_by_name() {
    for seconds in [-1.0, f64::NAN, f64::INFINITY, -1e-300] {
        let error = Window::new(seconds, 2.0).unwrap_err();
        assert!(error.to_string().contains("seconds"), "{error}");
    }
    for rate in [0.0, -2.0, f64::NAN, f64::INFINITY] {
        let error = Window::new(30.0, rate).unwrap_err();
        assert!(error.to_string().contains("Hz"), "{error}");
    }
    assert!(matches!(
        Window::new(1e300, 1e300),
        Err(WindowError::TooLong { .. })
    ));
}

#[test]
fn rule_3_1_window_is_cut_at_both_ends_of_the_recording() {
    let trace = [5.0, 4.0, 3.0, 2.0, 1.0];
    assert_same(
        &f0_of(1, 0.0, &trace),
        &[4.0, 3.0, 2.0, 1.0, 1.0],
        "minimum",
    );
    assert_same(
        &f0_of(1, 100.0, &trace),
        &[5.0, 5.0, 4.0, 3.0, 2.0],
        "maximum",
    );
}

#[test]
fn rule_3_1_window_longer_than_the_recording_is_the_recording() {
    let trace = [3.0, 1.0, 2.0];
    for half in [2, 3, 1000, usize::MAX] {
        assert_same(&f0_of(half, 50.0, &trace), &[2.0; 3], "median");
    }
}

#[test]
fn rule_3_1_recordings_of_no_frame_and_of_one() {
    assert!(dff_of(Baseline::Dff, 30, 8.0, &[]).is_empty());
    assert_same(&dff_of(Baseline::Dff, 30, 8.0, &[4.0]), &[0.0], "one frame");
    assert_same(
        &dff_of(Baseline::Dff, 0, 8.0, &[4.0, 5.0]),
        &[0.0, 0.0],
        "its own baseline",
    );
}

#[test]
fn rule_3_2_equals_numpy_percentile() {
    let golden: Percentiles = serde_json::from_str(include_str!(
        "../../../../tests/fixtures/pure/percentiles.json"
    ))
    .unwrap();
    for PercentileCase {
        name,
        half,
        percentile,
        f0,
    } in &golden.cases
    {
        let trace = from_bits(&golden.traces[name]);
        let found = f0_of(*half, *percentile, &trace);
        assert_same(
            &found,
            &from_bits(f0),
            &format!("{name}, half {half}, percentile {percentile}"),
        );
    }
}

#[test]
fn rule_3_2_equals_brute_force_on_hard_traces_and_all_windows() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut scratch = SlidingPercentile::new();
    for kind in 0..KINDS {
        for half in 0..70 {
            let frames = (rng.next_u64() % 150) as usize;
            let trace: Vec<f32> = (0..frames).map(|_| hard_sample(kind, &mut rng)).collect();
            let any = (rng.next_u64() % 1001) as f64 / 10.0;
            let percentiles = [0.0, 8.0, 50.0, 100.0, any];
            let expected = brute_force(half, percentiles, &trace);
            for (percentile, expected) in percentiles.into_iter().zip(expected) {
                let found = scratch.of(&trace, Window::from_half(half), percentile);
                let what = format!("kind {kind}, half {half}, percentile {percentile}");
                assert_same(found, &expected, &what);
            }
        }
    }
}

#[test]
fn rule_3_2_equals_brute_force_over_many_blocks() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    for kind in 0..KINDS {
        let trace: Vec<f32> = (0..2600).map(|_| hard_sample(kind, &mut rng)).collect();
        for half in [1, 30, 300] {
            let [expected] = brute_force(half, [8.0], &trace);
            assert_same(
                &f0_of(half, 8.0, &trace),
                &expected,
                &format!("kind {kind}, half {half}"),
            );
        }
    }
}

#[test]
fn rule_3_2_a_missing_sample_takes_no_other_frame_with_it() {
    for missing in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut trace = [1.0; 9];
        trace[4] = missing;
        let nan = f32::NAN;
        let expected = [0.0, 0.0, 0.0, 0.0, nan, 0.0, 0.0, 0.0, 0.0];
        for baseline in [Baseline::Dff, Baseline::Subtract] {
            assert_same(
                &dff_of(baseline, 2, 8.0, &trace),
                &expected,
                "around the missing sample",
            );
        }
    }
    assert_same(
        &dff_of(Baseline::Dff, 2, 8.0, &[f32::NAN; 4]),
        &[f32::NAN; 4],
        "nothing there",
    );
}

#[test]
fn rule_3_2_half_of_the_windows_frames_are_enough_for_a_baseline() {
    let nan = f32::NAN;
    // Windows of 3 frames, of 2 at the ends.
    let trace = [nan, 2.0, nan, nan, 4.0, 6.0, nan];
    let expected = [2.0, nan, nan, nan, 4.0, 4.0, 6.0];
    assert_same(&f0_of(1, 0.0, &trace), &expected, "F0");
    // The window of the whole recording: 3 of 6 samples, then 3 of 7.
    let whole = [nan, 2.0, nan, nan, 4.0, 6.0];
    assert_same(&f0_of(9, 50.0, &whole), &[4.0; 6], "half");
    assert_same(&f0_of(9, 50.0, &trace), &[nan; 7], "fewer");
}

#[test]
fn rule_3_2_sign_of_zero_does_not_matter() {
    let zeros = [0.0, -0.0, 3.0, -0.0, 0.0, -2.0, -0.0];
    let positive = zeros.map(|sample: f32| sample + 0.0);
    for percentile in [0.0, 8.0, 37.5, 50.0, 100.0] {
        let same = |baseline| {
            let found = dff_of(baseline, 2, percentile, &zeros);
            assert_same(
                &found,
                &dff_of(baseline, 2, percentile, &positive),
                "zeros of either sign",
            );
        };
        same(Baseline::Dff);
        same(Baseline::Subtract);
    }
}

#[test]
fn rule_3_3_dff_divides_by_the_baseline_and_subtract_does_not() {
    let trace = [2.0, 2.0, 8.0, 2.0, 2.0];
    assert_same(
        &dff_of(Baseline::Dff, 1, 0.0, &trace),
        &[0.0, 0.0, 3.0, 0.0, 0.0],
        "dff",
    );
    assert_same(
        &dff_of(Baseline::Subtract, 1, 0.0, &trace),
        &[0.0, 0.0, 6.0, 0.0, 0.0],
        "subtract",
    );
    assert_same(&dff_of(Baseline::None, 1, 0.0, &trace), &trace, "none");
}

#[test]
fn rule_3_3_nothing_is_divided_by_a_baseline_that_is_not_positive() {
    let nan = f32::NAN;
    for zero in [0.0, -0.0] {
        assert_same(
            &dff_of(Baseline::Dff, 1, 0.0, &[zero, 7.0, zero, 3.0, 2.0]),
            &[nan, nan, nan, nan, 0.0],
            "around 0",
        );
    }
    let negative = [-2.0, -3.0, 1.0, 1.0];
    let expected = [nan, nan, nan, 0.0];
    assert_same(&dff_of(Baseline::Dff, 1, 0.0, &negative), &expected, "dff");
    let expected = [1.0, 0.0, 4.0, 0.0];
    assert_same(
        &dff_of(Baseline::Subtract, 1, 0.0, &negative),
        &expected,
        "subtract",
    );
}

#[test]
fn rule_3_3_what_is_not_finite_becomes_nan() {
    let nan = f32::NAN;
    let none = dff_of(
        Baseline::None,
        1,
        8.0,
        &[1.0, f32::INFINITY, f32::NEG_INFINITY, nan],
    );
    assert_same(&none, &[1.0, nan, nan, nan], "none");
    // f32::MAX over the smallest number overflows.
    let tiny = f32::from_bits(1);
    assert_same(
        &dff_of(Baseline::Dff, 1, 0.0, &[tiny, f32::MAX]),
        &[0.0, nan],
        "dff",
    );
    assert_same(
        &dff_of(Baseline::Subtract, 1, 0.0, &[-f32::MAX, f32::MAX]),
        &[0.0, nan],
        "subtract",
    );
}

#[test]
fn rule_3_3_names_on_the_command_line_and_in_files() {
    for baseline in Baseline::ALL {
        let name = baseline.to_string();
        assert_eq!(
            serde_json::to_string(&baseline).unwrap(),
            format!("\"{name}\"")
        );
    }
    assert_eq!(Baseline::default(), Baseline::Dff);
}

#[test]
fn working_memory_leaves_no_trace_in_the_next_neuron() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let mut scratch = SlidingPercentile::new();
    for neuron in 0..200 {
        let frames = (rng.next_u64() % 3000) as usize;
        let half = (rng.next_u64() % 80) as usize;
        let trace: Vec<f32> = (0..frames)
            .map(|_| hard_sample(neuron % KINDS, &mut rng))
            .collect();
        let mut out = trace.clone();
        dff(
            Baseline::Dff,
            Window::from_half(half),
            8.0,
            &mut out,
            &mut scratch,
        );
        assert_same(
            &out,
            &dff_of(Baseline::Dff, half, 8.0, &trace),
            &format!("neuron {neuron}"),
        );
    }
}

#[test]
fn rank_set_finds_neighbours_across_empty_words() {
    let members = [0usize, 1, 63, 64, 200, 4095, 4096, 9000, 70_000];
    let mut set = RankSet::default();
    set.clear(70_001);
    for rank in members {
        set.insert(rank);
        set.insert(rank + 1 - rank % 2 * 2); // a companion in the same word or the next, taken out again
    }
    for rank in members {
        let companion = rank + 1 - rank % 2 * 2;
        if !members.contains(&companion) {
            set.remove(companion);
        }
    }
    for rank in 0..=70_000 {
        let after = members
            .into_iter()
            .find(|&member| member >= rank)
            .unwrap_or(rank);
        let before = members
            .into_iter()
            .rev()
            .find(|&member| member < rank)
            .unwrap_or(rank);
        assert_eq!(
            (set.before(rank), set.at_or_after(rank)),
            (before, after),
            "around {rank}"
        );
    }
}
