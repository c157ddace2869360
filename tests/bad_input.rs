//! Bad input and odd input: a clear error or a sensible result, never a panic, a hang or a half-written file.

mod common;

use std::path::{Path, PathBuf};

use common::{Workbench, copy_subject, python};
use hdf5::File;

/// Two subjects: a good one, and a copy of it to be damaged.
struct Patient {
    _folder: tempfile::TempDir,
    raw: PathBuf,
    out: PathBuf,
}

impl Patient {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
        let healthy = Workbench::get().raw().join("subject_1");
        copy_subject(&healthy, &raw.join("subject_1"));
        copy_subject(&healthy, &raw.join("subject_2"));
        Self {
            _folder: folder,
            raw,
            out,
        }
    }

    fn traces(&self) -> PathBuf {
        self.raw.join("subject_1/TimeSeries.h5")
    }

    fn positions(&self) -> PathBuf {
        self.raw.join("subject_1/data_full.mat")
    }

    /// Replaces `CellResp` and removes `absIX`.
    fn set_traces<T: hdf5::H5Type>(&self, shape: &[usize], values: &[T]) {
        let file = File::create(self.traces()).unwrap();
        file.new_dataset::<T>()
            .shape(shape)
            .create("CellResp")
            .unwrap()
            .write_raw(values)
            .unwrap();
        file.close().unwrap();
    }

    /// Replaces `CellXYZ` by scipy and leaves `IX_inval_anat` out.
    fn set_positions(&self, expression: &str) {
        python(
            "tests/fixtures/write_mat.py",
            &[self.positions().to_str().unwrap(), expression],
        );
    }

    /// subject_1 fails with these words and leaves nothing behind; subject_2 is processed.
    fn fails_saying(&self, words: &[&str]) {
        for ranks in 1..=common::available(2) {
            let _ = std::fs::remove_dir_all(&self.out);
            let run = Workbench::get()
                .run(ranks, &self.raw, &self.out, &[])
                .expect(1);
            assert!(
                run.stdout.contains("1 processed, 0 skipped, 1 failed"),
                "{}",
                run.stdout
            );
            let run = run.says(&["subject_1 failed"]).says(words);
            assert_eq!(
                run.stderr.matches("subject_1 failed").count(),
                1,
                "{}",
                run.stderr
            );
            assert!(!self.out.join("subject_1").exists());
            assert!(self.out.join("subject_2/preaugmented_grids.h5").is_file());
        }
    }

    /// Both subjects are processed, and the outputs are as the rules say.
    fn is_processed(&self) -> String {
        // The numbers are no recordings, of which the program could tell what they are.
        let flags = ["--save_traces", "--baseline", "dff"];
        let run = Workbench::get()
            .run(2, &self.raw, &self.out, &flags)
            .expect(0);
        python("tests/check_outputs.py", &[self.out.to_str().unwrap()]);
        run.stderr
    }
}

#[test]
fn a_missing_file_is_named() {
    let patient = Patient::new();
    std::fs::remove_file(patient.traces()).unwrap();
    patient.fails_saying(&["TimeSeries.h5"]);
    let patient = Patient::new();
    std::fs::remove_file(patient.positions()).unwrap();
    patient.fails_saying(&["data_full.mat"]);
}

#[test]
fn a_truncated_hdf5_file_fails() {
    let patient = Patient::new();
    let bytes = std::fs::read(patient.traces()).unwrap();
    for length in [0, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(patient.traces(), &bytes[..length]).unwrap();
        patient.fails_saying(&["TimeSeries.h5"]);
    }
}

