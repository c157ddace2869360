//! The command `combine`: `combined_metadata.h5` after the tasks of an array (rule 8.4).

use std::path::Path;

use spikegrid_core::wording::counted;
use spikegrid_files::input::discovery;
use spikegrid_files::output::combined::{self, Combined};

/// The command `combine`; its exit status is 1 if a subject of the input folder, or a folder of the output folder, had to be
/// left out.
///
/// # Errors
/// The folder cannot be read, holds no complete subject, or the file cannot be written.
pub fn run(output_dir: &Path, input_dir: Option<&Path>) -> Result<u8, Box<dyn std::error::Error>> {
    let found = combined::subjects(output_dir)?;
    if !found
        .iter()
        .any(|name| combined::is_complete(output_dir, name))
    {
        return Err(format!(
            "{} holds no complete subject, expected folders with preaugmented_grids.h5 and metadata.h5",
            output_dir.display()
        )
        .into());
    }
    let Combined {
        complete,
        mut incomplete,
        damaged,
    } = combined::write(output_dir)?;
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
    let subjects = counted(complete.len(), "subject");
    say!("{}: {subjects}", path.display());
    Ok(u8::from(!(incomplete.is_empty() && damaged.is_empty())))
}
