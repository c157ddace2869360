//! Many ranks, many subjects, ranks without work: right bytes, no hang, memory kept, no core burnt.
//! `SPIKEGRID_TINY_SUBJECTS` is the number of subjects in one run, `SPIKEGRID_FRAMES_OF_ALL_RANKS` the frames of the subject that all
//! ranks write; `scripts/cluster-test.sh` sets both for the long form.

mod common;

#[cfg(feature = "mpi")]
use std::time::Duration;

use common::Workbench;
#[cfg(feature = "mpi")]
use common::{Job, datasets, report};

#[cfg(feature = "mpi")]
#[test]
fn sixty_four_ranks_on_two_small_subjects_write_the_bytes_of_one() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let limit = ["--memory_limit", "128MiB"];
    let written = |ranks: usize| {
        let out = folder.path().join(ranks.to_string());
        bench.run(ranks, &bench.raw(), &out, &limit).expect(0);
        let peaks = &report(&out)["peak_resident_bytes_per_rank"];
        let peaks = peaks.as_array().unwrap().iter();
        assert!(
            peaks
                .map(|peak| peak.as_u64().unwrap())
                .all(|peak| peak < 128 << 20)
        );
        datasets(&out)
    };
    assert!(written(64) == written(1));
}

/// The long form has more slabs than ranks.
#[cfg(feature = "mpi")]
#[test]
fn rule_8_8_sixty_four_ranks_write_the_planes_of_one_subject_into_one_file() {
    let frames = common::setting("SPIKEGRID_FRAMES_OF_ALL_RANKS", 3_000);
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw");
    common::demo_data(&raw, 1, 40, frames);
    let written = |ranks: usize| {
        let out = folder.path().join(ranks.to_string());
        let run = Workbench::get().run(ranks, &raw, &out, &["--num_neurons", "1"]);
        run.expect(0);
        let subject = &report(&out)["subjects"][0];
        assert_eq!(subject["planes_written_by"], "every rank");
        datasets(&out)
    };
    assert!(written(64) == written(1));
}

#[test]
fn many_tiny_subjects_are_done_in_one_run() {
    let subjects = common::setting("SPIKEGRID_TINY_SUBJECTS", 60);
    let folder = tempfile::tempdir().unwrap();
    let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
    common::demo_data(&raw, subjects, 12, 90);
    let said = format!("subjects: {subjects} processed, 0 skipped, 0 failed");
    let run = Workbench::get().run(4, &raw, &out, &["--num_neurons", "1"]);
    let run = run.expect(0);
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    let grids = |subject: usize| out.join(format!("subject_{subject}/preaugmented_grids.h5"));
    assert!((1..=subjects).all(|subject| grids(subject).exists()));
}

/// User and system time of a process, in ticks of 10 ms.
#[cfg(feature = "mpi")]
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .skip(11)
        .take(2);
    fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[cfg(feature = "mpi")]
#[test]
fn a_rank_without_work_uses_under_5_percent_of_a_core() {
    const SECONDS: u64 = 3;
    let folder = tempfile::tempdir().unwrap();
    let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
    // One work unit: one of the ranks has all the work.
    common::demo_data(&raw, 1, 8, 400_000);
    let job = Job::start(Workbench::get().mpirun(3, &raw, &out, &[]));
    while !out.join("subject_1").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut ranks = job.ranks();
    assert_eq!(ranks.len(), 3);
    let ticks_in = |ranks: &[u32], milliseconds: u64| -> Vec<u64> {
        let before: Vec<u64> = ranks.iter().map(|&rank| ticks(rank)).collect();
        std::thread::sleep(Duration::from_millis(milliseconds));
        let used = ranks.iter().zip(before);
        used.map(|(&rank, before)| ticks(rank) - before).collect()
    };
    std::thread::sleep(Duration::from_millis(500));
    let used = ticks_in(&ranks, 500);
    let working = (0..3).max_by_key(|&rank| used[rank]).unwrap();
    assert!(used[working] > 10, "no rank was at work: {used:?}");
    // It holds its unit, so that the others stay without work however fast the machine is.
    let worker = ranks.remove(working);
    assert!(common::kill("STOP", worker));
    std::thread::sleep(Duration::from_millis(200));
    let used = ticks_in(&ranks, 1000 * SECONDS);
    assert!(common::kill("CONT", worker));
    assert!(
        used.iter().all(|&used| used < 5 * SECONDS),
        "idle ranks used {used:?} hundredths of a core's second in {SECONDS} s"
    );
    job.signal("TERM");
    job.ends_within(60);
}
