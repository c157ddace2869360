//! The command `verify` (rule 9.6): whether the files of an output folder keep the rules, and whether two folders hold the same.
//!
//! - `rules`: rules 5 to 7 written once more, from the specification
//! - `subject`: the files of a subject, one after the other: `header`, `metadata`, `traces`, `grids`, `table`
//! - `stream`: planes judged while others are read
//! - `against`: two folders, value by value
//! - `report`: a line per difference

mod activity;
mod against;
mod grids;
mod header;
mod matrix;
mod metadata;
mod nwb;
mod report;
mod rules;
mod stream;
mod subject;
mod table;
mod traces;

use std::path::{Path, PathBuf};

use rayon::ThreadPoolBuilder;
use spikegrid_core::wording::counted;
use spikegrid_files::output::written::WrittenFile;
use spikegrid_files::output::{OutputFile, SubjectFiles, combined, partial};

use report::{Opened, Report};
use subject::{exists, leftovers, open, try_out};

/// One thread reads; more than these would wait for it.
const MOST_THREADS: usize = 4;
const COMBINED: &str = "combined_metadata.h5";

/// What to verify.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Output folder of the runs
    pub output_dir: PathBuf,
    /// Compare with this output folder instead, value by value
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The folder is not there or cannot be read.
    #[error("{path}: expected an output folder, found {found}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// There is nothing of ours in it.
    #[error(
        "{path} holds no subject, expected folders with preaugmented_grids.h5", path = path.display()
    )]
    NoSubject {
        /// The folder.
        path: PathBuf,
    },
    /// The system gives no threads.
    #[error("no threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// The command `verify`; prints a line per difference. The exit status is 1 if there is one.
///
/// # Errors
/// There is nothing to verify.
pub fn run(arguments: &VerifyArgs) -> Result<u8, VerifyError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads.min(MOST_THREADS))
        .build()?;
    let mut print = |line: &str| say!("{line}");
    let mut report = Report::new(&mut print);
    pool.install(|| match &arguments.against {
        None => verify(&mut report, &arguments.output_dir),
        Some(other) => against::compare(&mut report, &arguments.output_dir, other),
    })?;
    Ok(u8::from(report.differences > 0))
}

/// The subjects of an output folder.
struct Found {
    complete: Vec<String>,
    /// Those of which a run has left something.
    incomplete: Vec<String>,
}

impl Found {
    fn in_folder(output_dir: &Path) -> Result<Self, VerifyError> {
        let folder_error = |found: String| VerifyError::Folder {
            path: output_dir.to_path_buf(),
            found,
        };
        match std::fs::metadata(output_dir) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(folder_error("a file".into())),
            Err(error) => return Err(folder_error(error.to_string())),
        }
        let names =
            combined::subjects(output_dir).map_err(|error| folder_error(error.to_string()))?;
        let mut found = Self {
            complete: Vec::new(),
            incomplete: Vec::new(),
        };
        for name in names {
            let files = SubjectFiles::new(output_dir, &name);
            if exists(&files.path(OutputFile::Grids)) {
                found.complete.push(name);
            } else {
                let mut files_of_results = OutputFile::ALL
                    .into_iter()
                    // A subject that failed may have a page that says why.
                    .filter(|file| *file != OutputFile::Page);
                let ours = files_of_results.any(|file| exists(&files.path(file)));
                if ours || !leftovers(&files.folder).is_empty() {
                    found.incomplete.push(name);
                }
            }
        }
        match found.complete.is_empty() && found.incomplete.is_empty() {
            true => Err(VerifyError::NoSubject {
                path: output_dir.to_path_buf(),
            }),
            false => Ok(found),
        }
    }
}

/// Checks whether the files of a folder keep the rules.
fn verify(report: &mut Report, output_dir: &Path) -> Result<(), VerifyError> {
    let found = Found::in_folder(output_dir)?;
    let mut wrong = 0;
    for name in &found.complete {
        let before = report.differences;
        let subject = subject::check(report, output_dir, name);
        let differences = report.differences - before;
        wrong += usize::from(differences > 0);
        let words = subject
            .as_ref()
            .map_or("grids that cannot be read", |subject| &subject.words);
        let outcome = match (
            differences,
            subject.as_ref().is_some_and(|subject| subject.recomputed),
        ) {
            (0, true) => "as rules 6 to 8 say (recomputed from traces.h5)".into(),
            (0, false) => "as rules 6 to 8 say, as far as can be told without traces.h5".into(),
            (count, _) => counted(count, "difference"),
        };
        report.say(format_args!("{name}: {words}: {outcome}"));
    }
    tell_incomplete(report, output_dir, &found.incomplete);
    check_combined(report, output_dir, &found.complete);
    let subjects = found.complete.len();
    report.say(format_args!(
        "{} verified, {wrong} with differences; {} in all",
        counted(subjects, "subject"),
        counted(report.differences, "difference")
    ));
    Ok(())
}

fn tell_incomplete(report: &mut Report, output_dir: &Path, incomplete: &[String]) {
    for name in incomplete {
        let left = leftovers(&output_dir.join(name));
        let found = match left.is_empty() {
            true => "none, though other files of the subject are there".to_owned(),
            false => format!(
                "what an interrupted run left ({}): run it again",
                left.join(", ")
            ),
        };
        let grids = format!("{name}/preaugmented_grids.h5");
        report.difference(grids, "grids", found, "rule 8.7");
    }
}

/// Checks that the combined file holds the metadata of every complete subject, and no others (rule 8.4).
fn check_combined(report: &mut Report, output_dir: &Path, complete: &[String]) {
    const RULE: &str = "rule 8.4";
    for file in [COMBINED, "report.json", "report.html"] {
        let left = partial(Path::new(file));
        if exists(&output_dir.join(&left)) {
            let found = "a file that is not complete";
            report.difference(
                left.display(),
                "nothing beside complete files",
                found,
                "rule 8.7",
            );
        }
    }
    let path = output_dir.join(COMBINED);
    if !exists(&path) {
        let found = "no such file; after an array job, run: spikegrid-mpi combine";
        return report.difference(COMBINED, "the metadata of all subjects", found, RULE);
    }
    try_out(report, std::slice::from_ref(&path));
    let Some(file) = open(report, output_dir, COMBINED, RULE) else {
        return;
    };
    let groups = match file.file.members() {
        Ok(groups) => groups,
        Err(reason) => return report.difference(COMBINED, "groups", reason, RULE),
    };
    for name in complete {
        let metadata = format!("{name}/metadata.h5");
        if !groups.contains(name) {
            report.difference(format_args!("{COMBINED}: {name}"), "a group", "none", RULE);
        } else if let Some(metadata) = open_quietly(report, output_dir, &metadata) {
            against::compare_group(report, &metadata, &file, name, RULE);
        }
    }
    for group in groups.iter().filter(|group| !complete.contains(group)) {
        let found = "the group of a subject that is not complete";
        report.difference(
            format_args!("{COMBINED}: {group}"),
            "no such group",
            found,
            RULE,
        );
    }
}

/// Opens a file of which it is said already if something is wrong with it.
fn open_quietly(report: &Report, output_dir: &Path, name: &str) -> Option<Opened> {
    let path = output_dir.join(name);
    let survived = !report.crashing.contains(&path);
    let file = survived.then(|| WrittenFile::open(&path).ok())??;
    Some(Opened {
        file,
        name: name.to_owned(),
    })
}
