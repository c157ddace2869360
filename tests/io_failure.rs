//! Each k-th open, read, write, sync and rename of a rank fails: the run ends soon and in order, says the
//! system's reason, and a rerun ends with the bytes of an undisturbed run. `SPIKEGRID_IO_FAILURES` is the number of
//! calls of each kind that fail in turn, spread over the run; `scripts/fault.sh` sets it for the long form.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::undisturbed::{FLAGS, SUBJECTS, Undisturbed, hidden_files};
use common::{Job, PROGRAM, Run, Workbench, available};

/// What fails: one call, or all from it on, as when a file system is gone.
#[derive(Debug, Clone, Copy)]
struct Failure {
    ranks: usize,
    rank: usize,
    call: &'static str,
    first: usize,
    last: usize,
    error: i32,
}

const CALLS: [&str; 5] = ["open", "read", "write", "sync", "rename"];
const ERRORS: [(i32, &str); 3] = [
    (5, "Input/output error"),
    (28, "No space left on device"),
    (122, "Disk quota exceeded"),
];

struct Bench {
    undisturbed: Undisturbed,
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("failing_io.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/failing_io.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status();
        assert!(compiled.expect("cc can be started").success());
        Self {
            undisturbed: Undisturbed::new(60, 400),
            folder,
            library,
        }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// A run with this failure; also what the preloaded library noted.
    fn run(&self, failure: Failure) -> (Run, String) {
        let log = self.folder.path().join("log");
        let _ = std::fs::remove_file(&log);
        let mut command = match failure.ranks {
            1 => Command::new("env"),
            ranks => common::on_ranks(ranks, "env"),
        };
        let bench = Workbench::get();
        let (raw, out) = (&self.undisturbed.raw, self.out());
        let folders = [raw, &bench.models(), &out].map(|folder| folder.display().to_string());
        for (name, value) in [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAILING_IO_FOLDERS", folders.join(":")),
            ("FAILING_IO_CALL", failure.call.to_string()),
            ("FAILING_IO_FIRST", failure.first.to_string()),
            ("FAILING_IO_LAST", failure.last.to_string()),
            ("FAILING_IO_ERROR", failure.error.to_string()),
            ("FAILING_IO_RANK", failure.rank.to_string()),
            ("FAILING_IO_LOG", log.display().to_string()),
        ] {
            command.arg(format!("{name}={value}"));
        }
        command.arg(PROGRAM).args(bench.flags(raw, &out, FLAGS));
        let run = Job::start(command).ends_within(180);
        (run, std::fs::read_to_string(log).unwrap_or_default())
    }

    /// How many calls of each kind an undisturbed run makes in a rank.
    fn calls(&self, ranks: usize, rank: usize) -> BTreeMap<String, usize> {
        let none = Failure {
            ranks,
            rank,
            call: "",
            first: 0,
            last: 0,
            error: 0,
        };
        let (run, counts) = self.run(none);
        run.expect(0);
        self.undisturbed.check_final_names(&self.out());
        self.clear();
        let lines = counts.lines().filter_map(|line| line.split_once(' '));
        lines
            .map(|(call, count)| (call.to_string(), count.parse().unwrap()))
            .collect()
    }

    /// The run ends in order, and a rerun completes it. Returns whether the call was made, and whether the run ended
    /// with an error.
    fn check(&self, failure: Failure, reason: &str) -> (bool, bool) {
        let (run, failed_call) = self.run(failure);
        let (status, said) = (run.status, &run.stderr);
        let context = format!("{failure:?}\n{failed_call}status {status}\n{said}");
        assert!(!said.contains("panicked"), "{context}");
        assert!(matches!(status, 0..=2), "{context}");
        assert!(status == 0 || said.contains(reason), "{context}");
        self.undisturbed.check_final_names(&self.out());
        // Who may open nothing any more does not find what other ranks left.
        let blind = failure.call == "open" && failure.last > failure.first;
        if !blind {
            let left = SUBJECTS.map(|subject| hidden_files(&self.out().join(subject)));
            assert!(left.iter().all(Vec::is_empty), "left {left:?}: {context}");
            assert!(hidden_files(&self.out()).is_empty(), "{context}");
        }
        println!("{failure:?} {} -> {status}", failed_call.trim());
        self.undisturbed
            .check_rerun(1 + failure.first % 2, &self.out());
        self.clear();
        (!failed_call.is_empty(), status != 0)
    }

    fn clear(&self) {
        std::fs::remove_dir_all(self.out()).unwrap();
    }
}

/// How many calls of each kind fail in turn.
fn failing_calls() -> usize {
    common::setting("SPIKEGRID_IO_FAILURES", 2)
}

#[test]
fn a_failing_call_ends_the_run_in_order_and_a_rerun_completes_it() {
    let bench = Bench::new();
    let (mut tried, mut errors) = (0, 0);
    let places = [(1, 0), (2, 0), (2, 1)];
    for (ranks, rank) in places.into_iter().filter(|place| place.0 <= available(2)) {
        let counts = bench.calls(ranks, rank);
        for (place, call) in CALLS.into_iter().enumerate() {
            let count = counts[call];
            let steps = failing_calls().min(count);
            for step in 0..steps {
                // Spread over the run; each second one lasts, as when a file system is gone.
                let first = 1 + (step * 2 + 1) * count / (steps * 2);
                let lasts = (step + place + rank) % 2 == 1;
                let (error, reason) = ERRORS[(step + place + ranks) % ERRORS.len()];
                let failure = Failure {
                    ranks,
                    rank,
                    call,
                    first: first.min(count),
                    last: if lasts { usize::MAX >> 1 } else { first },
                    error,
                };
                let (called, failed) = bench.check(failure, reason);
                tried += usize::from(called);
                errors += usize::from(failed);
            }
        }
        println!("{ranks} ranks, rank {rank}: {counts:?}");
    }
    println!("{tried} calls failed, {errors} runs ended with an error");
    assert!(tried >= 10, "only {tried} calls failed");
    assert!(errors >= tried / 3, "only {errors} of {tried} runs noticed");
}
