//! `combined_metadata.h5` (rule 8.4): the metadata of every complete subject of the output folder.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use hdf5::File;

use super::metadata::Metadata;
use super::{OutputError, SubjectFiles, lock_folder, write_whole};
use crate::probe::{self, Deadly};

/// Writes the file anew from the subjects that are complete; returns what was wrong with those that were left out.
///
/// # Errors
/// The file cannot be written.
pub fn write(output_dir: &Path) -> Result<Vec<String>, OutputError> {
    let path = output_dir.join("combined_metadata.h5");
    // Array tasks end at the same time: each adds its subjects to the file that the one before it wrote.
    let _lock = lock_folder(output_dir)?;
    let mut warnings = Vec::new();
    let (mut there, mut complete) = (Vec::new(), Vec::new());
    for name in subjects(output_dir).map_err(OutputError::io(output_dir, "cannot be read"))? {
        let files = SubjectFiles::new(output_dir, &name);
        if !files.grids.is_file() || !files.metadata.is_file() {
            continue;
        }
        there.push((name, files.metadata));
    }
    let mut leave_out = |name: &str, error: &dyn Display| {
        warnings.push(format!("combined_metadata.h5 leaves {name} out: {error}"));
    };
    while let Err(deadly) = try_out(&there) {
        there.retain(|(name, path)| {
            let survived = *path != deadly.path;
            if !survived {
                leave_out(name, &deadly);
            }
            survived
        });
    }
    for (name, path) in there {
        match Metadata::read(&path) {
            Ok(metadata) => complete.push((name, metadata)),
            Err(error) => leave_out(&name, &error),
        }
    }
    let write = |partial: &Path| {
        let file = File::create(partial)?;
        for (name, metadata) in &complete {
            metadata.write_to(&file.create_group(name)?)?;
        }
        file.close()
    };
    write_whole(&path, |partial| {
        write(partial).map_err(OutputError::hdf5(&path, "cannot be written"))
    })?;
    Ok(warnings)
}

fn try_out(there: &[(String, PathBuf)]) -> Result<(), Deadly> {
    let paths: Vec<PathBuf> = there.iter().map(|(_, path)| path.clone()).collect();
    probe::metadata(&paths)
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
