use super::*;
use crate::findings::made::{Made, excerpt_of};

const RATE: f64 = 2.0;

fn decision(trace: impl Fn(usize, f64) -> f64, made: Made) -> Decision {
    kind(trace, made).decision
}

/// The kind of the recording whose samples are made of the neuron and its ΔF/F.
fn kind(sample: impl Fn(usize, f64) -> f64, made: Made) -> Kind {
    let excerpt = excerpt_of(made.frames, made.neurons, made.samples(sample));
    Kind::of(&excerpt, RATE, 1.0, None)
}

const DFF: Decision = Decision::Use(Baseline::Dff);
const SUBTRACT: Decision = Decision::Use(Baseline::Subtract);

#[test]
fn rule_3_5_raw_fluorescence_is_divided_by_its_baseline() {
    for f0 in [10.0, 50.0, 400.0, 5_000.0] {
        for spikes in [0.0, 0.02, 0.3] {
            let made = Made {
                spikes,
                ..Made::default()
            };
            assert_eq!(decision(|_, x| f0 * (1.0 + x), made), DFF, "{f0} {spikes}");
            assert_eq!(
                decision(|_, x| (f0 * (1.0 + x)).round(), made),
                DFF,
                "{f0} whole"
            );
        }
    }
}

#[test]
fn rule_3_5_fluorescence_over_its_baseline_is_divided_once_more() {
    assert_eq!(decision(|_, x| 1.0 + x, Made::default()), DFF);
}

#[test]
fn rule_3_5_dff_is_not_divided() {
    for spikes in [0.0, 0.02, 0.3] {
        for noise in [0.0005, 0.03, 0.2] {
            let made = Made {
                spikes,
                noise,
                ..Made::default()
            };
            assert_eq!(decision(|_, x| x, made), SUBTRACT, "{spikes} {noise}");
        }
    }
}

#[test]
fn rule_3_5_dff_with_an_offset_is_not_divided() {
    let quiet = Made {
        noise: 0.015,
        spikes: 0.0,
        ..Made::default()
    };
    let seen = kind(|_, x| x + 0.1, quiet).seen;
    assert!(seen.ratio > 2.0, "{seen:?}");
    assert_eq!(decision(|_, x| x + 0.1, quiet), SUBTRACT);
}

#[test]
fn rule_3_5_raw_fluorescence_between_0_and_1_is_divided() {
    assert_eq!(decision(|_, x| 0.1 * (1.0 + x), Made::default()), DFF);
}

#[test]
fn rule_3_5_bursts_of_dff_are_not_per_cent() {
    let bursts = Made {
        spikes: 0.01,
        jump: 18.0,
        neurons: 3,
        ..Made::default()
    };
    let seen = kind(|_, x| x, bursts).seen;
    assert!(seen.deviation > 2.0 && seen.noise_level < 12.0, "{seen:?}");
    assert_eq!(decision(|_, x| x, bursts), SUBTRACT);
}

#[test]
fn rule_3_5_raw_fluorescence_of_which_some_is_below_0_is_divided() {
    let corrected = |neuron: usize, x: f64| 400.0 * (1.0 + x) - 60.0 * (neuron % 10) as f64;
    let seen = kind(corrected, Made::default()).seen;
    assert!(seen.low > 100.0, "{seen:?}");
    assert_eq!(decision(corrected, Made::default()), DFF);
    let below = |neuron: usize, x: f64| 400.0 * (1.0 + x) - 300.0 - 40.0 * (neuron % 10) as f64;
    assert!(kind(below, Made::default()).seen.low < 0.0);
    assert_eq!(decision(below, Made::default()), DFF);
}

#[test]
fn rule_3_5_z_scores_are_refused() {
    for spikes in [0.002, 0.02, 0.3] {
        let made = Made {
            spikes,
            ..Made::default()
        };
        let scores = made.z_scores();
        let excerpt = excerpt_of(made.frames, made.neurons, scores);
        let kind = Kind::of(&excerpt, RATE, 1.0, None);
        assert_eq!(
            kind.decision,
            Decision::Refuse(Code::ZScored),
            "{spikes} {:?}",
            kind.seen
        );
    }
}

