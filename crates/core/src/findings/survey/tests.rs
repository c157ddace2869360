use super::*;
use crate::baseline::Baseline;
use crate::findings::made::{Made, excerpt_of};
use crate::findings::{Code, Decision};

/// Findings of the excerpt of a recording.
fn findings(made: Made, sample: impl Fn(usize, usize) -> f32) -> Vec<Finding> {
    let excerpt = excerpt_of(made.frames, made.neurons, sample);
    let kind = Kind::of(&excerpt, 2.0, 1.0, Some(-9.0));
    let missing = excerpt.samples.contains(&-9.0).then_some(-9.0);
    excerpt.findings(&kind, missing)
}

fn codes(made: Made, sample: impl Fn(usize, usize) -> f32) -> Vec<Code> {
    let found = findings(made, sample);
    found.iter().map(|finding| finding.code).collect()
}

fn raw(made: Made) -> impl Fn(usize, usize) -> f32 {
    made.samples(|_, x| 400.0 * (1.0 + x))
}

#[test]
fn rule_9_2_nothing_is_said_of_usual_recordings() {
    for frames in [1, 2, 3, 63, 600, 5_000] {
        for neurons in [1, 3, 50] {
            let made = Made {
                frames,
                neurons,
                ..Made::default()
            };
            let (raw, dff) = (raw(made), made.samples(|_, x| x));
            assert_eq!(codes(made, &raw), [], "{frames} {neurons}");
            assert_eq!(codes(made, &dff), [], "{frames} {neurons} ΔF/F");
            let whole = |t, n| raw(t, n).round();
            let by_chance = frames <= 3; // whole numbers are the same in all of these
            if !by_chance {
                assert_eq!(codes(made, whole), [], "{frames} {neurons} whole numbers");
            }
        }
    }
}

#[test]
fn rule_9_3_blank_frames_are_seen_in_the_sample() {
    let made = Made {
        frames: 256,
        ..Made::default()
    };
    let raw = raw(made);
    let found = findings(made, |t, n| if t < 6 { 0.0 } else { raw(t, n) });
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code, found[0].frames), (Code::BlankFrames, 6));
    let message = "All neurons are 0 in 6 of 256 frames in the sample (2.3 %), first in frame 0.";
    assert_eq!(found[0].message, message);
    // one neuron is not 0
    assert_eq!(
        codes(made, |t, n| if t < 6 && n > 0 { 0.0 } else { raw(t, n) }),
        [Code::Zeros]
    );
}

#[test]
fn rule_9_3_missing_samples_are_seen_in_the_sample() {
    let made = Made {
        frames: 256,
        ..Made::default()
    };
    let raw = raw(made);
    for lost in [f32::NAN, f32::NEG_INFINITY, -9.0] {
        let found = findings(made, |t, n| if t < 6 && n == 4 { lost } else { raw(t, n) });
        assert_eq!(found.len(), 1, "{found:?}");
        let first = &found[0];
        assert_eq!(
            (first.code, first.neurons, first.frames, first.first_neuron),
            (Code::MissingSamples, 1, 6, Some(4))
        );
        let found = codes(made, |t, n| if n == 4 { lost } else { raw(t, n) });
        assert_eq!(found, [Code::MissingNeurons]);
    }
}

#[test]
fn rule_9_3_repeated_frames_are_seen_within_runs() {
    let made = Made {
        frames: 5_000,
        ..Made::default()
    };
    let raw = raw(made);
    let found = findings(made, |t, n| raw(t - usize::from(t % 8 == 7), n));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].code, Code::RepeatedFrames);
    assert!((0.1..0.15).contains(&found[0].share), "{}", found[0]);
    // the last frame of a run and the first of the next are no neighbours
    let starts = Excerpt::of_size(5_000, 1).runs[1].start;
    let end = Excerpt::of_size(5_000, 1).runs[0].end;
    let found = codes(made, |t, n| raw(if t == starts { end - 1 } else { t }, n));
    assert_eq!(found, []);
}

#[test]
fn rule_9_3_dead_and_repeated_neurons_are_seen_in_the_sample() {
    let made = Made::default();
    let raw = raw(made);
    let found = findings(made, |t, n| if n == 7 { 12.0 } else { raw(t, n) });
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code, found[0].first_neuron),
        (Code::DeadNeurons, Some(7))
    );
    let message = "1 of 50 neurons in the sample (2 %) has the same sample in all frames.";
    assert_eq!(found[0].message, message);
    let found = findings(made, |t, n| raw(t, if n == 7 { 3 } else { n }));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code, found[0].neurons, found[0].first_neuron),
        (Code::RepeatedNeurons, 2, Some(3))
    );
    let almost = |t, n| raw(t, if n == 7 && t > 0 { 3 } else { n });
    assert_eq!(codes(made, almost), []);
}

#[test]
fn rule_9_3_places_are_those_of_the_recording() {
    let made = Made {
        frames: 20,
        neurons: 9_000,
        ..Made::default()
    };
    let last = 8_999;
    let found = findings(made, |t, n| {
        if n == last {
            12.0
        } else {
            (t * 9_000 + n) as f32
        }
    });
    assert_eq!(found[0].first_neuron, Some(last as u64), "{found:?}");
}

