use super::*;

fn model(name: &str, rate_hz: f64, smoothing_sec: f64) -> InstalledModel {
    InstalledModel {
        name: name.to_owned(),
        rate_hz,
        smoothing_sec,
        is_causal: name.ends_with("causalkernel"),
    }
}

fn installed() -> Vec<InstalledModel> {
    vec![
        model("Global_EXC_2Hz_smoothing400ms", 2.0, 0.4),
        model("Global_EXC_2Hz_smoothing500ms", 2.0, 0.5),
        model("Global_EXC_2Hz_smoothing500ms_high_noise", 2.0, 0.5),
        model("Global_EXC_2Hz_smoothing800ms_causalkernel", 2.0, 0.8),
        model("Global_EXC_3Hz_smoothing333ms_causalkernel", 3.0, 0.333),
        model("Global_EXC_7.5Hz_smoothing200ms", 7.5, 0.2),
        model("GCaMP6f_mouse_3Hz_smoothing400ms", 3.0, 0.4),
    ]
}

/// The name of the model that is chosen, or of the nearest one.
fn chosen(rate_hz: f64) -> Result<String, String> {
    let installed = installed();
    let name = |model: &InstalledModel| model.name.clone();
    let chosen = choose(rate_hz, &installed).map(name);
    chosen.map_err(|nearest| nearest.map(name).unwrap_or_default())
}

#[test]
fn rule_4_9_of_equally_near_models_the_one_with_the_larger_smoothing_is_chosen() {
    for rate in [1.95, 2.0, 2.05] {
        assert_eq!(
            chosen(rate).as_deref(),
            Ok("Global_EXC_2Hz_smoothing500ms"),
            "{rate}"
        );
    }
    let mut reversed = installed();
    reversed.reverse();
    let first = choose(2.0, &reversed).expect("a model");
    assert_eq!(first.name, "Global_EXC_2Hz_smoothing500ms");
}

#[test]
fn rule_4_9_a_model_is_chosen_up_to_the_tolerance_and_named_beyond_it() {
    let (below, above) = ((-TOLERANCE).exp(), TOLERANCE.exp());
    for rate in [7.5 * below, 7.5, 7.5 * above] {
        assert_eq!(
            chosen(rate).as_deref(),
            Ok("Global_EXC_7.5Hz_smoothing200ms"),
            "{rate}"
        );
    }
    for (rate, nearest) in [
        (0.1, "Global_EXC_2Hz_smoothing500ms"),
        (2.0 * (above + 0.001), "Global_EXC_2Hz_smoothing500ms"),
        (7.5 * (below - 0.001), "Global_EXC_7.5Hz_smoothing200ms"),
        (500.0, "Global_EXC_7.5Hz_smoothing200ms"),
    ] {
        assert_eq!(chosen(rate), Err(nearest.to_owned()), "{rate}");
    }
}

#[test]
fn rule_4_9_distance_counts_ratios_of_rates() {
    // 3.9 Hz is nearer to 2 Hz by its difference, and to 7.5 Hz by its ratio.
    assert_eq!(
        chosen(3.9),
        Err("Global_EXC_7.5Hz_smoothing200ms".to_owned())
    );
    assert_eq!(chosen(3.8), Err("Global_EXC_2Hz_smoothing500ms".to_owned()));
}

#[test]
fn rule_4_9_causal_models_and_those_of_other_names_are_not_chosen() {
    assert!(chosen(3.0).is_err());
    let others: Vec<_> = installed()
        .into_iter()
        .filter(|model| !model.is_general())
        .collect();
    assert_eq!(others.len(), 3);
    assert_eq!(choose(2.0, &others), Err(None));
    assert_eq!(choose(2.0, &[]), Err(None));
}
