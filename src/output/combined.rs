//! `combined_metadata.h5` (rule 8.4): the metadata of every complete subject of the output folder. A run writes it at its
//! end; the tasks of an array do not, `spikegrid-mpi combine` does after them.

use std::path::Path;

use hdf5::File;

use super::metadata::Metadata;
use super::{OutputError, SubjectFiles, finish, lock_folder, partial};

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

/// The command `combine`; its exit status is 1 if a subject folder had to be left out.
///
/// # Errors
/// The folder cannot be read, holds no complete subject, or the file cannot be written.
pub fn run(output_dir: &Path) -> Result<u8, Box<dyn std::error::Error>> {
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
        incomplete,
        damaged,
    } = write(output_dir)?;
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
    let mut metadata_of = Vec::new();
    for name in subjects(output_dir).map_err(OutputError::io(output_dir, "cannot be read"))? {
        if !is_complete(output_dir, &name) {
            combined.incomplete.push(name);
            continue;
        }
        match Metadata::read(&SubjectFiles::new(output_dir, &name).metadata) {
            Ok(metadata) => {
                combined.complete.push(name);
                metadata_of.push(metadata);
            }
            Err(error) => combined
                .damaged
                .push(format!("combined_metadata.h5 leaves {name} out: {error}")),
        }
    }
    let write = || {
        let file = File::create(partial(&path))?;
        for (name, metadata) in combined.complete.iter().zip(&metadata_of) {
            metadata.write_to(&file.create_group(name)?)?;
        }
        file.close()
    };
    let written = write()
        .map_err(OutputError::hdf5(&path, "cannot be written"))
        .and_then(|()| finish(&path));
    if written.is_err() {
        let _ = std::fs::remove_file(partial(&path));
    }
    written.map(|()| combined)
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
