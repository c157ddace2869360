//! `combined_metadata.h5` (rule 8.4): the metadata of every complete subject of the output folder. A run writes it at its
//! end; the tasks of an array do not, `spikegrid-mpi combine` does after them.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use hdf5::File;

use super::metadata::Metadata;
use super::{OutputError, SubjectFiles, lock_folder, write_whole};
use crate::input::discovery;
use crate::probe::{self, Deadly};

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

/// The command `combine`; its exit status is 1 if a subject of the input folder, or a folder of the output folder, had to be
/// left out.
///
/// # Errors
/// The folder cannot be read, holds no complete subject, or the file cannot be written.
pub fn run(output_dir: &Path, input_dir: Option<&Path>) -> Result<u8, Box<dyn std::error::Error>> {
    let found = subjects(output_dir).map_err(OutputError::io(output_dir, "cannot be read"))?;
    if !found.iter().any(|name| is_complete(output_dir, name)) {
        return Err(format!(
            "{} holds no complete subject, expected folders subject_* with preaugmented_grids.h5 and metadata.h5",
            output_dir.display()
        )
        .into());
    }
    let Combined {
        complete,
        mut incomplete,
        damaged,
    } = write(output_dir)?;
    // What failed or never began has no folder.
    if let Some(input_dir) = input_dir {
        let expected = discovery::subjects(input_dir)?.into_iter();
        let names = expected.map(|subject| subject.name);
        incomplete.extend(names.filter(|name| !found.contains(name)));
    }
    for warning in &damaged {
        eprintln!("warning: {warning}");
    }
    if !incomplete.is_empty() {
        eprintln!(
            "warning: combined_metadata.h5 leaves out what is not complete: {}; \
             run the command that processes them again, then combine again",
            incomplete.join(", ")
        );
    }
    let path = output_dir.join("combined_metadata.h5");
    say!("{}: {} subjects", path.display(), complete.len());
    Ok(u8::from(!(incomplete.is_empty() && damaged.is_empty())))
}

/// Writes the file anew from the subjects that are complete.
///
/// # Errors
/// The file cannot be written.
pub fn write(output_dir: &Path) -> Result<Combined, OutputError> {
    let path = output_dir.join("combined_metadata.h5");
    // Runs that end at the same time: each adds its subjects to the file that the one before it wrote.
    let _lock = lock_folder(output_dir)?;
    let mut combined = Combined::default();
    let mut there = Vec::new();
    for name in subjects(output_dir).map_err(OutputError::io(output_dir, "cannot be read"))? {
        match is_complete(output_dir, &name) {
            true => there.push((SubjectFiles::new(output_dir, &name).metadata, name)),
            false => combined.incomplete.push(name),
        }
    }
    let mut leave_out = |name: &str, error: &dyn Display| {
        let line = format!("combined_metadata.h5 leaves {name} out: {error}");
        combined.damaged.push(line);
    };
    while let Err(deadly) = try_out(&there) {
        there.retain(|(path, name)| {
            let survived = *path != deadly.path;
            if !survived {
                leave_out(name, &deadly);
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
        let file = File::create(partial)?;
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

fn try_out(there: &[(PathBuf, String)]) -> Result<(), Deadly> {
    let paths: Vec<PathBuf> = there.iter().map(|(path, _)| path.clone()).collect();
    probe::metadata(&paths)
}

fn is_complete(output_dir: &Path, subject: &str) -> bool {
    let files = SubjectFiles::new(output_dir, subject);
    files.grids.is_file() && files.metadata.is_file()
}

/// The names of the subject folders.
fn subjects(output_dir: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(output_dir)? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| name.starts_with("subject_"))
                .map(str::to_string),
        );
    }
    names.sort();
    Ok(names)
}
