//! Several hosts, which `tests/hosts/network.sh` makes of network namespaces on this machine: the ranks talk over TCP.
#![cfg(feature = "mpi")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{Job, PROGRAM, Workbench, datasets, visible_files};

const FLAGS: &[&str] = &["--save_traces"];
const NAMESPACES: [&str; 6] = [
    "--mount",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// Recordings and what one rank makes of them; none, and why on the terminal, where hosts cannot be made.
    fn get() -> Option<&'static Self> {
        static BENCH: OnceLock<Option<Bench>> = OnceLock::new();
        let bench = BENCH.get_or_init(|| {
            let test = "ip link add bridge type bridge";
            let mut command = Command::new("unshare");
            let can = command.args(NAMESPACES).args(["sh", "-c", test]).output();
            if !can.is_ok_and(|output| output.status.success()) {
                common::not_run(
                    "several hosts, because only root may make them, with iproute2 and network namespaces",
                );
                return None;
            }
            let folder = tempfile::tempdir().unwrap();
            let bench = Bench { folder };
            common::demo_data(&bench.raw(), 2, 800, 1500);
            let out = bench.expected();
            Workbench::get().run(1, &bench.raw(), &out, FLAGS).expect(0);
            Some(bench)
        });
        bench.as_ref()
    }

    fn raw(&self) -> PathBuf {
        self.folder.path().join("raw")
    }

    fn expected(&self) -> PathBuf {
        self.folder.path().join("expected")
    }

    /// Starts the program with two ranks on each of some hosts.
    fn start(&self, hosts: usize, out: &Path, more: &[&str]) -> Job {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
        let mut command = common::with_mpi(Command::new("unshare"));
        command
            .args(NAMESPACES)
            .arg(scripts.join("network.sh"))
            .arg(hosts.to_string())
            .arg(common::launcher());
        let agent = scripts.join("agent.sh");
        let names: Vec<String> = (1..=hosts).map(|host| format!("host{host}")).collect();
        if common::launcher().contains("mpich") {
            command
                .args(["-launcher", "ssh", "-launcher-exec"])
                .arg(agent)
                .args(["-hosts", &names.join(","), "-ppn", "2"])
                .env("UCX_TLS", "tcp,self,sm");
        } else {
            command
                .args(["--mca", "plm_rsh_agent"])
                .arg(agent)
                .args(["--mca", "btl", "self,vader,tcp", "--display-map"])
                .args(["--host", &names.join(","), "--map-by", "node"]);
        }
        command
            .args(["-n", &(2 * hosts).to_string(), PROGRAM])
            .args(Workbench::get().flags(&self.raw(), out, FLAGS))
            .args(more);
        Job::listening(command)
    }

    fn expect_same_bytes(&self, out: &Path) {
        assert!(datasets(out) == datasets(&self.expected()));
    }
}

#[test]
fn rule_8_6_several_hosts_write_the_bytes_of_one() {
    let Some(bench) = Bench::get() else { return };
    for hosts in [2, 3] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let run = bench.start(hosts, &out, &[]).ends_within(120).expect(0);
        let last = format!("host{hosts}");
        assert!(
            run.stdout.contains(&last) || common::launcher().contains("mpich"),
            "{}",
            run.stdout
        );
        assert_eq!(common::report(&out)["ranks"], 2 * hosts);
        bench.expect_same_bytes(&out);
    }
}

#[test]
fn a_host_that_is_cut_off_ends_the_job_within_the_peer_timeout() {
    let Some(bench) = Bench::get() else { return };
    for (stage, file) in [
        ("computing", ".journal-0-0"),
        ("writing", ".preaugmented_grids.h5.partial"),
    ] {
        for host in [1, 2] {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("out");
            let mut job = bench.start(2, &out, &["--peer_timeout", "5"]);
            while !out.join("subject_1").join(file).exists() {
                assert!(job.runs(), "the run ended before host {host} was cut off");
                std::thread::sleep(Duration::from_millis(2));
            }
            job.tell(&format!("down {host}"));
            let cut = Instant::now();
            while !job.ranks().is_empty() {
                let seconds = cut.elapsed().as_secs();
                assert!(seconds < 20, "{stage}: ranks are left after {seconds} s");
                std::thread::sleep(Duration::from_millis(50));
            }
            let run = job.ends_within(60);
            println!(
                "{stage}, host{host}: {} s\n{}",
                cut.elapsed().as_secs(),
                run.stderr
            );
            assert_ne!(run.status, 0, "{stage}: {}", run.stderr);
            run.says(&[
                "nothing was heard from",
                "--peer_timeout",
                "run the same command again",
            ]);
            // What has a final name is whole.
            let is_named = |subject: &str| !visible_files(&out.join(subject)).is_empty();
            if is_named("subject_1") || is_named("subject_2") {
                let expected = datasets(&bench.expected());
                for (name, found) in datasets(&out) {
                    assert!(expected[&name] == found, "{stage}: {name} differs");
                }
            }
            Workbench::get().run(2, &bench.raw(), &out, FLAGS).expect(0);
            bench.expect_same_bytes(&out);
        }
    }
}
