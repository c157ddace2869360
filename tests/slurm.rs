//! The batch scripts on a real Slurm: `tests/slurm/cluster.sh` starts a cluster of one node for these tests alone, and
//! it ends with them, however they end.
#![cfg(feature = "mpi")]

mod common;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use common::{MODEL, PROGRAM, Workbench, datasets, report};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A running cluster; it ends when its standard input does.
struct Cluster {
    folder: tempfile::TempDir,
    _process: Child,
}

impl Cluster {
    /// The cluster of all tests here, which use it one after the other, lest one's jobs be pre-empted for another's;
    /// none, and why on the terminal, where it cannot be started.
    fn get() -> Option<(&'static Self, MutexGuard<'static, ()>)> {
        static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Some((CLUSTER.get_or_init(Self::start).as_ref()?, turn))
    }

    fn start() -> Option<Self> {
        for (program, package) in [("slurmctld", "slurm-wlm"), ("munged", "munge")] {
            if !Path::new("/usr/sbin").join(program).is_file() {
                common::not_run(&format!(
                    "Slurm, because {program} is not there (Debian's package {package})"
                ));
                return None;
            }
        }
        let namespace = ["--pid", "--mount-proc", "--fork", "--kill-child"];
        let can = Command::new("unshare").args(namespace).arg("true").output();
        if !can.is_ok_and(|output| output.status.success()) {
            common::not_run("Slurm, because only root may start it, in a process namespace");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new("unshare")
            .args(namespace)
            .arg(Path::new(ROOT).join("tests/slurm/cluster.sh"))
            .arg(folder.path())
            .arg(two_ports().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = said.next().unwrap().unwrap();
        if first != "ready" {
            let rest: Vec<String> = said.map_while(Result::ok).collect();
            panic!("{first}\n{}", rest.join("\n"));
        }
        Some(Self {
            folder,
            _process: process,
        })
    }

    /// A command of Slurm's, or one that runs such.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("SLURM_CONF", self.folder.path().join("slurm.conf"))
            .env("MUNGE_SOCKET", self.folder.path().join("munge/socket"));
        command
    }

    fn answer(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The values of a field of a job, one for each task that it has.
    fn job(&self, job: &str, field: &str) -> Vec<String> {
        let text = self.answer("scontrol", &["--oneliner", "show", "job", job]);
        let prefix = format!("{field}=");
        let words = text.split_whitespace();
        words
            .filter_map(|word| word.strip_prefix(&prefix).map(str::to_string))
            .collect()
    }

    fn wait(&self, what: &str, seconds: u64, reached: impl Fn() -> bool) {
        let start = Instant::now();
        while !reached() {
            assert!(
                start.elapsed().as_secs() < seconds,
                "{what}: not after {seconds} s\n{}\n{}",
                self.answer("scontrol", &["show", "jobs"]),
                self.answer(
                    "tail",
                    &["-n", "30", self.log("slurmctld").to_str().unwrap()]
                )
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self, daemon: &str) -> PathBuf {
        self.folder.path().join("logs").join(daemon)
    }

    /// Waits until the job has ended, one way or the other.
    fn ended(&self, job: &str, seconds: u64) -> Vec<String> {
        let over = ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"];
        self.wait(&format!("the end of job {job}"), seconds, || {
            let states = self.job(job, "JobState");
            !states.is_empty() && states.iter().all(|state| over.contains(&state.as_str()))
        });
        self.job(job, "JobState")
    }
}

/// A port that is free, as is the next.
fn two_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if TcpListener::bind(("127.0.0.1", port.saturating_add(1))).is_ok() && port < u16::MAX {
            return port;
        }
    }
}

/// A folder with subjects, and a place for what batch jobs make of them.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(subjects: usize, neurons: usize, frames: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        common::demo_data(&folder.path().join("raw"), subjects, neurons, frames);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command that submits, with the settings that the batch scripts read.
    fn submission(&self, cluster: &Cluster, program: &str) -> Command {
        let models = Workbench::get().models();
        let options = format!("--model_dir {} --cascade_model {MODEL}", models.display());
        let mut command = cluster.command(program);
        command
            .current_dir(self.folder.path())
            .env("INPUT_DIR", self.path("raw"))
            .env("OUTPUT_DIR", self.path("out"))
            .env("SPIKEGRID", PROGRAM)
            .env("OPTIONS", options);
        command
    }

    fn undisturbed(&self, more: &[&str]) {
        let (raw, out) = (self.path("raw"), self.path("undisturbed"));
        Workbench::get().run(1, &raw, &out, more).expect(0);
    }

    fn expect_same_bytes(&self) {
        assert!(datasets(&self.path("out")) == datasets(&self.path("undisturbed")));
    }

    fn logs(&self) -> String {
        let entries = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        let paths = entries.map(|entry| entry.path());
        let logs = paths.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.map(|path| std::fs::read_to_string(path).unwrap())
            .collect()
    }
}

fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{error}");
    said
}

