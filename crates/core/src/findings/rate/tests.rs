use super::*;

fn model(name: &str, rate_hz: f64) -> InstalledModel {
    InstalledModel {
        name: name.to_owned(),
        rate_hz,
        smoothing_sec: 1.0 / rate_hz,
        is_causal: name.ends_with("causal"),
    }
}

fn finding(stated_hz: Option<f64>) -> Option<Finding> {
    of_rate(stated_hz, &model("two", 2.0), || {
        vec![
            model("two", 2.0),
            model("seven", 7.5),
            model("seven_too", 7.5),
            model("six_causal", 6.0),
        ]
    })
}

#[test]
fn rule_9_3_an_unknown_rate_is_noted() {
    let found = finding(None).expect("a note");
    assert_eq!(
        (found.code, found.severity),
        (Code::UnknownRate, Severity::Note)
    );
    assert!(
        found.message.contains("2 Hz") && found.advice.contains("--sampling_rate"),
        "{found}"
    );
    assert_eq!(finding(Some(2.0)), None);
}

#[test]
fn rule_9_3_a_rate_more_than_5_percent_off_the_model_is_warned_of() {
    for rate in [1.89, 2.11, 1.0, 30.0] {
        let found = finding(Some(rate)).expect("a warning");
        assert_eq!(
            (found.code, found.severity),
            (Code::ModelRate, Severity::Warning),
            "{rate}"
        );
    }
    for rate in [1.9, 2.0, 2.1] {
        assert_eq!(finding(Some(rate)), None, "{rate}");
    }
    let found = finding(Some(1.0)).expect("a warning");
    assert_eq!(
        found.message,
        "The recording has 1 Hz, 50 % less than the 2 Hz of the model two."
    );
    let message = |rate| finding(Some(rate)).expect("a warning").message;
    assert!(message(2.2).starts_with("The recording has 2.2 Hz, 10 % more than the 2 Hz"));
    assert!(message(500.0).starts_with("The recording has 500 Hz, 250 times the 2 Hz"));
}

#[test]
fn rule_4_9_the_nearest_model_is_named_if_it_is_another_one() {
    let found = finding(Some(6.0)).expect("a warning");
    assert!(found.advice.contains("--cascade_model seven,"), "{found}");
    let causal = of_rate(Some(6.0), &model("two_causal", 2.0), || {
        vec![model("seven", 7.5), model("five_causal", 5.0)]
    });
    let causal = causal.expect("a warning").advice;
    assert!(causal.contains("--cascade_model five_causal,"), "{causal}");
    let advice = |rate| finding(Some(rate)).expect("a warning").advice;
    assert!(
        advice(2.11).starts_with("No installed model is nearer, and so small a difference"),
        "{}",
        advice(2.11)
    );
    assert!(
        advice(0.5).starts_with("No installed model is nearer: get or train one"),
        "{}",
        advice(0.5)
    );
}

#[test]
fn rule_4_9_where_no_causal_model_is_for_the_rate_the_other_one_is_named_too() {
    let advice = |rate| {
        let installed = || {
            vec![
                model("three_causal", 3.0),
                model("Global_EXC_30Hz", 30.0),
                model("Global_EXC_7.5Hz", 7.5),
            ]
        };
        let found = of_rate(Some(rate), &model("two_causal", 2.0), installed);
        found.expect("a warning").advice
    };
    let near = advice(29.0);
    for words in [
        "No installed causal model is for this rate; the nearest is --cascade_model three_causal",
        "there is --cascade_model Global_EXC_30Hz, which is for 30 Hz and is not causal.",
    ] {
        assert!(near.contains(words), "{near}");
    }
    let far = advice(15.0);
    assert!(
        far.starts_with("No installed model is for this rate") && !far.contains("not causal"),
        "{far}"
    );
}

#[test]
fn rule_4_9_a_model_of_the_other_kind_is_advised_as_such() {
    for (named, nearer, words) in [
        (
            "three_causal",
            "Global_EXC_30Hz",
            "for 30 Hz and is not causal.",
        ),
        ("three", "thirty_causal", "for 30 Hz and is causal."),
        ("three", "Global_EXC_30Hz", "for 30 Hz."),
    ] {
        let installed = || vec![model(nearer, 30.0)];
        let found = of_rate(Some(29.0), &model(named, 3.0), installed);
        let advice = found.expect("a warning").advice;
        assert!(advice.ends_with(words), "{advice}");
    }
}

#[test]
fn a_model_far_from_the_rate_is_not_advised() {
    let installed = [model("Global_EXC_2Hz", 2.0), model("Global_EXC_30Hz", 30.0)];
    for (rate, is_advised, averages) in [
        (1.45, true, false),
        (1.4, false, false),
        (2.5, true, false),
        (6.1, false, true),
        (38.0, true, false),
        (39.0, false, true),
        (7500.0, false, false),
    ] {
        let failure = choose_model(Some(rate), &installed).expect_err("a failure");
        let advice = failure.advice;
        assert_eq!(advice.contains("--cascade_model"), is_advised, "{advice}");
        assert_eq!(advice.contains("frames into one"), averages, "{advice}");
        assert!(advice.contains("--sampling_rate HZ"), "{advice}");
    }
}

#[test]
fn rule_4_9_auto_fails_without_a_rate_and_without_a_near_model_and_names_the_nearest() {
    let installed = [
        model("Global_EXC_2Hz", 2.0),
        model("Global_EXC_7.5Hz", 7.5),
        model("six", 6.0),
    ];
    let chosen = choose_model(Some(7.3), &installed).expect("a model");
    assert_eq!(chosen.name, "Global_EXC_7.5Hz");
    for (rate, models, code, words) in [
        (
            None,
            &installed[..],
            Code::UnknownRate,
            &["--sampling_rate HZ", "--cascade_model NAME"][..],
        ),
        (
            Some(6.0),
            &installed[..],
            Code::ModelRate,
            &[
                "has 6 Hz, and",
                "recordings of 0.852 to 1.174 times its rate",
                "the recording has 0.8 times its 7.5 Hz",
                "train",
                "take the nearest model with --cascade_model Global_EXC_7.5Hz.",
            ][..],
        ),
        (
            Some(6.0),
            &installed[2..],
            Code::ModelRate,
            &["no model is installed", "--model_dir"][..],
        ),
    ] {
        let failure = choose_model(rate, models).expect_err("a failure");
        assert_eq!((failure.code, failure.severity), (code, Severity::Failure));
        for word in words {
            assert!(failure.to_string().contains(word), "{word}: {failure}");
        }
    }
}

#[test]
fn rule_2_7_a_rate_that_contradicts_the_recordings_own_is_warned_of() {
    for (stated, own) in [
        (None, None),
        (None, Some(2.0)),
        (Some(2.0), None),
        (Some(2.1), Some(2.0)),
        (Some(1.9), Some(2.0)),
    ] {
        assert_eq!(of_contradiction(stated, own), None, "{stated:?} {own:?}");
    }
    let found = of_contradiction(Some(3.0), Some(1.973)).expect("a warning");
    assert_eq!(
        (found.code, found.severity),
        (Code::ContradictedRate, Severity::Warning)
    );
    assert_eq!(
        found.message,
        "--sampling_rate is 3 Hz, 52 % more than the 1.973 Hz that the recording itself states."
    );
    let found = of_contradiction(Some(1.89), Some(2.0)).expect("a warning");
    assert!(
        found.message.contains("5.5 % less than the 2 Hz"),
        "{found}"
    );
}
