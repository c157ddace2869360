//! Runs that are killed and disks that are full: nothing hangs, nothing half-written has a final name, and a rerun ends
//! with the bytes of an undisturbed run. `SPIKEGRID_FAULT_RUNS` is the number of runs killed at random moments;
//! `scripts/fault.sh` sets it for the long form.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{Job, Workbench, datasets, visible_files};

const FLAGS: &[&str] = &["--save_traces"];
const SUBJECTS: [&str; 2] = ["subject_1", "subject_2"];

/// Whether a subject's folder shows that a stage has begun.
type Reached = dyn Fn(&Path) -> bool;
type Datasets = BTreeMap<String, (String, Vec<usize>, Vec<u8>)>;

struct Bench {
    _folder: tempfile::TempDir,
    raw: PathBuf,
    expected: Datasets,
    /// How long an undisturbed run takes.
    duration: Duration,
}

impl Bench {
    fn get() -> &'static Self {
        static BENCH: OnceLock<Bench> = OnceLock::new();
        BENCH.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
            common::demo_data(&raw, 2, 300, 1500);
            let start = Instant::now();
            Workbench::get().run(2, &raw, &out, FLAGS).expect(0);
            Bench {
                duration: start.elapsed(),
                _folder: folder,
                raw,
                expected: datasets(&out),
            }
        })
    }

    fn start(&self, ranks: usize, out: &Path, flags: &[&str]) -> Job {
        Job::start(Workbench::get().mpirun(ranks, &self.raw, out, flags))
    }

    /// What has a final name is whole.
    fn check_final_names(&self, out: &Path) {
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
    fn check_rerun(&self, ranks: usize, out: &Path) {
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

fn hidden_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}

fn fault_runs() -> usize {
    let runs = std::env::var("SPIKEGRID_FAULT_RUNS");
    runs.map_or(6, |runs| {
        runs.parse().expect("SPIKEGRID_FAULT_RUNS is a number")
    })
}

/// Numbers that differ from run to run, the same each time.
fn scattered(seed: usize) -> usize {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as usize
}

#[test]
fn rule_8_6_runs_killed_at_random_moments_are_completed_with_the_same_bytes() {
    let bench = Bench::get();
    let (mut killed, mut resumed) = (0, 0);
    for number in 0..fault_runs() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let ranks = 1 + number % 4;
        let mut job = bench.start(ranks, &out, FLAGS);
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
    let bench = Bench::get();
    let ranks = if fault_runs() > 20 { 4 } else { 2 };
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

#[test]
fn a_rank_that_falls_silent_ends_the_job_after_the_peer_timeout() {
    let bench = Bench::get();
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
        mount(self.0.path(), &format!("remount,size={kib}k")).unwrap();
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
fn a_full_disk_fails_the_subject_with_the_systems_reason_at_every_stage() {
    let bench = Bench::get();
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
        // Parallel HDF5 does not always come back from a failed write: the job then ends on the spot.
        if !said.contains("so the job ends") {
            for subject in SUBJECTS {
                assert_eq!(hidden_files(&out.join(subject)), [""; 0], "{said}");
            }
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
