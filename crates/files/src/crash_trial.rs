//! Reads HDF5 files in a process of their own first. The library does not survive some damaged files, or never comes to
//! an end with them, and would take all ranks with it.
//!
//! That process is this program again, without MPI. It is started by `posix_spawn`, which leaves this process's memory
//! alone, so that it is safe with networks that fork is not safe with.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
use thiserror::Error;

use crate::input::{self, Request, Subject};
use crate::models::folder::read_weights;
use crate::output::activity::ActivityFile;
use crate::output::metadata::Metadata;
use crate::output::nwb::NwbFile;
use crate::output::traces::TracesFile;
use crate::output::written::WrittenFile;
use crate::output::{OutputFile, SubjectFiles, partial, provenance};
use crate::signature::is_hdf5;

const POLL: Duration = Duration::from_millis(1);
/// Processor time after which reading a file counts as endless.
const ENDLESS: Duration = Duration::from_secs(10);
/// The signals of a program that went wrong.
const CRASHES: [i32; 7] = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];
/// The exit status of a panic.
const PANIC: i32 = 101;

/// A file that the HDF5 library does not survive.
#[derive(Debug, Error)]
#[error("{path}: expected a file that the HDF5 library can read, found one on which it {end}; {advice}", path = path.display())]
pub struct CrashingFile {
    /// The file.
    pub path: PathBuf,
    end: String,
    advice: &'static str,
}

/// What is in a file that is read.
#[derive(Debug, Serialize, Deserialize)]
enum Content {
    Recording(input::Content),
    Weights,
    Grids,
    Metadata,
    Traces,
    Activity,
    Nwb,
    Written,
}

type Trial = (PathBuf, Content);

/// Tries the files of a subject's recording.
///
/// # Errors
/// The file that the library does not survive.
pub fn subject(subject: &Subject, request: &Request) -> Result<(), CrashingFile> {
    let survive_all = |files: Vec<(PathBuf, input::Content)>| {
        let files = files.into_iter();
        let trials = files.map(|(path, content)| (path, Content::Recording(content)));
        survive(&trials.collect::<Vec<_>>())
    };
    survive_all(input::files_to_recognise(subject, request))?;
    survive_all(input::files_to_try(subject, request))
}

/// Tries what an earlier run left of a subject.
///
/// # Errors
/// The file that the library does not survive.
pub fn outputs(files: &SubjectFiles) -> Result<(), CrashingFile> {
    let traces = files.path(OutputFile::Traces);
    let activity = files.path(OutputFile::Activity);
    let nwb = files.path(OutputFile::Nwb);
    survive(&[
        (files.path(OutputFile::Grids), Content::Grids),
        (files.path(OutputFile::Metadata), Content::Metadata),
        (traces.clone(), Content::Traces),
        (partial(&traces), Content::Traces),
        (activity.clone(), Content::Activity),
        (partial(&activity), Content::Activity),
        (nwb.clone(), Content::Nwb),
        (partial(&nwb), Content::Nwb),
    ])
}

/// Tries a grids file.
///
/// # Errors
/// The library does not survive it.
pub fn grids(path: &Path) -> Result<(), CrashingFile> {
    survive(&[(path.to_owned(), Content::Grids)])
}

/// Tries an `activity.h5`.
///
/// # Errors
/// The library does not survive it.
pub fn activity(path: &Path) -> Result<(), CrashingFile> {
    survive(&[(path.to_owned(), Content::Activity)])
}

/// Tries files `metadata.h5`.
///
/// # Errors
/// The first that the library does not survive.
pub fn metadata(paths: &[PathBuf]) -> Result<(), CrashingFile> {
    let trials = paths.iter().map(|path| (path.clone(), Content::Metadata));
    survive(&trials.collect::<Vec<_>>())
}

/// Tries HDF5 files of an output folder that are to be read whole.
///
/// # Errors
/// The first that the library does not survive.
pub fn written(paths: &[PathBuf]) -> Result<(), CrashingFile> {
    let trials = paths.iter().map(|path| (path.clone(), Content::Written));
    survive(&trials.collect::<Vec<_>>())
}

