use super::*;

const NAN: f32 = f32::NAN;

fn config(windowsize: usize, before_frac: f64, smoothing: f64) -> ModelConfig {
    ModelConfig {
        model_name: String::new(),
        sampling_rate: 2.0,
        noise_levels: vec![2],
        smoothing,
        causal_kernel: 0,
        windowsize,
        before_frac,
        filter_sizes: [1, 1, 1],
        filter_numbers: [1, 1, 1],
        dense_expansion: 1,
        ensemble_size: 1,
    }
}

fn assert_rates(rate: &[f32], expected: &[f32]) {
    let same =
        |(ours, expected): (&f32, &f32)| ours == expected || (ours.is_nan() && expected.is_nan());
    assert!(
        rate.len() == expected.len() && rate.iter().zip(expected).all(same),
        "{rate:?}, expected {expected:?}"
    );
}

fn kept(rate: &[f32], reach: usize) -> Vec<f32> {
    let mut rate = rate.to_vec();
    keep_near_spikes(&mut rate, 0.5, reach, &mut Vec::new());
    rate
}

#[test]
fn rule_4_5_the_threshold_is_a_smoothed_spikes_peak_over_e() {
    // scipy.ndimage.gaussian_filter1d of a unit impulse, its maximum / numpy.e
    let scipy = [
        (0.5, 0.146_763_100_565_717_67),
        (1.0, 0.073_382_621_984_352_64),
        (0.05, 0.367_879_441_171_442_33),
    ];
    for (smoothing, expected) in scipy {
        let threshold = spike_threshold(&config(8, 0.5, smoothing));
        assert!(
            (threshold - expected).abs() < 1e-15,
            "{smoothing} s: {threshold}, SciPy {expected}"
        );
    }
    assert_eq!(
        spike_threshold(&config(8, 0.5, 0.0)),
        1.0 / std::f64::consts::E
    );
}

#[test]
fn rule_4_5_rates_near_one_above_the_threshold_stay() {
    let rate = [0.1, 0.2, 0.6, 0.3, 0.4, 0.5, 0.1];
    assert_rates(&kept(&rate, 1), &[0.0, 0.2, 0.6, 0.3, 0.0, 0.0, 0.0]); // 0.5 is not above
    assert_rates(&kept(&rate, 2), &[0.1, 0.2, 0.6, 0.3, 0.4, 0.0, 0.0]);
    assert_rates(&kept(&rate, 9), &rate);
    assert_rates(
        &kept(&[0.6, 0.1, 0.1, 0.1, 0.1, 0.6], 1),
        &[0.6, 0.1, 0.0, 0.0, 0.1, 0.6],
    );
    assert_rates(
        &kept(&[0.1, 0.6, 0.1, 0.7, 0.1, 0.1], 1),
        &[0.1, 0.6, 0.1, 0.7, 0.1, 0.0],
    );
}

#[test]
fn rule_4_5_negative_rates_become_0_inside_the_mask_too() {
    assert_rates(&kept(&[-0.1, 0.6, -0.2, -0.3], 1), &[0.0, 0.6, 0.0, 0.0]);
}

#[test]
fn rule_4_5_a_dilation_of_0_frames_keeps_the_whole_trace_or_nothing() {
    assert_rates(
        &kept(&[0.1, NAN, 0.6, -0.1, 0.2], 0),
        &[0.1, NAN, 0.6, 0.0, 0.2],
    );
    assert_rates(
        &kept(&[0.1, NAN, 0.5, -0.1, 0.2], 0),
        &[0.0, NAN, 0.0, 0.0, 0.0],
    );
}

#[test]
fn rule_4_5_a_frame_without_rate_stays_so_inside_the_mask_and_outside() {
    assert_rates(&kept(&[0.6, NAN, NAN, 0.2], 1), &[0.6, NAN, NAN, 0.0]);
    assert_rates(&kept(&[0.1, NAN, NAN, 0.2], 1), &[0.0, NAN, NAN, 0.0]);
}

#[test]
fn rule_4_5_threshold_0_clips_and_off_leaves_everything() {
    let config = config(2, 0.5, 0.5);
    for (threshold, expected) in [
        (Threshold::Zero, [NAN, 0.0, NAN, 0.1, NAN]),
        (Threshold::Off, [NAN, -0.2, NAN, 0.1, NAN]),
    ] {
        let mut rate = [NAN, -0.2, NAN, 0.1, NAN];
        PostProcess {
            threshold,
            shift_frames: 0,
        }
        .apply(&config, &mut rate, &mut Vec::new());
        assert_rates(&rate, &expected);
    }
}

