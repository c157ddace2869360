//! Whole subjects: rules 2.2 to 2.5 together, and the reference subjects where they are at hand.

use std::path::{Path, PathBuf};

use super::time_series::identity;
use super::*;

/// A subject with the positions of a fixture (six cells, of which 2 and 5 are invalid unless its name says otherwise).
struct Recording {
    _folder: tempfile::TempDir,
    subject: Subject,
}

impl Recording {
    fn new(mat: &str, traces: [usize; 2], abs_ix: Option<&[f64]>) -> Recording {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("subject_1");
        std::fs::create_dir(&dir).expect("a subject folder");
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures/mat")
            .join(mat);
        std::fs::copy(fixture, dir.join("data_full.mat")).expect("positions");
        let file = hdf5::File::create(dir.join("TimeSeries.h5")).expect("a file");
        let values = ndarray::Array2::from_shape_fn(traces, |(a, b)| (100 * a + b) as f32);
        file.new_dataset::<f32>()
            .shape(traces)
            .create("CellResp")
            .expect("traces")
            .write(&values)
            .expect("traces");
        if let Some(rows) = abs_ix {
            file.new_dataset::<f64>()
                .shape((1, rows.len()))
                .create("absIX")
                .expect("index")
                .write_raw(rows)
                .expect("index");
        }
        Recording {
            _folder: folder,
            subject: Subject {
                name: "subject_1".into(),
                dir,
            },
        }
    }

    fn open(&self) -> Result<Source, InputError> {
        open(&self.subject, &Request::default())
    }

    fn message(&self) -> String {
        let message = self.open().expect_err("an error").to_string();
        assert!(
            message.contains("subject_1") && !message.contains('\n'),
            "{message}"
        );
        message
    }
}

#[test]
fn rule_2_2_the_orientation_is_the_one_that_fits_the_number_of_cells() {
    for (shape, orientation, frames) in [
        ([9, 4], Orientation::FramesByNeurons, 9),
        ([4, 9], Orientation::NeuronsByFrames, 9),
        ([4, 4], Orientation::FramesByNeurons, 4),
        ([1, 4], Orientation::FramesByNeurons, 1),
    ] {
        let recording = Recording::new("compressed.mat", shape, None);
        let input = recording.open().expect("input");
        assert_eq!(input.storage().orientation, orientation, "{shape:?}");
        assert_eq!((input.frames(), input.neurons()), (frames, 4), "{shape:?}");
        assert_eq!(input.positions.source_row, [0, 2, 3, 5]);
        let reader = input.location.open().expect("fluorescence");
        let second = reader.read_neurons(1..2).expect("samples");
        let trace = second.traces(&(1..2));
        let other = if orientation == Orientation::FramesByNeurons {
            1.0
        } else {
            100.0
        };
        assert_eq!(trace[0], other, "{shape:?}");
    }
}

#[test]
fn rule_2_4_one_cell_too_few_fails_with_both_counts() {
    let message = Recording::new("compressed.mat", [9, 5], None).message();
    assert!(
        message.contains("(9, 5)")
            && message.contains("gives 4 cells")
            && message.contains("of 6 rows"),
        "{message}"
    );
    let message = Recording::new("compressed.mat", [9, 5], Some(&[1.0, 2.0, 3.0, 4.0])).message();
    assert!(
        message.contains("(9, 5)") && message.contains("absIX gives 4 cells"),
        "{message}"
    );
}

#[test]
fn rule_2_4_abs_ix_is_used_whatever_the_invalid_rows_leave() {
    let input = Recording::new("compressed.mat", [9, 2], Some(&[6.0, 2.0]))
        .open()
        .expect("input");
    assert_eq!(input.positions.source_row, [5, 1]);
    assert_eq!(input.positions.xyz[0], [50.25, 51.25, 52.25]);
    assert_eq!(input.findings.len(), 1);
    let agreeing = Recording::new("compressed.mat", [9, 4], Some(&[1.0, 3.0, 4.0, 6.0]))
        .open()
        .expect("input");
    assert_eq!(agreeing.findings, []);
    let one = Recording::new("no_index.mat", [1, 1], Some(&[3.0]))
        .open()
        .expect("input");
    assert_eq!((one.frames(), one.neurons()), (1, 1));
}

