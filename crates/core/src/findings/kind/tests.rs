use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;

const FRAMES: usize = 240;
const NEURONS: usize = 40;

/// ΔF/F of transients that decay within a second at 2 Hz, with noise, neuron by neuron.
fn ratio(noise: f64) -> Vec<Vec<f64>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let mut uniform = move || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let trace = |_| {
        let mut level = 0.0;
        let frame = |_| {
            level = level * (-0.5_f64).exp() + if uniform() < 0.05 { 0.4 } else { 0.0 };
            // Near enough to a normal number.
            let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
            level + noise * normal
        };
        (0..FRAMES).map(frame).collect()
    };
    (0..NEURONS).map(trace).collect()
}

fn excerpt(traces: &[Vec<f64>]) -> Excerpt {
    let samples = traces.iter().flatten().map(|sample| *sample as f32);
    Excerpt {
        samples: samples.collect(),
        ..Excerpt::of_size(FRAMES, traces.len())
    }
}

fn decision(traces: &[Vec<f64>]) -> Decision {
    Kind::of(&excerpt(traces), 2.0, 1.0, None).decision
}

fn mapped(traces: &[Vec<f64>], of: impl Fn(usize, f64) -> f64) -> Vec<Vec<f64>> {
    let traces = traces.iter().enumerate();
    let mapped = traces.map(|(neuron, trace)| trace.iter().map(|x| of(neuron, *x)).collect());
    mapped.collect()
}

fn z_scored(traces: &[Vec<f64>], factor: impl Fn(usize) -> f64) -> Vec<Vec<f64>> {
    let scored = traces.iter().enumerate().map(|(neuron, trace)| {
        let mean = trace.iter().sum::<f64>() / trace.len() as f64;
        let squares = trace.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let deviation = (squares / trace.len() as f64).sqrt() / factor(neuron);
        trace.iter().map(|x| (x - mean) / deviation).collect()
    });
    scored.collect()
}

const DFF: Decision = Decision::Use(Baseline::Dff);
const SUBTRACT: Decision = Decision::Use(Baseline::Subtract);

#[test]
fn rule_3_5_raw_fluorescence_is_divided_by_its_baseline() {
    for low in [1.0, 10.0, 400.0, 5000.0] {
        let raw = mapped(&ratio(0.03), |_, x| low * (1.0 + x));
        assert_eq!(decision(&raw), DFF, "baseline {low}");
    }
    // Some neurons below 0, because too much background was subtracted.
    let some_below = mapped(&ratio(0.03), |neuron, x| {
        400.0 * (x + if neuron % 4 == 0 { -1.0 } else { 1.0 })
    });
    assert_eq!(decision(&some_below), DFF);
    assert_eq!(
        decision(&mapped(&ratio(0.03), |_, x| (400.0 * (1.0 + x)).round())),
        DFF
    );
}

#[test]
fn rule_3_5_dff_is_not_divided_again() {
    for noise in [0.001, 0.03, 0.2] {
        assert_eq!(decision(&ratio(noise)), SUBTRACT, "noise {noise}");
    }
    let kind = Kind::of(&excerpt(&ratio(0.03)), 2.0, 1.0, None);
    let finding = kind.finding(None).expect("a finding");
    assert_eq!(finding.code, Code::AlreadyDff);
    assert_eq!(kind.finding(Some(Baseline::None)), None);
    let divided = kind.finding(Some(Baseline::Dff)).expect("a finding");
    assert!(divided.message.contains("once more"), "{}", divided.message);
}

#[test]
fn rule_3_5_what_has_no_unit_is_refused() {
    let of = |factor: f64| decision(&mapped(&ratio(0.03), |_, x| factor * x));
    assert_eq!(of(100.0), Decision::Refuse(Code::Percent));
    assert_eq!(of(10_000.0), Decision::Refuse(Code::Scale));
    let scored = z_scored(&ratio(0.03), |_| 1.0);
    assert_eq!(decision(&scored), Decision::Refuse(Code::ZScored));
    // Deviations that differ are not those of z-scored traces, nor is a common one of 1.4.
    for traces in [
        z_scored(&ratio(0.03), |neuron| 0.6 + (neuron % 5) as f64 / 5.0),
        z_scored(&ratio(0.03), |_| 1.4),
    ] {
        assert_ne!(decision(&traces), Decision::Refuse(Code::ZScored));
    }
}

#[test]
fn rule_3_6_the_scale_comes_before_the_decision() {
    let percent = excerpt(&mapped(&ratio(0.03), |_, x| 100.0 * x));
    assert_eq!(Kind::of(&percent, 2.0, 0.01, None).decision, SUBTRACT);
}

#[test]
fn rule_3_5_missing_samples_and_blank_frames_are_left_out() {
    let raw = mapped(&ratio(0.03), |_, x| 400.0 * (1.0 + x));
    let mut whole = excerpt(&raw);
    let expected = Kind::of(&whole, 2.0, 1.0, None);
    for trace in whole.samples.chunks_mut(FRAMES) {
        trace[50..80].fill(0.0);
        trace[100..110].fill(-1.0);
        trace[120] = f32::NAN;
    }
    let gaps = Kind::of(&whole, 2.0, 1.0, Some(-1.0));
    assert_eq!(gaps.decision, DFF);
    assert!((gaps.seen.low / expected.seen.low - 1.0).abs() < 0.01);
}

#[test]
fn rule_3_5_nothing_usable_is_taken_as_raw() {
    for value in [0.0, 7.0, f64::NAN] {
        assert_eq!(decision(&vec![vec![value; FRAMES]; 3]), DFF, "{value}");
    }
    assert_eq!(
        Kind::of(&Excerpt::of_size(1, 5), 2.0, 1.0, None).decision,
        DFF
    );
}

#[test]
fn rule_3_5_a_refusal_says_what_was_seen_and_what_answers_it() {
    let kind = Kind::of(
        &excerpt(&mapped(&ratio(0.03), |_, x| 100.0 * x)),
        2.0,
        1.0,
        None,
    );
    let failure = kind.finding(None).expect("a finding");
    assert_eq!(failure.severity, Severity::Failure);
    for word in ["8th percentile", "noise level", "standard deviation"] {
        assert!(failure.message.contains(word), "{}", failure.message);
    }
    for flag in [
        "--baseline dff",
        "--baseline subtract",
        "--baseline none",
        "--scale 0.01",
    ] {
        assert!(failure.advice.contains(flag), "{}", failure.advice);
    }
    let warned = kind.finding(Some(Baseline::None)).expect("a finding");
    assert_eq!(
        (warned.code, warned.severity),
        (Code::Percent, Severity::Warning)
    );
}
