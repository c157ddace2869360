use super::*;

fn findings(xyz: &[[f64; 3]], rule: PlaneRule) -> Vec<Finding> {
    let layout = Layout::new(xyz, rule).expect("a layout");
    of_positions(xyz, &layout, rule)
}

fn codes(xyz: &[[f64; 3]]) -> Vec<Code> {
    let found = findings(xyz, PlaneRule::Levels);
    found.iter().map(|finding| finding.code).collect()
}

/// So many neurons on each of so many planes, all at different places.
fn planes(planes: usize, neurons: usize) -> Vec<[f64; 3]> {
    let cells = (0..planes).flat_map(|z| (0..neurons).map(move |y| (z, y)));
    cells.map(|(z, y)| [z as f64, y as f64, z as f64]).collect()
}

#[test]
fn rule_9_3_positions_of_usual_recordings_are_fine() {
    for xyz in [
        planes(1, 1),
        planes(3, 8),
        planes(1, 3),
        planes(256, 3),
        planes(29, 400),
        Vec::new(),
    ] {
        assert_eq!(codes(&xyz), [], "{} neurons", xyz.len());
    }
}

#[test]
fn rule_9_3_neurons_without_a_position_are_counted() {
    let mut xyz = planes(3, 8);
    xyz[5][1] = f64::NAN;
    let found = findings(&xyz, PlaneRule::Levels);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code, found[0].severity),
        (Code::MissingPositions, Severity::Warning)
    );
    assert_eq!((found[0].neurons, found[0].first_neuron), (1, Some(5)));
    assert!(
        found[0]
            .message
            .starts_with("1 of 24 neurons (4.2 %) has no position"),
        "{}",
        found[0]
    );
}

#[test]
fn rule_9_3_no_position_at_all_is_a_failure() {
    let found = findings(&[[f64::NAN, 0.0, 0.0]; 4], PlaneRule::Levels);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code, found[0].severity),
        (Code::MissingPositions, Severity::Failure)
    );
}

#[test]
fn rule_9_3_continuous_z_is_told_by_planes_and_by_neurons_per_plane() {
    assert_eq!(codes(&planes(257, 3)), [Code::ContinuousZ]);
    assert_eq!(codes(&planes(256, 3)), []);
    assert_eq!(codes(&planes(256, 2)), [Code::ContinuousZ]);
    assert_eq!(codes(&planes(10, 1)), [Code::ContinuousZ]);
    assert_eq!(codes(&planes(9, 1)), []); // too few to tell
}

#[test]
fn rule_9_3_continuous_z_that_was_cut_is_fine() {
    let xyz = planes(300, 1);
    assert_eq!(findings(&xyz, PlaneRule::Count(300)), []);
    assert_eq!(findings(&xyz, PlaneRule::Step(10.0)), []);
    let found = findings(&xyz, PlaneRule::Levels);
    assert!(found[0].advice.contains("--planes") && found[0].advice.contains("--plane_step"));
}

#[test]
fn rule_9_3_neurons_without_a_position_make_no_plane_continuous() {
    let mut xyz = planes(3, 8);
    xyz.extend((0..40).map(|z| [f64::NAN, 0.0, f64::from(z)]));
    assert_eq!(codes(&xyz), [Code::MissingPositions]);
}

#[test]
fn rule_9_3_shared_positions_matter_from_1_percent_on() {
    let mut xyz = planes(2, 100);
    xyz[7] = xyz[3];
    let found = findings(&xyz, PlaneRule::Levels);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, Code::RepeatedPositions);
    assert_eq!(
        (found[0].neurons, found[0].first_neuron, found[0].share),
        (2, Some(3), 0.01)
    );
    let mut xyz = planes(2, 101);
    xyz[7] = xyz[3];
    assert_eq!(codes(&xyz), []);
    let mut xyz = planes(2, 100);
    xyz[7] = [xyz[3][0], xyz[3][1], xyz[3][2] + 1.0]; // above one another
    assert_eq!(codes(&xyz), []);
}

#[test]
fn rule_9_3_positions_that_are_missing_are_not_shared() {
    let mut xyz = planes(2, 100);
    xyz[3] = [f64::NAN; 3];
    xyz[7] = [f64::NAN; 3];
    assert_eq!(codes(&xyz), [Code::MissingPositions]);
}