#[test]
fn rule_9_3_layout_ambiguous() {
    for (shape, found) in [([4, 4], true), ([5, 4], false), ([3, 4], false)] {
        for abs_ix in [None, Some(&[1.0, 3.0, 4.0, 6.0][..])] {
            let recording = Recording::new("compressed.mat", shape, abs_ix);
            let input = recording.open().expect("input");
            let codes: Vec<_> = input
                .findings
                .iter()
                .map(|finding| finding.code.name())
                .collect();
            let expected: &[&str] = if found { &["layout.ambiguous"] } else { &[] };
            assert_eq!(codes, expected, "{shape:?}");
        }
    }
}

#[test]
fn rule_2_7_the_rate_of_the_recording_is_that_of_its_file() {
    let rate = |mat| {
        Recording::new(mat, [9, 4], None)
            .open()
            .expect("input")
            .rate
    };
    assert_eq!(rate("many_fields.mat"), Some(2.0));
    assert_eq!(rate("compressed.mat"), None);
}

#[test]
fn rule_2_3_an_unusable_mat_file_names_the_subject() {
    for mat in ["bad_no_cell_xyz.mat", "bad_two_columns.mat", "bad_mat4.mat"] {
        let message = Recording::new(mat, [9, 4], None).message();
        assert!(message.contains("data_full.mat"), "{message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    for (file, what) in [("TimeSeries.h5", "CellResp"), ("data_full.mat", "CellXYZ")] {
        let recording = Recording::new("compressed.mat", [9, 4], None);
        std::fs::remove_file(recording.subject.dir.join(file)).expect("a file");
        let message = recording.message();
        assert!(
            message.contains(file) && message.contains(what) && message.contains("no such file"),
            "{message}"
        );
    }
}

#[test]
fn what_is_there_instead_of_a_file_is_said() {
    let recording = Recording::new("compressed.mat", [9, 4], None);
    let path = |name: &str| recording.subject.dir.join(name);
    for name in [
        "TimeSeries_half.h5",
        "CellRespZ.hdf5",
        ".hidden.h5",
        "notes.txt",
        "other.mat",
    ] {
        std::fs::write(path(name), "").expect("a file");
    }
    std::fs::rename(path("TimeSeries.h5"), path("timeseries.h5")).expect("a file");
    let message = recording.message();
    let names = "no such file, but CellRespZ.hdf5, TimeSeries_half.h5, timeseries.h5 beside it";
    assert!(message.contains(names), "{message}");
    std::os::unix::fs::symlink("/store/gone.h5", path("TimeSeries.h5")).expect("a link");
    assert!(
        recording
            .message()
            .contains("a link to /store/gone.h5, which is not there")
    );
    std::fs::remove_file(path("TimeSeries.h5")).expect("a link");
    for (content, words) in [
        (&b"<html>Sign in to download</html>"[..], "HTML"),
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        (b"\x1f\x8b\x08", "gzip"),
    ] {
        std::fs::write(path("TimeSeries.h5"), content).expect("a file");
        let message = recording.message();
        assert!(
            message.contains(words) && message.contains("TimeSeries.h5"),
            "{message}"
        );
    }
    std::fs::rename(path("timeseries.h5"), path("TimeSeries.h5")).expect("a file");
    for name in ["data_full.mat", "TimeSeries.h5"] {
        std::fs::remove_file(path(name)).expect("a file");
        crate::regular::make_pipe(&path(name));
        let message = recording.message();
        assert!(
            message.contains(name) && message.contains("a named pipe (FIFO)"),
            "{message}"
        );
        assert!(crate::crash_trial::subject(&recording.subject, &Request::default()).is_ok());
    }
}

#[test]
fn rule_8_7_the_identity_changes_with_the_files() {
    let recording = Recording::new("compressed.mat", [9, 4], None);
    let before = recording.open().expect("input").identity;
    assert_eq!(before, identity(&recording.subject.dir).expect("identity"));
    let path = recording.subject.dir.join("data_full.mat");
    let file = std::fs::File::options()
        .append(true)
        .open(&path)
        .expect("a file");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(7))
        .expect("a time");
    let after = identity(&recording.subject.dir).expect("identity");
    assert_ne!(after, before);
    let [before, after] = [before, after].map(|identity| serde_json::json!(identity));
    assert_eq!(after["data_full"]["size"], before["data_full"]["size"]);
    assert_eq!(after["data_full"]["modified_ns"], 7_000_000_000_u64);
    assert_eq!(after["time_series"], before["time_series"]);
}