#[test]
fn a_mat_file_of_random_bytes_fails() {
    let patient = Patient::new();
    let random: Vec<u8> = (0..5000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for length in [0, 100, 5000] {
        std::fs::write(patient.positions(), &random[..length]).unwrap();
        patient.fails_saying(&["data_full.mat"]);
    }
}

#[test]
fn positions_that_do_not_fit_fail() {
    for (expression, words) in [
        ("{'data': {'Other': np.zeros((90, 3))}}", &["CellXYZ"][..]),
        (
            "{'data': {'CellXYZ': np.zeros((90, 2))}}",
            &["CellXYZ", "90", "2"],
        ),
        (
            "{'data': {'CellXYZ': np.full((400, 3), np.inf)}}",
            &["CellXYZ"],
        ),
        ("{'other': {'CellXYZ': np.zeros((90, 3))}}", &["data"]),
        ("{'data': np.zeros((90, 3))}", &["data"]),
        ("{'data': {'CellXYZ': 'abc'}}", &["CellXYZ"]),
    ] {
        let patient = Patient::new();
        patient.set_positions(expression);
        patient.fails_saying(words);
    }
}

#[test]
fn rule_2_4_one_cell_too_few_fails_with_both_counts() {
    let patient = Patient::new();
    patient.set_traces(&[70, 91], &[1.0_f32; 70 * 91]);
    patient.set_positions("{'data': {'CellXYZ': np.zeros((90, 3))}}");
    patient.fails_saying(&["91", "90"]);
}

#[test]
fn rule_2_1_a_subject_whose_name_is_not_utf8_fails_alone() {
    use std::os::unix::ffi::OsStrExt;
    let patient = Patient::new();
    let odd = patient
        .raw
        .join(std::ffi::OsStr::from_bytes(b"subject_\xff"));
    if std::fs::rename(patient.raw.join("subject_1"), &odd).is_err() {
        common::not_run("this file system has no names that are not UTF-8");
        return;
    }
    let run = Workbench::get().run(2, &patient.raw, &patient.out, &[]);
    run.expect(1).says(&["failed: ", "subject_\\xFF", "rename"]);
    assert!(
        patient
            .out
            .join("subject_2/preaugmented_grids.h5")
            .is_file()
    );
}

#[test]
fn a_subject_with_the_name_of_a_file_of_the_output_folder_fails_before_it_is_computed() {
    let bench = Workbench::get();
    let [folder, out] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    copy_subject(
        &bench.raw().join("subject_2"),
        &folder.path().join("subject_2"),
    );
    let names = ["combined_metadata.h5", "report.html", "report-7.json"];
    for name in names {
        let plane = folder.path().join(name).join("suite2p/plane0");
        std::fs::create_dir_all(&plane).unwrap();
        std::fs::write(plane.join("F.npy"), "").unwrap();
    }
    let mut run = bench.run(2, folder.path(), out.path(), &[]).expect(1);
    for name in names {
        let advice = format!("found {name}; rename the recording");
        run = run.says(&[&format!("{name} failed: "), &advice]);
    }
    for name in ["combined_metadata.h5", "report.html", "report.json"] {
        assert!(out.path().join(name).is_file(), "no {name}");
    }
    let input = folder.path().to_str().unwrap();
    let doctor = common::alone(&["doctor", "--input_dir", input]).expect(1);
    assert!(doctor.stdout.contains("found report.html; rename"));
}

/// A dataset of zeros that takes no space in the file.
fn declare(file: &File, name: &str, shape: &[usize]) {
    let chunk: Vec<usize> = shape.iter().map(|&extent| extent.min(1000)).collect();
    let dataset = file.new_dataset::<f32>().shape(shape).chunk(chunk);
    dataset.create(name).unwrap();
}

#[test]
fn shapes_that_no_recording_has_fail_before_memory_is_taken() {
    let patient = Patient::new();
    patient.set_positions("{'data': {'CellXYZ': np.zeros((90, 3))}}");
    for (traces, index, words) in [
        ([1 << 33, 90], None, ["CellResp", "2147483647 frames"]),
        ([90, 1 << 33], None, ["CellResp", "2147483647 frames"]),
        ([1 << 30, 90], None, ["TimeSeries.h5", "--memory_limit"]),
        ([1 << 30, 1 << 31], None, ["CellResp", "90"]),
        ([5, 1 << 40], Some(1 << 40), ["absIX", "1099511627776"]),
    ] {
        let file = File::create(patient.traces()).unwrap();
        declare(&file, "CellResp", &traces);
        if let Some(count) = index {
            declare(&file, "absIX", &[count]);
        }
        file.close().unwrap();
        patient.fails_saying(&words);
    }
}

#[test]
fn extents_whose_product_overflows_are_not_taken_for_what_is_left_of_it() {
    let patient = Patient::new();
    let [rows, few, many] = [1_446_510_074, 7, 12_752_585_969_usize];
    assert_eq!(rows.wrapping_mul(many), 90);
    let file = File::create(patient.traces()).unwrap();
    declare(&file, "CellResp", &[70, 90]);
    declare(&file, "absIX", &[rows, few]);
    file.close().unwrap();
    let mut bytes = std::fs::read(patient.traces()).unwrap();
    let [from, to] = [few, many].map(|columns| [rows, columns].map(usize::to_le_bytes).concat());
    let places = 0..bytes.len() - from.len();
    for place in places
        .filter(|&place| bytes[place..].starts_with(&from))
        .collect::<Vec<_>>()
    {
        bytes[place..place + to.len()].copy_from_slice(&to);
    }
    std::fs::write(patient.traces(), bytes).unwrap();
    patient.fails_saying(&["absIX", "at most 67108864 row numbers"]);
}

#[test]
fn a_refused_lock_names_the_setting_that_does_without() {
    let patient = Patient::new();
    let words = ["unable to lock file", "HDF5_USE_FILE_LOCKING=FALSE"];
    let traces = std::fs::File::open(patient.traces()).unwrap();
    traces.lock().unwrap();
    patient.fails_saying(&["TimeSeries.h5", words[0], words[1]]);
    drop(traces);
    std::fs::create_dir_all(&patient.out).unwrap();
    let combined = patient.out.join(".combined_metadata.h5.partial");
    let combined = std::fs::File::create(combined).unwrap();
    combined.lock().unwrap();
    let run = Workbench::get().run(2, &patient.raw, &patient.out, &[]);
    run.expect(1)
        .says(&["combined_metadata.h5", words[0], words[1]]);
}

#[test]
fn a_folder_in_place_of_an_output_is_noticed_before_anything_is_computed() {
    let bench = Workbench::get();
    for name in [
        "preaugmented_grids.h5",
        ".metadata.h5.partial",
        "subject_1_visualization.pdf",
    ] {
        let out = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(out.path().join("subject_1").join(name)).unwrap();
        let run = bench
            .run(2, &bench.raw(), out.path(), &["--overwrite"])
            .expect(1);
        run.says(&["subject_1 failed", name, "is a folder"]);
        assert_eq!(common::report(out.path())["subjects"][0]["work_units"], 0);
        assert!(out.path().join("subject_2/preaugmented_grids.h5").is_file());
    }
    for name in ["report.json", "combined_metadata.h5"] {
        let out = tempfile::tempdir().unwrap();
        std::fs::create_dir(out.path().join(name)).unwrap();
        let run = bench.run(2, &bench.raw(), out.path(), &[]).expect(2);
        run.says(&[name, "directory"]);
    }
}

#[test]
fn traces_of_the_wrong_rank_or_type_fail() {
    let patient = Patient::new();
    patient.set_traces(&[700 * 90], &vec![1.0_f32; 700 * 90]);
    patient.fails_saying(&["CellResp"]);
    patient.set_traces(&[7, 100, 90], &vec![1.0_f32; 700 * 90]);
    patient.fails_saying(&["CellResp"]);
    let file = File::create(patient.traces()).unwrap();
    let word: hdf5::types::FixedAscii<4> = hdf5::types::FixedAscii::from_ascii(b"cell").unwrap();
    file.new_dataset_builder()
        .with_data(&ndarray::Array2::from_elem((5, 90), word))
        .create("CellResp")
        .unwrap();
    file.close().unwrap();
    patient.fails_saying(&["CellResp"]);
    File::create(patient.traces()).unwrap().close().unwrap();
    patient.fails_saying(&["CellResp"]);
}

#[test]
fn rules_8_1_and_8_2_and_8_5_hold_for_odd_but_valid_recordings() {
    let cells = |count: usize| {
        format!("{{'data': {{'CellXYZ': np.arange({count} * 3.0).reshape({count}, 3)}}}}")
    };
    let few = |frames: usize, neurons: usize| {
        (0..frames * neurons)
            .map(|i| (i * 7 % 13) as f32)
            .collect::<Vec<_>>()
    };
    for (frames, neurons, values) in [
        (1, 5, few(1, 5)),
        (200, 1, few(200, 1)),
        (1, 1, vec![3.0]),
        (100, 4, vec![f32::NAN; 400]),
        (100, 4, vec![7.0; 400]),
        (100, 4, vec![0.0; 400]),
        (340, 3, vec![f32::INFINITY; 1020]),
    ] {
        let patient = Patient::new();
        patient.set_traces(&[frames, neurons], &values);
        patient.set_positions(&cells(neurons));
        patient.is_processed();
    }
}

#[test]
fn rule_4_6_a_recording_shorter_than_the_window_is_a_warning() {
    let patient = Patient::new();
    patient.set_traces(&[63, 4], &[1.0_f32; 63 * 4]);
    patient.set_positions("{'data': {'CellXYZ': np.zeros((4, 3))}}");
    assert!(
        patient
            .is_processed()
            .contains("63 frames are fewer than the model's window of 64")
    );
}

#[test]
fn rule_2_5_nan_coordinates_are_a_warning_with_their_number() {
    let patient = Patient::new();
    patient.set_traces(&[100, 4], &[1_i16; 400]);
    patient.set_positions(
        "{'data': {'CellXYZ': np.array([[np.nan, 1, 2], [3, 4, 5], [6, 7, np.nan], [1, 1, 1]])}}",
    );
    let warnings = patient.is_processed();
    assert!(
        warnings.contains("warning: subject_1: positions.missing: 2 of 4 neurons"),
        "{warnings}"
    );
}

fn refused(flags: &[&str], words: &[&str]) {
    let bench = Workbench::get();
    let out = tempfile::tempdir().unwrap();
    let run = bench
        .run(2, &bench.raw(), &out.path().join("out"), flags)
        .expect(2)
        .says(words);
    assert_eq!(
        run.stderr.matches("error: ").count(),
        1,
        "said more than once:\n{}",
        run.stderr
    );
    assert!(!out.path().join("out/subject_1").exists());
}

#[test]
fn rule_1_4_what_cannot_start_ends_with_2() {
    refused(&["--split_ratio", "2"], &["--split_ratio is 2", "0 to 1"]);
    refused(&["--batch_size", "0"], &["--batch_size is 0"]);
    refused(&["--workers", "0"], &["--workers is 0"]);
    refused(&["--percentile", "101"], &["--percentile is 101"]);
    refused(&["--window_sec", "nan"], &["--window_sec is NaN"]);
    refused(&["--sampling_rate", "-2"], &["--sampling_rate"]);
    #[cfg(not(feature = "cuda"))]
    refused(&["--device", "cuda"], &["without GPU support"]);
    refused(
        &["--only", "subject_9"],
        &["subject_9", "\"subject_1\", \"subject_2\""],
    );
    refused(&["--skip", "subject_1,subject_2"], &["no subject"]);
    refused(&["--no_such_flag"], &["--no_such_flag"]);
    refused(&["--seed", "abc"], &["abc"]);
}

#[test]
fn rule_1_4_an_unknown_model_lists_those_there_are() {
    let bench = Workbench::get();
    let out = tempfile::tempdir().unwrap();
    let (raw, models) = (bench.raw(), bench.models());
    let flags = [
        "--input_dir",
        raw.to_str().unwrap(),
        "--output_dir",
        out.path().to_str().unwrap(),
        "--model_dir",
        models.to_str().unwrap(),
        "--cascade_model",
        "Nonsense_2Hz",
    ];
    common::mpirun(2, &flags)
        .expect(2)
        .says(&["Nonsense_2Hz", common::MODEL]);
}

#[test]
fn rule_1_4_no_subjects_or_no_output_folder_end_with_2() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    bench
        .run(2, &empty, &folder.path().join("out"), &[])
        .expect(2)
        .says(&["subject_"]);
    bench
        .run(
            2,
            &folder.path().join("nowhere"),
            &folder.path().join("out"),
            &[],
        )
        .expect(2)
        .says(&["nowhere"]);
    std::fs::write(folder.path().join("file"), b"").unwrap();
    bench
        .run(2, &bench.raw(), &folder.path().join("file/out"), &[])
        .expect(2)
        .says(&["file/out"]);
    bench
        .run(2, &bench.raw(), Path::new("/proc/nothing/here"), &[])
        .expect(2)
        .says(&["/proc/nothing/here"]);
}

#[test]
fn rule_4_1_weights_that_contradict_the_config_end_with_2() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join(common::MODEL);
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(bench.models().join(common::MODEL)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
    let config = std::fs::read_to_string(model.join("config.yaml")).unwrap();
    let run = |config: &str| {
        std::fs::write(model.join("config.yaml"), config).unwrap();
        let (raw, out) = (bench.raw(), folder.path().join("out"));
        let flags = [
            "--input_dir",
            raw.to_str().unwrap(),
            "--output_dir",
            out.to_str().unwrap(),
            "--model_dir",
            folder.path().to_str().unwrap(),
            "--cascade_model",
            common::MODEL,
        ];
        common::mpirun(2, &flags).expect(2)
    };
    assert!(config.contains("dense_expansion: 10"), "{config}");
    run(&config.replace("dense_expansion: 10", "dense_expansion: 11")).says(&[
        "Model_NoiseLevel_",
        "10",
        "11",
    ]);
    run("windowsize: [").says(&["config.yaml"]);
    run("").says(&["config.yaml"]);
}
