//! Runs that are killed and disks that are full: nothing hangs, nothing half-written has a final name, and a rerun ends
//! with the bytes of an undisturbed run. `SPIKEGRID_FAULT_RUNS` is the number of runs killed at random moments;
//! `scripts/fault.sh` sets it for the long form.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::undisturbed::{FLAGS, SUBJECTS, Undisturbed, hidden_files};

/// Whether a subject's folder shows that a stage has begun.
type Reached = dyn Fn(&Path) -> bool;

fn fault_runs() -> usize {
    common::setting("SPIKEGRID_FAULT_RUNS", 6)
}

/// Numbers that differ from run to run, the same each time.
fn scattered(seed: usize) -> usize {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as usize
}

#[test]
fn rule_8_6_runs_killed_at_random_moments_are_completed_with_the_same_bytes() {
    let bench = Undisturbed::get();
    let (mut killed, mut resumed) = (0, 0);
    for number in 0..fault_runs() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let ranks = 1 + number % 4;
        let flags = match (number / 3) % 2 {
            0 => FLAGS.to_vec(),
            _ => [FLAGS, &["--compression", "none"]].concat(),
        };
        let mut job = bench.start(ranks, &out, &flags);
        let moment = scattered(number) % (bench.duration.as_millis() as usize * 5 / 4);
        std::thread::sleep(Duration::from_millis(moment as u64));
        if job.runs()
            && let pids = job.ranks()
            && !pids.is_empty()
        {
            killed += 1;
            common::kill("KILL", pids[scattered(number + 1000) % pids.len()]);
        }
        job.ends_within(30);
        bench.check_final_names(&out);
        bench.check_rerun(1 + scattered(number + 2000) % 4, &out);
        let report = common::report(&out);
        let units = (0..2).map(|subject| &report["subjects"][subject]["work_units_from_journal"]);
        resumed += usize::from(
            units
                .filter_map(|units| units.as_u64())
                .any(|units| units > 0),
        );
    }
    println!("{killed} runs killed, {resumed} of them after their first finished work unit");
}

#[test]
fn each_rank_can_be_killed_at_each_stage() {
    let bench = Undisturbed::get();
    let ranks = common::available(if fault_runs() > 20 { 4 } else { 2 });
    let journal = |folder: &Path| {
        let hidden = hidden_files(folder);
        hidden.iter().any(|name| name.starts_with(".journal-"))
    };
    let stages: [(&str, &Reached); 5] = [
        ("planning", &|folder| folder.exists()),
        ("computing", &journal),
        ("writing", &|folder| {
            folder.join(".preaugmented_grids.h5.partial").exists()
        }),
        ("completing", &|folder| {
            folder.join(".metadata.h5.partial").exists()
        }),
        ("naming", &|folder| {
            folder.join("preaugmented_grids.h5").exists()
        }),
    ];
    for (stage, reached) in stages {
        for rank in 0..ranks {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("out");
            let mut job = bench.start(ranks, &out, FLAGS);
            while job.runs() && !reached(&out.join("subject_1")) {
                std::thread::sleep(Duration::from_micros(200));
            }
            assert!(job.runs(), "the run ended before {stage} was seen");
            common::kill("KILL", job.ranks()[rank]);
            let run = job.ends_within(30);
            assert_ne!(run.status, 0, "killed while {stage}");
            bench.check_final_names(&out);
            bench.check_rerun(1 + (rank + 1) % 3, &out);
        }
    }
}

#[cfg(feature = "mpi")]
#[test]
fn a_rank_that_falls_silent_ends_the_job_after_the_peer_timeout() {
    let bench = Undisturbed::get();
    for silent in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let flags = [FLAGS, &["--peer_timeout", "3"]].concat();
        let mut job = bench.start(2, &out, &flags);
        while job.runs() && !out.join("subject_1").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(common::kill("STOP", job.ranks()[silent]));
        let run = job.ends_within(15);
        assert_eq!(run.status, 1, "{}", run.stderr);
        let silence = format!("nothing was heard from rank {silent} on ");
        run.says(&[
            &silence,
            "for 3 s (--peer_timeout)",
            "run the same command again",
        ]);
        bench.check_final_names(&out);
        bench.check_rerun(1, &out);
    }
}

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None, and why on stderr, where this user may not mount.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = mount(folder.path(), "size=64k");
        if let Err(reason) = mounted {
            common::not_run(&format!(
                "full disks, because no file system can be mounted here: {reason}"
            ));
            return None;
        }
        Some(Self(folder))
    }

    fn resize(&self, kib: usize) {
        // A rank that its launcher has ended may for a moment have a removed file open.
        let start = Instant::now();
        while let Err(reason) = mount(self.0.path(), &format!("remount,size={kib}k")) {
            assert!(start.elapsed().as_secs() < 20, "{reason}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn mount(folder: &Path, options: &str) -> Result<(), String> {
    let output = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(folder)
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn rule_8_8_a_disk_without_room_for_uncompressed_grids_fails_the_subject_before_it_is_computed() {
    let bench = Undisturbed::get();
    let Some(disk) = SmallDisk::new() else { return };
    let out = disk.0.path().join("out");
    let flags = [FLAGS, &["--compression", "none"]].concat();
    disk.resize(50_000);
    let run = bench.start(2, &out, &flags).ends_within(60).expect(1);
    run.says(&[
        "subject_1 failed",
        "preaugmented_grids.h5.partial takes ",
        " MB, and its disk has ",
        " MB free",
        "--compression gzip",
    ]);
    assert_eq!(common::report(&out)["neuron_frames"], 0);
    for subject in SUBJECTS {
        assert_eq!(hidden_files(&out.join(subject)), [""; 0]);
    }
    disk.resize(500_000);
    bench.start(2, &out, &flags).ends_within(60).expect(0);
    bench.check_rerun(1, &out);
}

#[test]
fn a_full_disk_fails_the_subject_with_the_systems_reason_at_every_stage() {
    let bench = Undisturbed::get();
    let Some(disk) = SmallDisk::new() else { return };
    let steps = if fault_runs() > 20 { 60 } else { 6 };
    let mut failed = 0;
    for step in 0..steps {
        // Without traces the journals and grids fill the disk, with them the traces.
        let (flags, whole) = match step % 2 {
            0 => (&[][..], 3_000),
            _ => (FLAGS, 11_000),
        };
        let kib = 16 + whole * step / steps;
        let out = disk.0.path().join("out");
        disk.resize(kib);
        let run = bench.start(1 + step % 3, &out, flags).ends_within(60);
        println!("{kib} KiB {flags:?}: {}", run.stderr);
        let said = &run.stderr;
        assert!(!said.contains("panicked"), "{said}");
        match run.status {
            0 => {}
            1 => {
                assert!(said.contains("No space left on device"), "{said}");
                failed += 1;
            }
            2 => assert!(said.contains("cannot be written"), "{said}"),
            other => panic!("status {other} with {kib} KiB: {said}"),
        }
        bench.check_final_names(&out);
        for subject in SUBJECTS {
            assert_eq!(hidden_files(&out.join(subject)), [""; 0], "{said}");
        }
        disk.resize(200_000);
        bench.check_rerun(2, &out);
        std::fs::remove_dir_all(&out).unwrap();
    }
    assert!(
        failed >= steps / 4,
        "only {failed} of {steps} disks were too small"
    );
}
