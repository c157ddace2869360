//! `combined_metadata.h5` (rule 8.4): the metadata of every complete subject of the output folder. A run writes it at its
//! end; the tasks of an array do not, `spikegrid-mpi combine` does after them.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::error::OutputError;
use super::files::{lock_folder, write_whole};
use super::metadata::Metadata;
use super::subject_files::{OutputFile, SubjectFiles};
use crate::crash_trial::{self, CrashingFile};
use crate::hdf5_access;
use crate::names::partial;

/// The name of the file, in the output folder.
pub const NAME: &str = "combined_metadata.h5";

/// What came of writing the file.
#[derive(Debug, Default)]
pub struct Combined {
    /// Names of the subjects that are in it.
    pub complete: Vec<String>,
    /// Names of the subject folders that are not complete.
    pub incomplete: Vec<String>,
    /// What was wrong with subjects that were left out though they seem complete.
    pub damaged: Vec<String>,
}

/// Writes the file anew from the subjects that are complete.
///
/// # Errors
/// The file cannot be written.
pub fn write(output_dir: &Path) -> Result<Combined, OutputError> {
    let path = output_dir.join(NAME);
    // Runs that end at the same time: each adds its subjects to the file that the one before it wrote.
    let _lock = lock_folder(output_dir)?;
    let mut combined = Combined::default();
    let mut there = Vec::new();
    for name in subjects(output_dir)? {
        match is_complete(output_dir, &name) {
            true => {
                let files = SubjectFiles::new(output_dir, &name);
                there.push((files.path(OutputFile::Metadata), name));
            }
            false => combined.incomplete.push(name),
        }
    }
    let mut leave_out = |name: &str, error: &dyn Display| {
        let line = format!("{NAME} leaves {name} out: {error}");
        combined.damaged.push(line);
    };
    while let Err(crashing) = crash_trials(&there) {
        there.retain(|(path, name)| {
            let survived = *path != crashing.path;
            if !survived {
                leave_out(name, &crashing);
            }
            survived
        });
    }
    let mut metadata_of = Vec::new();
    for (path, name) in there {
        match Metadata::read(&path) {
            Ok(metadata) => metadata_of.push((name, metadata)),
            Err(error) => leave_out(&name, &error),
        }
    }
    let write = |partial: &Path| {
        let file = hdf5_access::writing().create(partial)?;
        for (name, metadata) in &metadata_of {
            metadata.write_to(&file.create_group(name)?)?;
        }
        file.close()
    };
    write_whole(&path, |partial| {
        write(partial).map_err(OutputError::hdf5(&path, "cannot be written"))
    })?;
    combined.complete = metadata_of.into_iter().map(|(name, _)| name).collect();
    Ok(combined)
}

fn crash_trials(there: &[(PathBuf, String)]) -> Result<(), CrashingFile> {
    let paths: Vec<PathBuf> = there.iter().map(|(path, _)| path.clone()).collect();
    crash_trial::metadata(&paths)
}

/// Whether the subject has grids and metadata.
pub fn is_complete(output_dir: &Path, subject: &str) -> bool {
    let files = SubjectFiles::new(output_dir, subject);
    let files = [OutputFile::Grids, OutputFile::Metadata].map(|file| files.path(file));
    files.iter().all(|path| path.is_file())
}

/// The names of the subject folders of an output folder: those called `subject_*`, and others that hold files of a subject.
///
/// # Errors
/// The folder cannot be read.
pub fn subjects(output_dir: &Path) -> Result<Vec<String>, OutputError> {
    let unreadable = || OutputError::io(output_dir, "cannot be read");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(output_dir).map_err(unreadable())? {
        let name = entry.map_err(unreadable())?.file_name();
        let is_subject = |name: &&str| {
            let files = SubjectFiles::new(output_dir, name);
            let grids = files.path(OutputFile::Grids);
            let of_ours = [partial(&grids), files.path(OutputFile::Metadata), grids];
            name.starts_with("subject_") || of_ours.iter().any(|path| path.is_file())
        };
        names.extend(name.to_str().filter(is_subject).map(str::to_string));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_8_4_subjects_may_have_any_name() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["fish1", "fish2", "subject_3", "logs"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        for file in [
            "fish1/preaugmented_grids.h5",
            "fish2/.preaugmented_grids.h5.partial",
        ] {
            std::fs::write(folder.path().join(file), "").expect("a file");
        }
        let found = subjects(folder.path()).expect("names");
        assert_eq!(found, ["fish1", "fish2", "subject_3"]);
    }
}
