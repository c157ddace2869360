use super::*;

/// Neurons on a lattice: `per_plane` in each of the planes.
fn lattice(planes: usize, per_plane: usize) -> Vec<[f64; 3]> {
    let neuron = |place: usize| [(place / planes) as f64, 1.0, (place % planes) as f64];
    (0..planes * per_plane).map(neuron).collect()
}

fn found(xyz: &[[f64; 3]], rule: PlaneRule, code: Code) -> Option<Finding> {
    let layout = Layout::new(xyz, rule).expect("a layout");
    let mut found = of_positions(xyz, &layout, rule).into_iter();
    found.find(|finding| finding.code == code)
}

#[test]
fn rule_2_5_neurons_without_a_position_are_a_warning_and_a_failure_if_no_neuron_has_one() {
    let mut xyz = lattice(3, 10);
    assert_eq!(found(&xyz, PlaneRule::Levels, Code::MissingPositions), None);
    xyz[4][1] = f64::NAN;
    let finding = found(&xyz, PlaneRule::Levels, Code::MissingPositions).expect("a finding");
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!((finding.neurons, finding.first_neuron), (1, Some(4)));
    assert!(
        finding.message.starts_with("1 of 30 neurons (3.3 %) has"),
        "{}",
        finding.message
    );
    xyz.fill([f64::NAN; 3]);
    let finding = found(&xyz, PlaneRule::Levels, Code::MissingPositions).expect("a finding");
    assert_eq!(finding.severity, Severity::Failure);
}

#[test]
fn rule_7_4_continuous_z_is_a_finding_unless_a_flag_cuts_it() {
    let code = Code::ContinuousZ;
    let planes = |planes, per_plane| found(&lattice(planes, per_plane), PlaneRule::Levels, code);
    assert!(planes(257, 3).is_some());
    assert_eq!(planes(256, 3), None);
    assert!(planes(10, 2).is_some());
    assert_eq!(planes(10, 3), None);
    assert_eq!(found(&lattice(257, 2), PlaneRule::Count(30), code), None);
    assert_eq!(found(&lattice(257, 2), PlaneRule::Step(10.0), code), None);
    // One or two neurons say nothing about z.
    assert_eq!(planes(2, 1), None);
    let advice = planes(10, 2).expect("a finding").advice;
    assert!(advice.contains("--planes") && advice.contains("--plane_step"));
}

#[test]
fn rule_9_3_positions_that_neurons_share() {
    let mut xyz = lattice(3, 100);
    xyz[1] = xyz[4];
    assert_eq!(
        found(&xyz, PlaneRule::Levels, Code::RepeatedPositions),
        None
    );
    xyz[7] = xyz[4];
    let finding = found(&xyz, PlaneRule::Levels, Code::RepeatedPositions).expect("a finding");
    assert_eq!((finding.neurons, finding.first_neuron), (3, Some(1)));
}

#[test]
fn rule_9_3_losses_of_the_grids_are_notes_and_above_a_share_warnings() {
    let severities = |lost, marker| {
        let found = of_grids(1000, lost, marker).into_iter();
        let found = found.map(|finding| (finding.code, finding.severity));
        found.collect::<Vec<_>>()
    };
    assert_eq!(severities(0, 0), []);
    assert_eq!(
        severities(49, 9),
        [
            (Code::Collisions, Severity::Note),
            (Code::Marker, Severity::Note)
        ]
    );
    assert_eq!(
        severities(50, 10),
        [
            (Code::Collisions, Severity::Warning),
            (Code::Marker, Severity::Warning)
        ]
    );
}

#[test]
fn rule_4_9_a_rate_off_the_models_names_a_better_model() {
    let rated = |name: &str, rate_hz| Rated {
        name: name.to_owned(),
        rate_hz,
    };
    let installed = || {
        vec![
            rated("two", 2.0),
            rated("three", 3.0),
            rated("thirty", 30.0),
        ]
    };
    let of = |rate| of_rate(rate, &rated("two", 2.0), installed);
    assert_eq!(of(None).expect("a note").code, Code::UnknownRate);
    assert_eq!((of(Some(1.9)), of(Some(2.1))), (None, None));
    assert_eq!(of(Some(1.89)).expect("a warning").code, Code::ModelRate);
    let off = of(Some(2.6)).expect("a warning");
    assert!(
        off.advice.contains("--cascade_model three") && off.message.contains("30 % off"),
        "{off}"
    );
    assert!(!of(Some(2.11)).expect("a warning").advice.contains("three"));
}

#[test]
fn rule_4_6_a_recording_shorter_than_the_window() {
    assert_eq!(of_length(64, 64), None);
    assert_eq!(of_length(63, 64).expect("a finding").code, Code::Short);
}