/// The number after a word.
fn number_after(text: &str, word: &str) -> String {
    let rest = &text[text.find(word).unwrap() + word.len()..];
    rest.chars().take_while(char::is_ascii_digit).collect()
}

#[test]
fn an_array_and_the_job_that_combines_it_write_what_one_run_writes() {
    let Some((cluster, _turn)) = Cluster::get() else {
        return;
    };
    let bench = Bench::new(3, 60, 500);
    bench.undisturbed(&[]);
    let script = Path::new(ROOT).join("scripts/slurm/submit.sh");
    let mut submit = bench.submission(cluster, script.to_str().unwrap());
    // A fourth task finds no subject left.
    submit
        .env("TASKS", "4")
        .args(["--ntasks=2", "--mem-per-cpu=100M", "--time=5"]);
    let said = output(submit);
    assert!(said.contains("for 3 subjects"), "{said}");
    let combine = number_after(&said, "and job ");
    assert_eq!(
        cluster.ended(&combine, 120),
        ["COMPLETED"],
        "{}",
        bench.logs()
    );
    let array = number_after(&said, "array job ");
    assert_eq!(cluster.job(&array, "JobState"), ["COMPLETED"; 4]);
    for task in 1..=4 {
        let file = bench.path(&format!("out/report-{task}.json"));
        let report = std::fs::read_to_string(file).unwrap();
        assert!(report.contains("\"ranks\": 2"), "{report}");
    }
    assert!(!bench.path("out/report.json").exists());
    bench.expect_same_bytes();
}

#[test]
fn after_an_array_with_a_failed_task_the_rest_is_combined() {
    let Some((cluster, _turn)) = Cluster::get() else {
        return;
    };
    let bench = Bench::new(2, 30, 300);
    std::fs::remove_file(bench.path("raw/subject_1/data_full.mat")).unwrap();
    let script = Path::new(ROOT).join("scripts/slurm/submit.sh");
    let mut submit = bench.submission(cluster, script.to_str().unwrap());
    submit.args(["--ntasks=1", "--mem-per-cpu=100M", "--time=5"]);
    let said = output(submit);
    let array = number_after(&said, "array job ");
    let combine = number_after(&said, "and job ");
    assert_eq!(cluster.ended(&combine, 120), ["FAILED"], "{}", bench.logs());
    assert!(bench.logs().contains("not complete: subject_1;"));
    let mut states = cluster.job(&array, "JobState");
    states.sort();
    assert_eq!(states, ["COMPLETED", "FAILED"], "{}", bench.logs());
    assert!(bench.logs().contains("subject_1 failed: "));
    let combined = hdf5::File::open(bench.path("out/combined_metadata.h5")).unwrap();
    assert_eq!(combined.member_names().unwrap(), ["subject_2"]);
}

