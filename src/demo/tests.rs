//! Demo subjects are readable by the pipeline's own input, reproducible, and believable.

use spikegrid_files::input::{self, Orientation, Request};

use super::*;

fn options(output: &Path) -> DemoOptions {
    DemoOptions {
        subjects: 2,
        neurons: 150,
        frames: 700,
        output: output.to_owned(),
        seed: 7,
        rate_hz: 2.0,
    }
}

fn written(options: &DemoOptions) -> Vec<input::Source> {
    write(options, |_| {}).expect("demo data");
    let subjects = input::subjects(&options.output).expect("subjects");
    subjects
        .iter()
        .map(|subject| input::open(subject, &Request::default()).unwrap_or_else(|e| panic!("{e}")))
        .collect()
}

/// Neuron-major traces of all neurons.
fn traces(input: &input::Source) -> Vec<f32> {
    let reader = input.location.open().expect("fluorescence");
    let all = 0..input.neurons();
    let samples = reader.read_neurons(all.clone()).expect("samples");
    samples.traces(&all)
}

fn spikes(folder: &Path) -> ndarray::Array2<u8> {
    let file = hdf5::File::open(folder.join("true_spikes.h5")).expect("true spikes");
    file.dataset("spikes")
        .and_then(|spikes| spikes.read_2d())
        .expect("true spikes")
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

#[test]
fn demo_subjects_have_the_input_format_of_section_2() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = options(&dir.path().join("demo"));
    let inputs = written(&options);
    assert_eq!(inputs.len(), 2);
    for input in &inputs {
        assert_eq!(input.storage().orientation, Orientation::FramesByNeurons);
        assert_eq!((input.frames(), input.neurons()), (700, 150));
        // absIX and IX_inval_anat agree, and no coordinate is missing.
        assert_eq!(input.findings, []);
        assert!(input.positions.source_row.last() >= Some(&149));
    }
    assert_ne!(inputs[0].positions.xyz, inputs[1].positions.xyz);
    assert_ne!(traces(&inputs[0]), traces(&inputs[1]));
    let names: Vec<_> = fs::read_dir(&options.output)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names.len(), 2, "nothing else is left: {names:?}");
}

#[test]
fn demo_data_is_the_same_for_the_same_seed_and_any_length() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let first = options(&dir.path().join("first"));
    let second = DemoOptions {
        output: dir.path().join("second"),
        ..first.clone()
    };
    let (a, b) = (written(&first), written(&second));
    assert_eq!(traces(&a[1]), traces(&b[1]));
    assert_eq!(a[1].positions, b[1].positions);
    assert_eq!(
        spikes(&first.output.join("subject_2")),
        spikes(&second.output.join("subject_2"))
    );
    // A longer recording begins with the same frames, although its blocks are cut elsewhere.
    let longer = DemoOptions {
        output: dir.path().join("longer"),
        subjects: 1,
        frames: 900,
        ..first.clone()
    };
    let (long, short) = (traces(&written(&longer)[0]), traces(&a[0]));
    assert_eq!(long[..700], short[..700]);
    let other_seed = DemoOptions {
        output: dir.path().join("other"),
        seed: 8,
        ..first
    };
    assert_ne!(traces(&written(&other_seed)[0]), short);
}

#[test]
fn demo_traces_are_believable() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = options(dir.path());
    let input = written(&options).swap_remove(0);
    let traces = traces(&input);
    assert!(traces.iter().all(|&f| f.is_finite() && f >= 1.0));
    // Rule 4.3 with the median as the baseline: mostly between 2 and 8.
    let noise: Vec<f32> = traces
        .chunks_exact(700)
        .map(|trace| {
            let steps = trace
                .windows(2)
                .map(|pair| (pair[1] - pair[0]).abs())
                .collect();
            100.0 * median(steps) / median(trace.to_vec()) / 2f32.sqrt()
        })
        .collect();
    let usual = noise
        .iter()
        .filter(|level| (2.0..8.0).contains(*level))
        .count();
    assert!(
        usual >= 130,
        "{usual} of 150 noise levels are usual: {noise:?}"
    );
    let spikes = spikes(&dir.path().join("subject_1"));
    assert_eq!(spikes.shape(), [700, 150]);
    let per_sec = spikes.iter().map(|&s| f64::from(s)).sum::<f64>() / (150.0 * 350.0);
    assert!(
        (0.02..1.0).contains(&per_sec),
        "{per_sec} spikes per second and neuron"
    );
    assert!(spikes.iter().any(|&s| s >= 3), "bursts");
}

#[test]
fn demo_cells_are_bilateral_elongated_and_on_planes() {
    let brain = Brain::new(4000, 1, 3);
    let valid: Vec<[f64; 3]> = brain
        .abs_ix
        .iter()
        .map(|&row| brain.cell_xyz[row as usize - 1])
        .collect();
    let side = |left: bool| {
        valid
            .iter()
            .filter(|[_, y, _]| (*y < 301.0) == left)
            .count()
    };
    assert!(side(true).abs_diff(side(false)) < 300);
    let extent = |axis: usize| {
        let values = valid.iter().map(|place| place[axis]);
        values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
    };
    assert!(extent(0) > 1.5 * extent(1), "{} × {}", extent(0), extent(1));
    let mut planes: Vec<f64> = valid.iter().map(|place| place[2]).collect();
    planes.sort_by(f64::total_cmp);
    planes.dedup();
    assert!((20..=29).contains(&planes.len()), "{} planes", planes.len());
    assert_eq!(brain.invalid.len(), 120);
    let mut rows: Vec<u32> = brain.abs_ix.iter().chain(&brain.invalid).copied().collect();
    rows.sort_unstable();
    assert!(rows.into_iter().eq(1..=4120));
}

#[test]
fn demo_data_of_one_neuron_and_one_frame() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let smallest = DemoOptions {
        subjects: 1,
        neurons: 1,
        frames: 1,
        ..options(dir.path())
    };
    let input = written(&smallest).swap_remove(0);
    assert_eq!((input.frames(), input.neurons()), (1, 1));
}

#[test]
fn demo_data_never_touches_an_output_folder_with_subjects() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(dir.path().join("subject_9")).expect("a folder");
    let message = write(&options(dir.path()), |_| {})
        .expect_err("occupied")
        .to_string();
    assert!(
        message.contains("subject_9") && message.contains("--output"),
        "{message}"
    );
}

#[test]
fn demo_options_out_of_range_are_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let good = options(dir.path());
    for (bad, name) in [
        (
            DemoOptions {
                subjects: 0,
                ..good.clone()
            },
            "--subjects",
        ),
        (
            DemoOptions {
                neurons: 0,
                ..good.clone()
            },
            "--neurons",
        ),
        (
            DemoOptions {
                frames: 0,
                ..good.clone()
            },
            "--frames",
        ),
        (
            DemoOptions {
                rate_hz: f64::NAN,
                ..good.clone()
            },
            "--rate_hz",
        ),
    ] {
        let message = write(&bad, |_| {}).expect_err(name).to_string();
        assert!(message.contains(name), "{message}");
    }
    let file = dir.path().join("file");
    fs::write(&file, "").expect("a file");
    let message = write(&options(&file), |_| {})
        .expect_err("a file")
        .to_string();
    assert!(message.contains("cannot be written"), "{message}");
}