#[test]
fn rule_3_5_per_cent_is_refused_until_it_is_scaled() {
    let made = Made::default();
    let excerpt = excerpt_of(made.frames, made.neurons, made.samples(|_, x| 100.0 * x));
    let kind = Kind::of(&excerpt, RATE, 1.0, None);
    assert_eq!(kind.decision, Decision::Refuse(Code::Percent));
    assert_eq!(Kind::of(&excerpt, RATE, 0.01, None).decision, SUBTRACT);
}

#[test]
fn rule_3_5_detrended_fluorescence_is_refused() {
    for f0 in [200.0, 5_000.0] {
        let decision = decision(|_, x| f0 * x, Made::default());
        assert_eq!(decision, Decision::Refuse(Code::Scale));
    }
}

#[test]
fn rule_3_5_nothing_usable_is_taken_for_raw() {
    for value in [0.0, 7.0, f32::NAN, f32::INFINITY] {
        for frames in [1, 300] {
            let kind = Kind::of(&excerpt_of(frames, 4, |_, _| value), RATE, 1.0, None);
            assert_eq!((kind.decision, kind.seen.neurons), (DFF, 0));
            assert_eq!(kind.finding(None), None);
        }
    }
    assert_eq!(
        Kind::of(&Excerpt::of_size(0, 0), RATE, 1.0, None).decision,
        DFF
    );
}

#[test]
fn rule_3_5_missing_samples_and_blank_frames_are_left_out() {
    let made = Made::default();
    let dff = made.samples(|_, x| x);
    let with = |lost: f32, first: usize| {
        let lose = |t: usize, n: usize| t.is_multiple_of(4) && n >= first;
        let excerpt = excerpt_of(
            256,
            made.neurons,
            |t, n| {
                if lose(t, n) { lost } else { dff(t, n) }
            },
        );
        let kind = Kind::of(&excerpt, RATE, 1.0, Some(-9.0));
        (kind.decision, kind.seen.to_string(), kind.seen.deviation)
    };
    let plain = with(f32::NAN, 0);
    for lost in [0.0, f32::INFINITY, -9.0] {
        assert_eq!(with(lost, 0), plain, "{lost}");
    }
    assert_ne!(with(0.0, 1), plain); // no blank frames, because the first neuron is not 0
}

#[test]
fn rule_3_5_steps_from_run_to_run_do_not_count_as_noise() {
    // each run at its own height: only the steps between runs are large
    let made = Made {
        frames: 100_000,
        ..Made::default()
    };
    let excerpt = excerpt_of(made.frames, 2, |t, _| {
        (t / 6_000) as f32 + 1e-3 * (t % 2) as f32
    });
    let kind = Kind::of(&excerpt, 1.0, 1.0, None);
    assert!(
        (kind.seen.noise_level - 0.1).abs() < 0.001,
        "{:?}",
        kind.seen
    );
}

#[test]
fn rule_3_5_what_was_seen_is_said_with_the_flags_that_answer_it() {
    let kind = Kind {
        is_stated: false,
        decision: Decision::Refuse(Code::Percent),
        seen: Seen {
            neurons: 3,
            low: 0.0041,
            ratio: 0.1,
            noise_level: 1234.0,
            deviation: 14.2,
            relative_noise_level: f64::NAN,
        },
    };
    let finding = kind.finding(None).expect("a failure");
    assert_eq!(
        (finding.code, finding.severity),
        (Code::Percent, Severity::Failure)
    );
    let seen = "8th percentile 0.0041, noise level 1,200 % per √Hz, standard deviation 14";
    assert!(finding.message.contains(seen), "{finding}");
    for code in [Code::ZScored, Code::Percent, Code::Scale] {
        let finding = Kind {
            decision: Decision::Refuse(code),
            ..kind
        }
        .finding(None)
        .expect("a failure");
        for flag in ["--baseline dff", "--baseline subtract", "--baseline none"] {
            assert!(finding.advice.contains(flag), "{finding}");
        }
        assert_eq!(
            finding.advice.contains("--scale 0.01"),
            code != Code::ZScored,
            "{finding}"
        );
    }
}

