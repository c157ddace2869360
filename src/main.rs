//! Parse, dispatch, exit status.

use std::process::ExitCode;

use spikegrid_mpi::cli::{self, Command};
use spikegrid_mpi::comm::{World, launched_rank};
use spikegrid_mpi::{cascade, demo, run};

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(answer) => {
            if launched_rank() == 0 {
                let _ = answer.print();
            }
            return ExitCode::from(answer.exit_code() as u8);
        }
    };
    let written = match cli.command {
        None => return process(cli.run),
        Some(_) if launched_rank() != 0 => return ExitCode::SUCCESS,
        Some(Command::DemoData(options)) => {
            demo::write(&options, |line| println!("{line}")).map_err(Into::into)
        }
        Some(Command::UntrainedModel { output, seed }) => {
            cascade::untrained::write(&output.join(cascade::untrained::NAME), seed)
                .map_err(Into::into)
        }
    };
    match written {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let error: Box<dyn std::error::Error> = error;
            eprintln!("error: {error}");
            ExitCode::from(run::NOTHING_STARTED)
        }
    }
}

fn process(flags: cli::RunArgs) -> ExitCode {
    // HDF5 1.10 crashes when it ends after a file that it could not close (disk full). It ends with MPI, but only if it
    // began after it.
    let _ = hdf5::library_version();
    let (universe, mut world) = match World::start() {
        Ok(started) => started,
        Err(error) => {
            if launched_rank() == 0 {
                eprintln!("error: {error}");
            }
            return ExitCode::from(run::NOTHING_STARTED);
        }
    };
    let status = run::run(&mut world, flags);
    drop(world);
    drop(universe);
    ExitCode::from(status)
}
