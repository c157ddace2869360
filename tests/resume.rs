//! Interrupted subjects go on from their finished work units, and end with the bytes of an undisturbed run.

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::{Job, Workbench, datasets, report, visible_files};

const FRAMES: usize = 3000;

/// Subjects that take long enough to be interrupted, and the datasets of undisturbed runs with `--save_traces`.
struct Bench {
    _folder: tempfile::TempDir,
    raw: PathBuf,
    undisturbed: PathBuf,
}

impl Bench {
    fn get() -> &'static Self {
        static BENCH: OnceLock<Bench> = OnceLock::new();
        BENCH.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let (raw, undisturbed) = (folder.path().join("raw"), folder.path().join("out"));
            common::demo_data(&raw, 1, 900, FRAMES);
            Workbench::get()
                .run(
                    2,
                    &raw,
                    &undisturbed,
                    &["--save_traces", "--activity", "--nwb"],
                )
                .expect(0);
            Bench {
                _folder: folder,
                raw,
                undisturbed,
            }
        })
    }
}

/// Bytes in the journals of `out`'s only subject.
fn journalled(out: &Path) -> u64 {
    let entries = std::fs::read_dir(out.join("subject_1"));
    let journals = entries.into_iter().flatten().flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with(".journal-")
    });
    journals
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum()
}

/// Starts a run and kills its first rank with SIGKILL once about a third of the units are in the journal.
fn interrupted(ranks: usize, out: &Path, more: &[&str]) {
    let bench = Bench::get();
    let mut job = Job::start(Workbench::get().mpirun(ranks, &bench.raw, out, more));
    let third = (900 * FRAMES / 8 / 3) as u64;
    while journalled(out) < third {
        assert!(job.runs(), "the run ended before it was killed");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let pids = job.ranks();
    common::kill("KILL", pids[0]);
    job.ends_within(30);
    assert!(visible_files(&out.join("subject_1")).is_empty());
}

/// Neurons in a work unit of the recording.
const UNIT: u64 = 32;

fn same_as_undisturbed(out: &Path) {
    let found = datasets(out);
    for (name, expected) in datasets(&Bench::get().undisturbed) {
        let on_request = ["traces.h5", "activity.h5", ".nwb"];
        let is_on_request = on_request.iter().any(|file| name.contains(file));
        if is_on_request && !found.contains_key(&name) {
            continue;
        }
        assert!(found[&name] == expected, "{name} differs");
    }
    let left = std::fs::read_dir(out.join("subject_1")).unwrap().flatten();
    for entry in left {
        let name = entry.file_name();
        assert!(!name.to_string_lossy().starts_with('.'), "{name:?} is left");
    }
}

#[test]
fn rule_8_6_a_killed_run_goes_on_from_its_finished_units_on_any_ranks() {
    for (before, after, more) in [
        (1, 3, &[][..]),
        (3, 1, &["--save_traces", "--activity", "--nwb"]),
        (2, 4, &["--save_traces"]),
        (4, 2, &["--workers", "2", "--nwb"]),
        (2, 3, &["--compression", "none"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        interrupted(before, &out, more);
        let run = Workbench::get()
            .run(after, &Bench::get().raw, &out, more)
            .expect(0);
        assert!(
            run.stdout.contains("subject_1: goes on from "),
            "{}",
            run.stdout
        );
        same_as_undisturbed(&out);
        let report = report(&out);
        let subject = &report["subjects"][0];
        let (units, resumed) = (
            subject["work_units"].as_u64().unwrap(),
            subject["work_units_from_journal"].as_u64().unwrap(),
        );
        assert_eq!(units, 900_u64.div_ceil(UNIT));
        assert!(
            resumed >= units / 8 && resumed < units,
            "{resumed} of {units}"
        );
        let computed = report["neuron_frames"].as_u64().unwrap() / FRAMES as u64;
        assert!(
            computed.abs_diff((units - resumed) * UNIT) < UNIT,
            "{computed}"
        );
    }
}

#[test]
fn rule_8_6_a_run_killed_twice_goes_on_from_both() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    interrupted(2, &out, &[]);
    let first = journalled(&out);
    let bench = Bench::get();
    let mut job = Job::start(Workbench::get().mpirun(3, &bench.raw, &out, &[]));
    while journalled(&out) < first * 3 / 2 {
        assert!(job.runs(), "the run ended before it was killed");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    common::kill("KILL", *job.ranks().last().unwrap());
    job.ends_within(30);
    Workbench::get().run(1, &bench.raw, &out, &[]).expect(0);
    same_as_undisturbed(&out);
    let report = report(&out);
    assert!(report["subjects"][0]["work_units_from_journal"].as_u64() > Some(57 / 6));
}

#[cfg(feature = "mpi")]
#[test]
fn a_torn_or_damaged_journal_costs_what_it_lost_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    interrupted(2, &out, &["--save_traces"]);
    for rank in 0..2 {
        let path = out.join(format!("subject_1/.journal-0-{rank}"));
        let mut bytes = std::fs::read(&path).unwrap();
        match rank {
            0 => bytes.truncate(bytes.len() - 100),
            _ => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }
        }
        std::fs::write(&path, bytes).unwrap();
    }
    // The rows of one journalled unit got lost, as they do when the power fails.
    let traces = std::fs::OpenOptions::new()
        .write(true)
        .open(out.join("subject_1/.traces.h5.partial"))
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&traces, &[0; 4096], 40_000).unwrap();
    let run = Workbench::get()
        .run(3, &Bench::get().raw, &out, &["--save_traces"])
        .expect(0);
    assert!(run.stdout.contains("goes on from"), "{}", run.stdout);
    same_as_undisturbed(&out);
}

