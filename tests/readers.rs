//! What labs have instead of the files that they should have: the whole program says what is there, and what to do.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Workbench, copy_subject};

/// A folder with two subjects; the first is to be spoilt.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let healthy = Workbench::get().raw().join("subject_1");
        for name in ["subject_1", "subject_2"] {
            copy_subject(&healthy, &lab.path("raw").join(name));
        }
        lab
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program, which must come to an end; subject_1 fails with these words, and no other.
    fn fails_saying(&self, flags: &[&str], words: &[&str]) {
        let (raw, out) = (self.path("raw"), self.path("out"));
        let run = Workbench::get().run(2, &raw, &out, flags).expect(1);
        let run = run.says(words);
        assert_eq!(run.stderr.matches(" failed: ").count(), 1, "{}", run.stderr);
        assert!(out.join("subject_2/preaugmented_grids.h5").is_file());
    }
}

fn make_pipe(path: &Path) {
    let _ = std::fs::remove_file(path);
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()));
}

#[test]
fn pipes_are_not_opened_as_input_or_output() {
    let lab = Lab::new();
    make_pipe(&lab.path("raw/subject_1/TimeSeries.h5"));
    lab.fails_saying(&[], &["TimeSeries.h5", "found a named pipe (FIFO)"]);
    for name in ["preaugmented_grids.h5", "metadata.h5", ".traces.h5.partial"] {
        let lab = Lab::new();
        std::fs::create_dir_all(lab.path("out/subject_1")).unwrap();
        make_pipe(&lab.path("out/subject_1").join(name));
        let (raw, out) = (lab.path("raw"), lab.path("out"));
        let run = Workbench::get().run(2, &raw, &out, &["--save_traces"]);
        run.expect(1)
            .says(&["subject_1 failed", name, "is a named pipe (FIFO)"]);
    }
}

#[test]
fn rule_9_3_a_link_that_leads_nowhere_is_a_subject_that_fails() {
    let lab = Lab::new();
    std::fs::remove_dir_all(lab.path("raw/subject_1")).unwrap();
    std::os::unix::fs::symlink("../store/gone", lab.path("raw/subject_1")).unwrap();
    lab.fails_saying(&[], &["subject_1 failed", "../store/gone"]);
    let report = common::report(&lab.path("out"));
    let codes = report["subjects"][0]["findings"].to_string();
    assert!(codes.contains("subjects.unreadable_link"), "{codes}");
}

#[test]
fn rule_1_4_a_folder_without_subjects_ends_with_2_and_says_what_is_in_it() {
    let lab = Lab::new();
    for (name, words) in [
        ("Subject_1", "found Subject_1; give it a name"),
        ("deep/subject_1", "deep/ with subject_1 in it"),
    ] {
        let raw = lab.path("other").join(name);
        copy_subject(&lab.path("raw/subject_1"), &raw);
        let run = Workbench::get().run(1, &lab.path("other"), &lab.path("out"), &[]);
        run.expect(2).says(&[words]);
        std::fs::remove_dir_all(lab.path("other")).unwrap();
    }
}
