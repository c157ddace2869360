//! The whole program with a GPU, in a build with the feature `cuda`, on a stand-in for NVIDIA's driver.
#![cfg(all(feature = "cuda", feature = "mpi"))]

mod common;
#[path = "common/stand_in.rs"]
mod stand_in;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{Job, Run, Workbench, datasets, finish, kill, report};

type Datasets = BTreeMap<String, (String, Vec<usize>, Vec<u8>)>;

/// One subject of 40 neurons and the datasets that the CPU makes of it.
fn subject() -> &'static (PathBuf, Datasets) {
    static SUBJECT: OnceLock<(tempfile::TempDir, (PathBuf, Datasets))> = OnceLock::new();
    let (_, subject) = SUBJECT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("raw");
        common::demo_data(&raw, 1, 40, 300);
        let output = folder.path().join("cpu");
        let run = run(1, &raw, &output, &["--device", "cpu"], &[]).expect(0);
        assert!(
            run.stdout
                .contains("rank 0 evaluates the network on the CPU"),
            "{}",
            run.stdout
        );
        let expected = datasets(&output);
        (folder, (raw, expected))
    });
    subject
}

/// A run with the stand-in driver and these variables for it.
fn run(ranks: usize, raw: &Path, output: &Path, more: &[&str], variables: &[(&str, &str)]) -> Run {
    finish(command(ranks, raw, output, more, variables))
}

fn command(
    ranks: usize,
    raw: &Path,
    output: &Path,
    more: &[&str],
    variables: &[(&str, &str)],
) -> Command {
    let flags = [&["--save_traces", "--batch_size", "9"], more].concat();
    let mut command = Workbench::get().mpirun(ranks, raw, output, &flags);
    command
        .env("LD_LIBRARY_PATH", stand_in::folder())
        .envs(variables.iter().copied());
    command
}

/// A run on the stand-in that makes what the CPU makes.
fn same(ranks: usize, more: &[&str], variables: &[(&str, &str)]) -> (Run, Vec<String>) {
    let (raw, expected) = subject();
    let folder = tempfile::tempdir().unwrap();
    let (output, log) = (folder.path().join("out"), folder.path().join("log"));
    let logged = ("STAND_IN_LOG", log.to_str().unwrap());
    let variables = [variables, &[logged]].concat();
    let run = run(ranks, raw, &output, more, &variables).expect(0);
    let found = datasets(&output);
    assert!(found.keys().eq(expected.keys()));
    for (name, dataset) in expected {
        assert!(found[name] == *dataset, "{name} differs: {variables:?}");
    }
    let devices = report(&output)["devices"].to_string();
    assert!(run.stdout.contains("the network on"), "{}", run.stdout);
    assert!(devices.contains("the network on"), "{devices}");
    let opened = std::fs::read_to_string(&log).unwrap_or_default();
    let mut opened: Vec<String> = opened.lines().map(String::from).collect();
    opened.sort();
    (run, opened)
}

#[test]
fn results_are_those_of_the_cpu_and_ranks_of_a_node_share_its_gpus() {
    let (run, opened) = same(1, &["--device", "cuda"], &[]);
    assert!(
        run.stdout
            .contains("rank 0 evaluates the network on GPU 0 (Stand-in)"),
        "{}",
        run.stdout
    );
    assert_eq!(opened, ["GPU 0"]);

    let (run, opened) = same(3, &["--workers", "2"], &[]);
    assert!(
        run.stdout
            .contains("ranks 0,2 evaluate the network on GPU 0 ("),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("rank 1 evaluates the network on GPU 1 ("),
        "{}",
        run.stdout
    );
    assert_eq!(opened, ["GPU 0", "GPU 0", "GPU 1"]);
}

#[test]
fn batches_are_as_small_as_the_memory_asks_for() {
    // The weights take 2.0 MB, a trace 0.2 MB, and a unit has 9.
    for (memory, taken) in [("2600000", "0"), ("3500000", "0"), ("10000000", "7000000")] {
        let variables = [("STAND_IN_MEMORY", memory), ("STAND_IN_TAKEN", taken)];
        let (run, _) = same(1, &["--device", "cuda"], &variables);
        assert!(!run.stderr.contains("warning: GPU"), "{}", run.stderr);
    }
}

#[test]
fn what_a_failing_gpu_leaves_is_computed_on_the_cpu() {
    for (ranks, launches) in [(1, "0"), (1, "30"), (2, "10")] {
        let (run, _) = same(
            ranks,
            &["--device", "cuda"],
            &[("STAND_IN_LAUNCHES", launches)],
        );
        let run = run.says(&[
            "warning: GPU 0 (Stand-in) failed: evaluating the network: unspecified launch failure",
            "goes on with the CPU",
        ]);
        let warnings = run.stderr.matches("warning: GPU").count();
        assert!((1..=ranks).contains(&warnings), "{}", run.stderr);
    }
}

#[test]
fn a_signal_ends_a_run_in_order_while_the_gpu_works_and_a_rerun_completes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (raw, log) = (path("raw"), path("log"));
    common::demo_data(&raw, 1, 600, 2000);
    let logged = [("STAND_IN_LOG", log.to_str().unwrap())];
    let job = Job::start(command(2, &raw, &path("gpu"), &[], &logged));
    let start = Instant::now();
    while std::fs::read_to_string(&log)
        .unwrap_or_default()
        .lines()
        .count()
        < 2
    {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "no GPU was opened"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(job.ranks().iter().all(|&rank| kill("USR1", rank)));
    let stopped = job.ends_within(60);
    assert_eq!(stopped.status, 3, "{}", stopped.stderr);
    assert!(!stopped.stderr.contains("failed"), "{}", stopped.stderr);

    run(1, &raw, &path("gpu"), &[], &[]).expect(0);
    run(2, &raw, &path("cpu"), &["--device", "cpu"], &[]).expect(0);
    assert!(datasets(&path("gpu")) == datasets(&path("cpu")));
}

#[test]
fn without_a_gpu_auto_takes_the_cpu_and_says_why() {
    for (variables, reason) in [
        (
            ("LD_LIBRARY_PATH", ""),
            "NVIDIA's driver (libcuda.so.1) cannot be loaded",
        ),
        (("STAND_IN_GPUS", "0"), "NVIDIA's driver finds no GPU"),
        (
            ("STAND_IN_VERSION", "12090"),
            "NVIDIA's driver is of CUDA 12.9, expected one of CUDA 13.0 or later",
        ),
        (("STAND_IN_MEMORY", "500000"), "the model's weights take"),
    ] {
        let (run, opened) = same(2, &[], &[variables]);
        let line = format!("ranks 0-1 evaluate the network on the CPU: {reason}");
        assert!(run.stdout.contains(&line), "{}", run.stdout);
        assert!(opened.is_empty() || variables.0 == "STAND_IN_MEMORY");

        let folder = tempfile::tempdir().unwrap();
        let cuda = ["--device", "cuda"];
        let refused = self::run(2, &subject().0, folder.path(), &cuda, &[variables]);
        refused
            .expect(2)
            .says(&["error: rank 0: --device cuda:", reason]);
    }
}
