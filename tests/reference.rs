//! The whole program on the reference subjects, where they are at hand: real recordings, real models, golden results.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{datasets, mpirun, python, reference};

const SUBJECTS: [(&str, &str); 5] = [
    ("subject_1", "OGB_zf_pDp_7.5Hz_smoothing200ms"),
    ("subject_2", "Global_EXC_30Hz_smoothing50ms_causalkernel"),
    ("subject_3", "reference_Global_EXC_2Hz_smoothing500ms"),
    ("subject_4", "reference_Global_EXC_2Hz_smoothing500ms"),
    ("subject_5", "reference_Global_EXC_2Hz_smoothing500ms"),
];

fn run(
    reference: &Path,
    ranks: usize,
    (subject, model): (&str, &str),
    output: &Path,
    more: &[&str],
) {
    let (subjects, models) = (reference.join("subjects"), reference.join("models"));
    let flags = [
        ["--input_dir", subjects.to_str().unwrap()],
        ["--output_dir", output.to_str().unwrap()],
        ["--model_dir", models.to_str().unwrap()],
        ["--cascade_model", model],
        ["--only", subject],
    ];
    mpirun(
        ranks,
        &[&flags.concat()[..], &["--save_traces"], more].concat(),
    )
    .expect(0);
}

fn floats(path: &Path, name: &str) -> Vec<f32> {
    let file = hdf5::File::open(path).unwrap();
    file.dataset(name).unwrap().read_raw().unwrap()
}

/// (F - F0) / F0 of the Python pipeline, but of the subject with missing samples and baselines below 0 that of rules 3.2 and 3.3,
/// which the Python pipeline does otherwise.
fn ratio(reference: &Path, subject: &str) -> Vec<f32> {
    let golden = reference.join("golden");
    match subject {
        "subject_4" => floats(&golden.join("subject_4_new_rules.h5"), "dff_ratio"),
        _ => floats(&golden.join("pipeline.h5"), &format!("{subject}/dff_ratio")),
    }
}

/// Rule 3.4: the largest difference in units of what is allowed.
fn worst(found: &[f32], expected: &[f32], allowed: impl Fn(usize) -> f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected).enumerate();
    pairs
        .map(
            |(i, (found, expected))| match (found.is_nan(), expected.is_nan()) {
                (true, true) => 0.0,
                (false, false) => f64::from((found - expected).abs()) / allowed(i),
                _ => f64::INFINITY,
            },
        )
        .fold(0.0, f64::max)
}

#[test]
fn rules_3_4_and_8_6_hold_on_the_reference_subjects_at_one_to_four_ranks() {
    let Some(reference) = reference() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (subject, model) in SUBJECTS {
        let mut expected: Option<BTreeMap<_, _>> = None;
        for ranks in 1..=common::available(4) {
            let output = folder.path().join(ranks.to_string());
            run(&reference, ranks, (subject, model), &output, &[]);
            if ranks == 1 {
                let output = output.to_str().unwrap();
                python("tests/check_outputs.py", &[output, subject]);
                python(
                    "scripts/replay_spikes.py",
                    &[&format!("{output}/{subject}")],
                );
                let dff = floats(
                    &folder.path().join("1").join(subject).join("traces.h5"),
                    "dff",
                );
                let ratio = ratio(&reference, subject);
                let worst = worst(&dff, &ratio, |i| 2e-6 * f64::from(ratio[i].abs()).max(1.0));
                assert!(
                    worst <= 1.0,
                    "{subject}: ΔF/F is off by {worst} of what is allowed"
                );
            }
            let found = datasets(&output);
            let expected = expected.get_or_insert_with(|| found.clone());
            for (name, dataset) in expected.iter() {
                assert!(found[name] == *dataset, "{name} differs at {ranks} ranks");
            }
            std::fs::remove_dir_all(&output).unwrap();
        }
    }
}

#[test]
fn rule_3_3_subtract_is_what_the_reference_script_computes() {
    let Some(reference) = reference() else { return };
    let golden = reference.join("golden/pipeline.h5");
    let folder = tempfile::tempdir().unwrap();
    for (subject, model) in [SUBJECTS[0], SUBJECTS[2]] {
        let output = folder.path().join(subject);
        run(
            &reference,
            2,
            (subject, model),
            &output,
            &["--baseline", "subtract"],
        );
        let dff = floats(&output.join(subject).join("traces.h5"), "dff");
        let expected = floats(&golden, &format!("{subject}/dff_subtract"));
        let ratio = floats(&golden, &format!("{subject}/dff_ratio"));
        // F = F0 + subtract, and subtract / ratio = F0.
        let f = |i: usize| f64::from(expected[i] + expected[i] / ratio[i]);
        let worst = worst(&dff, &expected, |i| 1e-6 * f(i).abs().max(1.0));
        assert!(worst <= 1.0, "{subject}: off by {worst} of what is allowed");
    }
}
