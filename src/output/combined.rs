//! `combined_metadata.h5` (rule 8.4): the metadata of every complete subject of the output folder.

use std::path::Path;

use hdf5::File;

use super::metadata::Metadata;
use super::{OutputError, SubjectFiles, finish, partial};
use crate::input::discovery;

/// Writes the file anew from the subjects that are complete; returns what was wrong with those that were left out.
///
/// # Errors
/// The file cannot be written.
pub fn write(output_dir: &Path) -> Result<Vec<String>, OutputError> {
    let path = output_dir.join("combined_metadata.h5");
    let subjects = discovery::subjects(output_dir).unwrap_or_default();
    let mut warnings = Vec::new();
    let mut complete = Vec::new();
    for subject in subjects {
        let files = SubjectFiles::new(output_dir, &subject.name);
        if !files.grids.is_file() || !files.metadata.is_file() {
            continue;
        }
        match Metadata::read(&files.metadata) {
            Ok(metadata) => complete.push((subject.name, metadata)),
            Err(error) => warnings.push(format!(
                "combined_metadata.h5 leaves {} out: {error}",
                subject.name
            )),
        }
    }
    let write = || {
        let file = File::create(partial(&path))?;
        for (name, metadata) in &complete {
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
    written.map(|()| warnings)
}