#[test]
fn a_job_that_is_preempted_and_one_whose_time_is_over_go_on_from_the_journal() {
    let Some((cluster, _turn)) = Cluster::get() else {
        return;
    };
    let bench = Bench::new(1, 6000, 2000);
    let mut submit = bench.submission(cluster, "sbatch");
    submit
        .args(["--parsable", "--ntasks=2", "--mem-per-cpu=100M"])
        // Slurm sends the signal when it looks next, once in 30 s.
        .args(["--time=1", "--signal=B:USR1@50"])
        .arg(Path::new(ROOT).join("scripts/slurm/mpi.sbatch"));
    let job = output(submit).trim().to_string();
    let restarts = || cluster.job(&job, "Restarts").concat();
    let journal = || {
        let folder = std::fs::read_dir(bench.path("out/subject_1"));
        let files = folder.into_iter().flatten().flatten();
        files
            .filter(|file| file.file_name().to_string_lossy().starts_with(".journal-"))
            .filter_map(|file| file.metadata().ok())
            .map(|data| data.len())
            .sum::<u64>()
    };
    // Whatever this machine's speed, the ranks are stopped in the middle; Slurm lets them go on when it asks them to end.
    cluster.wait("the first finished units", 120, || journal() > 0);
    cluster.answer("scancel", &["--signal=STOP", &job]);
    assert_eq!(restarts(), "0", "{}", bench.logs());
    let mut urgent = bench.submission(cluster, "sbatch");
    urgent.args([
        "--partition=urgent",
        "--ntasks=4",
        "--wrap=true",
        "--output=urgent.txt",
    ]);
    output(urgent);
    cluster.wait("the restart after the pre-emption", 60, || {
        restarts() == "1"
    });
    assert!(common::visible_files(&bench.path("out/subject_1")).is_empty());

    // Again, so that they need all of their time.
    let before = journal();
    cluster.wait("more finished units", 120, || journal() > before);
    cluster.answer("scancel", &["--signal=STOP", &job]);
    cluster.wait("the end of the time", 60, || {
        bench.logs().contains("the time is almost over")
    });
    cluster.answer("scancel", &["--signal=CONT", &job]);
    cluster.wait("the restart after the time", 60, || restarts() == "2");

    let longer = ["update", &format!("JobId={job}"), "TimeLimit=10"];
    cluster.answer("scontrol", &longer);
    let states = cluster.ended(&job, 120);
    let logs = bench.logs();
    assert_eq!(states, ["COMPLETED"], "{logs}");
    for words in [
        "stopped by signal 15",
        "stopped by signal 10",
        "subject_1: goes on from ",
    ] {
        assert!(logs.contains(words), "no \"{words}\" in {logs}");
    }
    let report = report(&bench.path("out"));
    assert!(report["subjects"][0]["work_units_from_journal"].as_u64() > Some(0));
    bench.undisturbed(&["--workers", "2"]);
    bench.expect_same_bytes();
}

#[test]
fn srun_with_another_mpi_librarys_type_is_refused() {
    let Some((cluster, _turn)) = Cluster::get() else {
        return;
    };
    let bench = Bench::new(1, 30, 300);
    let run = |program: &str, mpi: &str| {
        let mut srun = bench.submission(cluster, "srun");
        let flags = Workbench::get().flags(&bench.path("raw"), &bench.path("out"), &[]);
        srun.args(["--ntasks=2", "--mem-per-cpu=100M", "--time=2"])
            .args([&format!("--mpi={mpi}"), program])
            .args(flags);
        common::finish(srun)
    };
    // Open MPI refuses by itself.
    let refused = run(PROGRAM, "none").says(&["not built with SLURM's PMI support"]);
    assert_ne!(refused.status, 0);
    assert!(!bench.path("out").exists());
    let Ok(mpich) = std::env::var("SPIKEGRID_MPICH_PROGRAM") else {
        common::not_run("srun of a program of MPICH, for want of SPIKEGRID_MPICH_PROGRAM");
        return;
    };
    let refusal = [
        "SLURM_STEP_NUM_TASKS says that 2 ranks",
        "MPI sees 1",
        "MPICH",
    ];
    run(&mpich, "pmix").expect(2).says(&refusal);
    assert!(!bench.path("out").exists());
    run(&mpich, "pmi2").expect(0);
    bench.undisturbed(&[]);
    bench.expect_same_bytes();
}
