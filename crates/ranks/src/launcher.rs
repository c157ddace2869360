//! The launcher that waits for this process: `mpirun` and its kind.

use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, Stdio};

/// Launchers and their helpers on other hosts, of Open MPI and MPICH.
const LAUNCHERS: [&str; 8] = [
    "mpirun",
    "mpiexec",
    "orterun",
    "orted",
    "prterun",
    "prted",
    "mpiexec.hydra",
    "hydra_pmi_proxy", // 15 bytes, the longest name that the system keeps
];
/// How long it may take to end by itself.
const PATIENCE_SEC: u32 = 5;

/// Has this process's launcher ended if it is still there in a while. Open MPI's waits for a host that is cut off until
/// TCP gives up, a quarter of an hour later, and keeps the hosts of the job all that time.
pub(crate) fn end_soon() {
    let parent = parent_id();
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap_or_default();
    if !LAUNCHERS.contains(&name.trim_end()) {
        return;
    }
    let script = r#"sleep "$1"; [ "$(cat "/proc/$2/comm")" = "$3" ] && kill -TERM "$2""#;
    // In a process group of its own, because this one's will be killed. If it cannot start, TCP has the last word.
    let _ = Command::new("sh")
        .args(["-c", script, "sh"])
        .args([&PATIENCE_SEC.to_string(), &parent.to_string()])
        .arg(name.trim_end())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
}