#[test]
fn rule_9_3_blank_frames_have_their_place_in_the_recording() {
    let made = Made {
        frames: 1_516,
        ..Made::default()
    };
    let raw = raw(made);
    // the second frame of run 1, which begins at frame 100
    let found = findings(made, |t, n| if t == 101 { 0.0 } else { raw(t, n) });
    assert!(
        found[0].message.ends_with("first in frame 101."),
        "{}",
        found[0]
    );
}

#[test]
fn rule_9_3_clipped_samples_are_seen_in_the_sample() {
    let made = Made {
        frames: 256,
        ..Made::default()
    };
    let raw = raw(made);
    let found = codes(made, |t, n| raw(t, n).min(420.0));
    assert_eq!(found, [Code::Clipped]);
    let found = codes(made, |t, n| {
        if n > 0 {
            raw(t, n)
        } else {
            raw(t, n).min(420.0)
        }
    });
    assert_eq!(found, [Code::Clipped]); // 2 %
    let many = Made {
        neurons: 101,
        ..made
    };
    let raw = super::tests::raw(many);
    assert_eq!(
        codes(many, |t, n| if n > 0 {
            raw(t, n)
        } else {
            raw(t, n).min(420.0)
        }),
        []
    );
}

#[test]
fn rule_9_3_whole_numbers_are_not_clipped() {
    let made = Made {
        frames: 256,
        spikes: 0.0,
        noise: 0.1,
        ..Made::default()
    };
    assert_eq!(
        codes(made, made.samples(|_, x| (10.0 * (1.0 + x)).round())),
        []
    );
}

#[test]
fn rule_9_3_zeros_in_dff_are_usual() {
    let made = Made {
        frames: 256,
        ..Made::default()
    };
    let dff = made.samples(|_, x| x + 0.2);
    let found = codes(made, |t, n| {
        if t.is_multiple_of(20) && n > 0 {
            0.0
        } else {
            dff(t, n)
        }
    });
    assert_eq!(found, []);
}

#[test]
fn rule_9_3_zeros_are_seen_in_the_sample_unless_they_count_as_missing() {
    let made = Made {
        frames: 256,
        ..Made::default()
    };
    let raw = raw(made);
    let lost = |t: usize, n: usize| {
        if t.is_multiple_of(20) && n.is_multiple_of(2) {
            0.0
        } else {
            raw(t, n)
        }
    };
    assert_eq!(codes(made, lost), [Code::Zeros]);
    let excerpt = excerpt_of(made.frames, made.neurons, lost);
    let kind = Kind::of(&excerpt, 2.0, 1.0, Some(0.0));
    let found: Vec<_> = excerpt
        .findings(&kind, Some(0.0))
        .iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(found, [Code::MissingSamples]);
}

#[test]
fn rule_9_3_denoised_traces_are_seen_in_the_sample() {
    for (noise, expected) in [(0.002, vec![Code::Denoised]), (0.01, vec![])] {
        let made = Made {
            noise,
            spikes: 0.01,
            ..Made::default()
        };
        let dff = made.samples(|_, x| x);
        assert_eq!(codes(made, dff), expected, "{noise} ΔF/F");
        assert_eq!(codes(made, raw(made)), expected, "{noise} raw");
    }
}

#[test]
fn rule_9_2_what_has_no_unit_has_no_noise_level_to_judge() {
    let made = Made {
        noise: 0.001,
        spikes: 0.01,
        ..Made::default()
    };
    let excerpt = excerpt_of(made.frames, made.neurons, made.samples(|_, x| x));
    let kind = Kind {
        decision: Decision::Refuse(Code::ZScored),
        ..Kind::of(&excerpt, 2.0, 1.0, None)
    };
    assert_eq!(excerpt.findings(&kind, None), []);
    let kind = Kind {
        decision: Decision::Use(Baseline::Subtract),
        ..kind
    };
    assert_eq!(excerpt.findings(&kind, None).len(), 1);
}

#[test]
fn rule_9_2_an_excerpt_of_zeros_is_blank_and_dead() {
    let made = Made::default();
    let found = findings(made, |_, _| 0.0);
    let codes: Vec<_> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::BlankFrames, Code::DeadNeurons]);
    assert_eq!(
        found[0].message,
        "All neurons are 0 in all 256 frames in the sample."
    );
    assert_eq!(findings(made, |_, _| f32::NAN).len(), 1);
    assert_eq!(
        Excerpt::of_size(0, 0).findings(&Kind::of(&Excerpt::of_size(0, 0), 2.0, 1.0, None), None),
        []
    );
}

#[test]
fn rule_3_6_a_value_of_missing_samples_is_looked_for_in_the_sample() {
    let made = Made::default();
    let usual = excerpt_of(
        made.frames,
        made.neurons,
        made.samples(|_, x| 400.0 * (1.0 + x)),
    );
    let kind = Kind::of(&usual, 2.0, 1.0, None);
    let found = usual.findings(&kind, Some(-1.0));
    assert!(
        matches!(&found[..], [only] if only.code == Code::AbsentValue && only.message.contains("in the frames looked at")),
        "{found:?}"
    );
    let mut marked = usual;
    marked.samples[5] = -1.0;
    let codes: Vec<_> = marked
        .findings(&kind, Some(-1.0))
        .iter()
        .map(|found| found.code)
        .collect();
    assert_eq!(codes, [Code::MissingSamples]);
}
