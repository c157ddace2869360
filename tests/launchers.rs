//! Programs of one MPI library under the launcher of another, where every process would be alone and all would write
//! the same files. `SPIKEGRID_MPICH_PROGRAM` names this program built with MPICH; `scripts/test.sh` builds it.
#![cfg(feature = "mpi")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{PROGRAM, Run, Workbench, datasets};

const OPEN_MPI: &str = "mpirun.openmpi";
const MPICH: &str = "mpirun.mpich";

/// The program built with MPICH, where this one is built with Open MPI; none, and why on the terminal, elsewhere.
fn mpich_program() -> Option<String> {
    let program = std::env::var("SPIKEGRID_MPICH_PROGRAM").ok();
    if program.is_none() {
        common::not_run(
            "programs under another library's launcher, for want of SPIKEGRID_MPICH_PROGRAM",
        );
    }
    program
}

fn run(launcher: &str, program: &str, out: &Path) -> Run {
    let bench = Workbench::get();
    let mut command = common::with_mpi(Command::new(launcher));
    command
        .args(["-n", "2", program])
        .args(bench.flags(&bench.raw(), out, &["--save_traces"]));
    common::finish(command)
}

#[test]
fn a_program_under_another_librarys_launcher_ends_with_2_and_the_reason() {
    let Some(mpich) = mpich_program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (launcher, program, variable, library) in [
        (OPEN_MPI, mpich.as_str(), "OMPI_COMM_WORLD_SIZE", "MPICH"),
        (MPICH, PROGRAM, "PMI_SIZE", "Open MPI"),
    ] {
        let refused = run(launcher, program, &out).expect(2);
        let reason = format!("{variable} says that 2 ranks were started, but MPI sees 1");
        let said = refused.stderr.matches(&reason).count();
        assert_eq!(said, 1, "{launcher}: {}", refused.stderr);
        refused.says(&[library, "Use that library's mpirun"]);
        assert!(!out.exists());
    }
}

#[test]
fn rule_8_6_datasets_are_the_same_bytes_with_either_mpi_library() {
    let Some(mpich) = mpich_program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("1"), folder.path().join("2"));
    run(OPEN_MPI, PROGRAM, &first).expect(0);
    run(MPICH, &mpich, &second).expect(0);
    assert!(datasets(&first) == datasets(&second));
}