#[test]
fn rule_4_5_frames_without_rate_beside_the_ends_are_counted() {
    let without_rate = |rate: &[f32], shift_frames| {
        PostProcess {
            threshold: Threshold::One,
            shift_frames,
        }
        .apply(&config(4, 0.5, 0.5), &mut rate.to_vec(), &mut Vec::new())
    };
    let count = |rate| without_rate(rate, 0);
    assert_eq!(count(&[NAN, 0.1, 0.1, 0.1, 0.1, 0.1, NAN, NAN]), 0);
    // Frame 1 is padded in any case, but shows when it is moved to frame 2.
    let early = [NAN, NAN, 0.1, 0.1, 0.1, 0.1, NAN, NAN];
    assert_eq!((count(&early), without_rate(&early, 1)), (0, 1));
    assert_eq!(count(&[NAN, 0.1, 0.1, NAN, 0.1, 0.1, NAN, NAN]), 1);
    assert_eq!(count(&[NAN; 8]), 4);
    for shift in [i64::MAX, i64::MIN] {
        assert_eq!(without_rate(&[NAN; 8], shift), 0);
    }
}

#[test]
fn rule_4_6_the_ends_have_no_rate() {
    let padded = |before_frac, threshold| {
        let mut rate = [0.3; 12];
        PostProcess {
            threshold,
            shift_frames: 0,
        }
        .apply(&config(5, before_frac, 0.5), &mut rate, &mut Vec::new());
        let missing = rate.iter().map(|rate| rate.is_nan());
        (
            missing.clone().take_while(|nan| *nan).count(),
            missing.rev().take_while(|nan| *nan).count(),
        )
    };
    for threshold in [Threshold::One, Threshold::Zero, Threshold::Off] {
        assert_eq!(padded(0.5, threshold), (2, 2)); // int(2.5), int(2.5)
        assert_eq!(padded(0.2, threshold), (1, 4));
        assert_eq!(padded(1.0, threshold), (5, 0));
    }
}

#[test]
fn rule_4_6_a_recording_shorter_than_its_ends_is_all_nan() {
    for frames in 0..4 {
        let mut rate = vec![0.3; frames];
        PostProcess::default().apply(&config(4, 0.5, 0.5), &mut rate, &mut Vec::new());
        assert!(rate.iter().all(|rate| rate.is_nan()));
    }
}

#[test]
fn rule_4_8_rates_move_before_the_threshold_sees_them() {
    let moved = |frames: i64| {
        let mut rate = [NAN, 0.1, 0.2, 0.3, NAN];
        shift(&mut rate, frames);
        rate
    };
    assert_rates(&moved(0), &[NAN, 0.1, 0.2, 0.3, NAN]);
    assert_rates(&moved(1), &[NAN, NAN, 0.1, 0.2, 0.3]);
    assert_rates(&moved(-2), &[0.2, 0.3, NAN, NAN, NAN]);
    for far in [5, 6, i64::MAX, -5, i64::MIN] {
        assert_rates(&moved(far), &[NAN; 5]);
    }
    // frames that receive no rate stay without one (rule 4.5)
    let mut rate = [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9];
    let post = PostProcess {
        threshold: Threshold::One,
        shift_frames: 5,
    };
    post.apply(&config(2, 0.5, 0.5), &mut rate, &mut Vec::new());
    assert_rates(&rate, &[NAN, NAN, NAN, NAN, NAN, 0.9, 0.9, NAN]);
}

#[test]
fn rule_1_3_thresholds_are_named_1_0_and_off() {
    for (name, threshold) in [
        ("1", Threshold::One),
        ("0", Threshold::Zero),
        ("off", Threshold::Off),
    ] {
        assert_eq!(threshold.to_string(), name);
        assert_eq!(
            serde_json::to_string(&threshold).unwrap(),
            format!("\"{name}\"")
        );
    }
}

#[test]
fn rule_4_6_the_padding_is_what_no_neuron_has_a_rate_in() {
    for (windowsize, before_frac) in [(8, 0.5), (9, 0.5), (9, 0.3), (8, 1.0), (64, 0.5)] {
        let config = config(windowsize, before_frac, 0.0);
        for frames in [0, 1, windowsize - 1, windowsize, windowsize + 1, 200] {
            for shift_frames in [0, 1, 2, 7, 300, -1, -5, -300, i64::MAX, i64::MIN] {
                let mut rate = vec![f32::NAN; frames];
                let first = config.frames_before() - 1;
                rate.iter_mut()
                    .skip(first)
                    .take(config.windows(frames))
                    .for_each(|rate| *rate = 1.0);
                let post = PostProcess {
                    threshold: Threshold::Off,
                    shift_frames,
                };
                post.apply(&config, &mut rate, &mut Vec::new());
                let first = rate.iter().position(|rate| !rate.is_nan());
                let last = rate.iter().rposition(|rate| !rate.is_nan());
                let rated = match (first, last) {
                    (Some(first), Some(last)) => first..last + 1,
                    _ => 0..0,
                };
                let [start, end] = config.padding(frames, shift_frames);
                let found = start..frames - end;
                assert!(
                    found == rated || found.is_empty() && rated.is_empty(),
                    "{found:?}, expected {rated:?}: {frames} frames, window {windowsize}, {before_frac}, {shift_frames}"
                );
            }
        }
    }
}