/// Tries the members of a model that are HDF5 files.
///
/// # Errors
/// The first that the library does not survive.
pub fn model(folder: &Path) -> Result<(), CrashingFile> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let members = paths.into_iter().map(|path| (path, Content::Weights));
    survive(&members.collect::<Vec<_>>())
}

/// The other process's part: reads the files that stdin names, with a byte to stdout before each. Returns whether stdin named
/// any.
pub fn read_trials() -> bool {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    let Ok(trials) = read.and_then(|_| Ok(serde_json::from_str::<Vec<Trial>>(&text)?)) else {
        return false;
    };
    for (path, content) in trials {
        let mut out = std::io::stdout();
        if out.write_all(b".").and_then(|()| out.flush()).is_err() {
            return false;
        }
        // What is wrong with the file is said by the process that needs it.
        match content {
            Content::Recording(content) => content.read(&path),
            Content::Weights => drop(read_weights(&path)),
            Content::Grids => drop(provenance::read(&path)),
            Content::Metadata => drop(Metadata::read(&path).map(|found| found.is_in(&path))),
            Content::Traces => TracesFile::read_for_trial(&path),
            Content::Activity => ActivityFile::read_for_trial(&path),
            Content::Nwb => NwbFile::read_for_trial(&path),
            Content::Written => WrittenFile::read_for_trial(&path),
        }
    }
    true
}

/// Reads the files that are HDF5 in another process. Where none can be started, the files are not tried.
fn survive(trials: &[Trial]) -> Result<(), CrashingFile> {
    let trials: Vec<&Trial> = trials.iter().filter(|(path, _)| is_hdf5(path)).collect();
    if trials.is_empty() {
        return Ok(());
    }
    // The other process gets the HDF5 files that this one has open, with their locks: no thread may close and open one before it ends.
    let Some((end, begun)) = serde_json::to_vec(&trials)
        .ok()
        .and_then(|text| hdf5::sync::sync(|| start(&text)))
    else {
        return Ok(());
    };
    let end = match end {
        None => "does not come to an end".to_owned(),
        Some(status) => match (status.signal(), status.code()) {
            (Some(signal), _) if CRASHES.contains(&signal) => format!("crashes (signal {signal})"),
            (_, Some(PANIC)) => "panics".to_owned(),
            // Other signals are meant for the whole job.
            _ => return Ok(()),
        },
    };
    let Some((path, content)) = begun.checked_sub(1).and_then(|place| trials.get(place)) else {
        return Ok(());
    };
    let advice = match content {
        Content::Recording(_) | Content::Weights => "copy or save the file again",
        Content::Grids
        | Content::Metadata
        | Content::Traces
        | Content::Activity
        | Content::Nwb
        | Content::Written => "remove it, and it is written again",
    };
    Err(CrashingFile {
        path: path.clone(),
        end,
        advice,
    })
}

/// Starts the other process; how it ended (none: it had to be ended) and the number of trials that it began.
fn start(trials: &[u8]) -> Option<(Option<ExitStatus>, usize)> {
    // The program's path may name another program by now.
    let mut child = Command::new("/proc/self/exe")
        .arg("crash-trial")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let written = child.stdin.take()?.write_all(trials);
    let end = wait(&mut child).ok()?;
    let mut begun = Vec::new();
    child.stdout.take()?.read_to_end(&mut begun).ok()?;
    written.ok()?;
    Some((end, begun.len()))
}

/// How the process ended; none if it used too much processor time and was killed.
///
/// # Errors
/// Somebody else has taken note of its end: a program that ignores `SIGCHLD` started this one.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if processor_time(child.id()) > ENDLESS {
            // It is gone in either case.
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Processor time that a process has used, as Linux tells it; zero elsewhere.
fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // "pid (name) state …"; the name may hold anything. The 12th and 13th fields after it count ticks.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / clock_ticks_per_second().max(1))
}