#[test]
fn rule_9_3_a_flag_makes_warnings_of_failures() {
    let seen = Seen {
        neurons: 3,
        low: 0.0,
        ratio: 0.0,
        noise_level: 50.0,
        deviation: 1.0,
        relative_noise_level: f64::NAN,
    };
    for code in [Code::ZScored, Code::Percent, Code::Scale] {
        let kind = Kind {
            is_stated: false,
            decision: Decision::Refuse(code),
            seen,
        };
        assert_eq!(
            kind.finding(None).map(|f| f.severity),
            Some(Severity::Failure)
        );
        for baseline in Baseline::ALL {
            let finding = kind.finding(Some(baseline)).expect("a warning");
            assert_eq!((finding.code, finding.severity), (code, Severity::Warning));
        }
    }
}

#[test]
fn rule_9_3_dff_is_said_where_auto_subtracts_and_where_a_flag_divides_it() {
    let seen = Seen {
        neurons: 3,
        low: 0.0,
        ratio: 0.0,
        noise_level: 3.0,
        deviation: 0.2,
        relative_noise_level: f64::NAN,
    };
    let kind = Kind {
        is_stated: false,
        decision: SUBTRACT,
        seen,
    };
    let code = |explicit| kind.finding(explicit).map(|f| (f.code, f.severity));
    let warning = Some((Code::AlreadyDff, Severity::Warning));
    assert_eq!(code(None), warning);
    assert_eq!(code(Some(Baseline::Dff)), warning);
    assert_eq!(code(Some(Baseline::Subtract)), None);
    assert_eq!(code(Some(Baseline::None)), None);
    let raw = Kind {
        decision: DFF,
        ..kind
    };
    assert!(
        [None]
            .into_iter()
            .chain(Baseline::ALL.map(Some))
            .all(|flag| raw.finding(flag).is_none())
    );
}

/// What is decided of neurons around 0 that are all alike.
fn around_0(noise_level: f64, deviation: f64, mean: f64) -> Decision {
    let traits = || Traits {
        low: -0.1,
        ratio: -0.5,
        noise_level,
        mean,
        deviation,
    };
    let seen = Seen {
        neurons: 9,
        low: -0.1,
        ratio: -0.5,
        noise_level,
        deviation,
        relative_noise_level: f64::NAN,
    };
    decide(
        &std::iter::repeat_with(traits).take(9).collect::<Vec<_>>(),
        &seen,
    )
}

#[test]
fn rule_9_3_z_scores_differ_from_dff_by_their_mean_and_deviation() {
    assert_eq!(around_0(30.0, 1.0, 0.0), Decision::Refuse(Code::ZScored));
    assert_eq!(around_0(30.0, 1.0, 0.3), SUBTRACT);
    assert_eq!(around_0(30.0, 0.7, 0.0), SUBTRACT);
    assert_eq!(around_0(30.0, 1.3, 0.0), SUBTRACT);
}

#[test]
fn rule_9_3_per_cent_begins_where_dff_ends_and_ends_where_a_unit_is_unknown() {
    let (percent, scale) = (
        Decision::Refuse(Code::Percent),
        Decision::Refuse(Code::Scale),
    );
    assert_eq!(around_0(40.0, 2.0, 1.0), SUBTRACT);
    assert_eq!(around_0(41.0, 2.0, 1.0), percent);
    assert_eq!(around_0(40.0, 2.1, 1.0), percent);
    assert_eq!(around_0(12.0, 5.0, 1.0), SUBTRACT);
    assert_eq!(around_0(12.0, 5.1, 1.0), percent);
    assert_eq!(around_0(800.0, 25.0, 1.0), percent);
    assert_eq!(around_0(801.0, 25.0, 1.0), scale);
    assert_eq!(around_0(800.0, 26.0, 1.0), scale);
    // no two neighbouring frames are there: the standard deviation alone tells
    assert_eq!(around_0(f64::NAN, 1.5, 1.0), SUBTRACT);
    assert_eq!(around_0(f64::NAN, 26.0, 1.0), scale);
}
