//! The command `demo`: makes subjects, processes them, and says what to look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use spikegrid_ranks::World;

use super::{DemoError, DemoOptions, write_missing};
use crate::cli::{self, Cli};
use crate::job::{NOTHING_STARTED, prepare_on_root};
use crate::run;

/// Makes the subjects that are not there yet, and processes all; the exit status is that of the run. Collective.
pub fn run(world: &mut World, folder: &Path) -> u8 {
    let input = folder.join("raw_trace_data_demo");
    let output = folder.join("processed_spike_grids_demo");
    if prepare_on_root(world, || make(&input).map(|()| ((), ()))).is_none() {
        return NOTHING_STARTED;
    }
    let threads = available_parallelism().map_or(1, usize::from) / world.on_node().ranks;
    let flags = [
        "--input_dir".into(),
        input.into(),
        "--output_dir".into(),
        output.clone().into(),
    ];
    let flags = flags
        .into_iter()
        .chain([format!("--workers={}", threads.max(1)).into()]);
    let arguments = ["spikegrid-mpi".into()].into_iter().chain(flags);
    let status = run::run(world, || cli::parse(arguments).map(|cli: Cli| cli.run));
    if world.is_root() && status == 0 {
        say!("{}", what_to_look_at(&output));
    }
    status
}

fn make(input: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(input).map_err(|error| DemoError::write(input, error))?;
    let options = DemoOptions {
        subjects: 2,
        neurons: 1000,
        frames: 1200,
        output: input.to_owned(),
        seed: 42,
        rate_hz: 2.0,
    };
    write_missing(&options, &mut |line| say!("{line}"))
}

fn what_to_look_at(output: &Path) -> String {
    let page = output.join("report.html");
    let page: PathBuf = page.canonicalize().unwrap_or(page);
    format!(
        "\nOpen this page in a browser: {}\n\
         Your own recordings: spikegrid-mpi doctor --input_dir DIR says what they are, spikegrid-mpi --input_dir DIR processes them.",
        page.display()
    )
}
