//! A program that was built without MPI, under a launcher that has started several processes.
#![cfg(not(feature = "mpi"))]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Run, Workbench};

/// Runs the program with the environment that a launcher gives its processes.
fn launched(variables: &[(&str, &str)], out: &Path) -> Run {
    let bench = Workbench::get();
    let mut command = Command::new(common::PROGRAM);
    command
        .args(bench.flags(&bench.raw(), out, &[]))
        .envs(variables.iter().copied());
    common::finish(command)
}

#[test]
fn several_processes_are_refused_by_rank_0_because_each_would_do_the_whole_job() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (size, rank) in [
        ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
        ("PMI_SIZE", "PMI_RANK"),
        ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
    ] {
        let reason = format!("error: {size} says that 2 ranks were started");
        launched(&[(size, "2"), (rank, "0")], &out)
            .expect(2)
            .says(&[&reason, "built without MPI", "--features mpi"]);
        let other = launched(&[(size, "2"), (rank, "1")], &out).expect(2);
        assert_eq!(other.stderr, "");
        assert!(!out.exists());
    }
}

#[test]
fn one_process_of_a_launcher_does_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let variables = [("OMPI_COMM_WORLD_SIZE", "1"), ("OMPI_COMM_WORLD_RANK", "0")];
    let run = launched(&variables, &out).expect(0);
    assert!(
        run.stdout.contains("2 processed, 0 skipped, 0 failed"),
        "{}",
        run.stdout
    );
}
