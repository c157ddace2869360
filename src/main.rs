//! Parse, dispatch, exit status.

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use spikegrid_files::crash_trial;
use spikegrid_files::models::untrained;
use spikegrid_mpi::cli::{self, Cli, Command};
use spikegrid_mpi::job::{NOTHING_STARTED, on_ranks};
use spikegrid_mpi::{IS_CUT_OFF, combine, demo, doctor, forecast, models, run, say, train, verify};
use spikegrid_ranks::launched_rank;

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
    match cli.command {
        None if !cli.print_config => on_ranks(|world| {
            run::run(world, || {
                cli::parse_with_file(std::env::args_os()).map(|cli| cli.run)
            })
        }),
        Some(Command::Demo { folder }) => on_ranks(|world| demo::trial::run(world, &folder)),
        Some(Command::Train(arguments)) => on_ranks(|world| train::run::run(world, &arguments)),
        Some(Command::CrashTrial) => match crash_trial::read_trials() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(NOTHING_STARTED),
        },
        _ if launched_rank() != 0 => ExitCode::SUCCESS,
        _ => ExitCode::from(on_one_rank().and_then(told).unwrap_or_else(|error| {
            eprintln!("error: {error}");
            NOTHING_STARTED
        })),
    }
}

/// What rank 0 does alone; its exit status.
fn on_one_rank() -> Result<u8, Box<dyn Error>> {
    let Cli { command, run, .. } = cli::parse_with_file(std::env::args_os())?;
    match command {
        Some(Command::Doctor(arguments)) => return doctor::run(&arguments),
        Some(Command::Combine {
            output_dir,
            input_dir,
        }) => return combine::run(&output_dir, input_dir.as_deref()),
        Some(Command::Verify(arguments)) => return Ok(verify::run(&arguments)?),
        Some(Command::Plan(arguments)) => return Ok(forecast::run(*arguments)?),
        Some(Command::Models(command)) => return Ok(models::run(&command)?),
        Some(Command::DemoData(options)) => demo::write(&options, |line| say!("{line}"))?,
        Some(Command::Evaluate(arguments)) => train::evaluate::run(&arguments)?,
        Some(Command::Completions { shell }) => cli::print_completions(shell)?,
        Some(Command::Man { output }) => cli::write_man_pages(&output)
            .map_err(|error| format!("{}: {error}", output.display()))?,
        Some(Command::UntrainedModel { output, seed }) => {
            untrained::write(&output.join(untrained::NAME), seed)?;
        }
        _ => cli::print_config(&run)?,
    }
    Ok(0)
}

/// The exit status of a command whose lines are its result.
///
/// # Errors
/// Some could not be printed.
fn told(status: u8) -> Result<u8, Box<dyn Error>> {
    match IS_CUT_OFF.load(Ordering::Relaxed) {
        true => Err("stdout: lines of the result cannot be written (is the disk full?)".into()),
        false => Ok(status),
    }
}