#[test]
fn rule_8_7_the_identity_is_written_as_in_earlier_versions() {
    let recording = Recording::new("compressed.mat", [9, 4], None);
    let sizes = ["TimeSeries.h5", "data_full.mat"].map(|name| {
        let path = recording.subject.dir.join(name);
        let file = std::fs::File::options().append(true).open(path);
        let file = file.expect("a file");
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(5);
        file.set_modified(time).expect("a time");
        file.metadata().expect("metadata").len()
    });
    let identity = identity(&recording.subject.dir).expect("identity");
    let expected = format!(
        r#"{{"time_series":{{"size":{},"modified_ns":5}},"data_full":{{"size":{},"modified_ns":5}}}}"#,
        sizes[0], sizes[1]
    );
    assert_eq!(serde_json::to_string(&identity).expect("JSON"), expected);
}

#[test]
fn a_file_that_changed_since_it_was_opened_is_refused() {
    let recording = Recording::new("compressed.mat", [9, 4], None);
    let location = recording.open().expect("input").location;
    let path = recording.subject.dir.join("TimeSeries.h5");
    let file = hdf5::File::create(&path).expect("a file");
    let dataset = file.new_dataset::<f32>().shape((8, 4)).create("CellResp");
    drop((dataset, file));
    let message = location.open().expect_err("another file").to_string();
    assert!(
        message.contains(
            "TimeSeries.h5 changed while it was processed: 9 frames of 4 neurons are now 8 of 4"
        ),
        "{message}"
    );
}

#[test]
fn rules_2_3_and_2_4_reference_subjects_have_the_positions_of_the_golden_file() {
    let reference = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/reference"
    ));
    if !reference.is_dir() {
        eprintln!(
            "SKIPPED: no reference data at {}: the checks against it did not run",
            reference.display()
        );
        return;
    }
    let golden = hdf5::File::open(reference.join("golden/pipeline.h5")).expect("the golden file");
    let found = subjects(&reference.join("subjects")).expect("subjects");
    assert_eq!(found.len(), 5);
    for subject in found {
        let input = open(&subject, &Request::default()).unwrap_or_else(|e| panic!("{e}"));
        let group = golden.group(&subject.name).expect("a golden subject");
        let expected = group
            .dataset("cell_xyz")
            .expect("positions")
            .read_2d::<f64>()
            .expect("positions");
        let dff = group.dataset("dff_subtract").expect("dff");
        assert_eq!(
            dff.shape(),
            [input.neurons(), input.frames()],
            "{}",
            subject.name
        );
        assert_eq!(
            input.positions.xyz.len(),
            expected.nrows(),
            "{}",
            subject.name
        );
        for (found, expected) in input.positions.xyz.iter().flatten().zip(expected.iter()) {
            assert!(
                found == expected || found.is_nan() && expected.is_nan(),
                "{}",
                subject.name
            );
        }
        assert_eq!(input.findings, [], "{}", subject.name);
        let last = input.neurons() - 1;
        let reader = input.location.open().expect("fluorescence");
        reader.read_neurons(last..last + 1).expect("a trace");
    }
}