#[test]
fn rule_8_7_a_journal_with_other_settings_is_named_and_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    interrupted(2, &out, &[]);
    let run = Workbench::get()
        .run(
            2,
            &Bench::get().raw,
            &out,
            &["--save_traces", "--threshold", "0"],
        )
        .expect(0);
    run.says(&[
        "subject_1: starts over",
        "save_traces false (now true)",
        "threshold \"1\" (now \"0\")",
    ]);
    assert_eq!(report(&out)["subjects"][0]["work_units_from_journal"], 0);
}

#[test]
fn rule_8_7_a_journal_of_other_input_is_named_and_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
    interrupted(2, &out, &[]);
    common::copy_subject(&Bench::get().raw.join("subject_1"), &raw.join("subject_1"));
    let run = Workbench::get().run(2, &raw, &out, &[]).expect(0);
    run.says(&[
        "subject_1: starts over",
        "input.time_series.modified 20",
        " UTC (now 20",
    ]);
    assert_eq!(report(&out)["subjects"][0]["work_units_from_journal"], 0);
    same_as_undisturbed(&out);
}

#[test]
fn rule_1_4_after_a_signal_the_finished_units_are_kept() {
    a_signal_keeps_the_finished_units("USR1", &["--save_traces"]);
}

#[test]
fn a_queue_may_ask_by_another_signal() {
    a_signal_keeps_the_finished_units("USR2", &["--save_traces", "--preemption_signal", "USR2"]);
}

#[test]
fn rule_1_4_a_signal_while_the_last_subject_is_written_ends_with_3_too() {
    let bench = Bench::get();
    for signalled in 0..common::available(2) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let mut job = Job::start(Workbench::get().mpirun(2, &bench.raw, &out, &[]));
        let grids = out.join("subject_1/.preaugmented_grids.h5.partial");
        while !grids.exists() {
            assert!(job.runs(), "the run ended before it was stopped");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        common::kill("USR1", job.ranks()[signalled]);
        let stopped = job.ends_within(10);
        assert_eq!(stopped.status, 3, "{}", stopped.stderr);
        stopped.says(&["stopped by signal 10"]);
        Workbench::get().run(1, &bench.raw, &out, &[]).expect(0);
        assert_eq!(
            report(&out)["subjects"][0]["work_units_from_journal"],
            900_u64.div_ceil(UNIT)
        );
        same_as_undisturbed(&out);
    }
}

fn a_signal_keeps_the_finished_units(signal: &str, flags: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let bench = Bench::get();
    let mut job = Job::start(Workbench::get().mpirun(2, &bench.raw, &out, flags));
    while journalled(&out) == 0 {
        assert!(job.runs(), "the run ended before it was stopped");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    common::kill(signal, *job.ranks().last().unwrap());
    let stopped = job.ends_within(10);
    assert_eq!(stopped.status, 3, "{}", stopped.stderr);
    stopped.says(&["run the same command again to continue"]);
    assert!(visible_files(&out.join("subject_1")).is_empty());
    assert!(
        !out.join("subject_1/.preaugmented_grids.h5.partial")
            .exists()
    );
    Workbench::get().run(1, &bench.raw, &out, flags).expect(0);
    assert!(report(&out)["subjects"][0]["work_units_from_journal"].as_u64() > Some(0));
    same_as_undisturbed(&out);
}
