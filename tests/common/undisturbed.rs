//! A run that nothing disturbed, and what must hold after runs that something did.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Job, Workbench, datasets, demo_data, visible_files};

pub const FLAGS: &[&str] = &["--save_traces", "--activity", "--nwb"];
pub const SUBJECTS: [&str; 2] = ["subject_1", "subject_2"];

type Datasets = BTreeMap<String, (String, Vec<usize>, Vec<u8>)>;

pub struct Undisturbed {
    _folder: tempfile::TempDir,
    pub raw: PathBuf,
    expected: Datasets,
    /// How long an undisturbed run takes.
    pub duration: Duration,
}

impl Undisturbed {
    /// Of two demo subjects, on two ranks.
    pub fn new(neurons: usize, frames: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
        demo_data(&raw, 2, neurons, frames);
        let start = Instant::now();
        Workbench::get().run(2, &raw, &out, FLAGS).expect(0);
        Self {
            duration: start.elapsed(),
            _folder: folder,
            raw,
            expected: datasets(&out),
        }
    }

    /// One that is long enough to be killed in its course, made once per test program.
    pub fn get() -> &'static Self {
        static RUN: OnceLock<Undisturbed> = OnceLock::new();
        RUN.get_or_init(|| Self::new(300, 1500))
    }

    pub fn start(&self, ranks: usize, out: &Path, flags: &[&str]) -> Job {
        Job::start(Workbench::get().mpirun(ranks, &self.raw, out, flags))
    }

    /// What has a final name is whole.
    pub fn check_final_names(&self, out: &Path) {
        for subject in SUBJECTS {
            for name in visible_files(&out.join(subject)) {
                let path = out.join(subject).join(&name);
                if name.ends_with(".pdf") {
                    let bytes = std::fs::read(&path).unwrap();
                    assert!(bytes.trim_ascii_end().ends_with(b"%%EOF"), "{name} is cut");
                }
            }
        }
        if SUBJECTS
            .iter()
            .any(|subject| !visible_files(&out.join(subject)).is_empty())
        {
            for (name, found) in datasets(out) {
                assert!(self.expected[&name] == found, "{name} differs");
            }
        }
    }

    /// A rerun completes everything and leaves nothing else.
    pub fn check_rerun(&self, ranks: usize, out: &Path) {
        let run = Workbench::get().run(ranks, &self.raw, out, FLAGS).expect(0);
        assert!(run.stdout.contains("0 failed"), "{}", run.stdout);
        self.check_final_names(out);
        assert!(datasets(out).keys().eq(self.expected.keys()));
        assert_eq!(hidden_files(out), [""; 0]);
        for subject in SUBJECTS {
            assert_eq!(hidden_files(&out.join(subject)), [""; 0]);
        }
    }
}

/// The files of a folder that are hidden: temporary names and journals.
pub fn hidden_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}
