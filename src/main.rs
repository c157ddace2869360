//! Parse, dispatch, exit status.

use std::process::ExitCode;

use spikegrid_files::crash_trial;
use spikegrid_files::models::untrained;
use spikegrid_mpi::cli::{self, Command};
use spikegrid_mpi::job::{NOTHING_STARTED, on_ranks};
use spikegrid_mpi::{combine, demo, doctor, forecast, models, run, say, train, verify};
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
    let done: Result<u8, Box<dyn std::error::Error>> = match cli.command {
        None => return on_ranks(|world| run::run(world, cli.run)),
        Some(Command::Train(arguments)) => {
            return on_ranks(|world| train::run::run(world, &arguments));
        }
        Some(Command::CrashTrial) => Ok(match crash_trial::read_trials() {
            true => 0,
            false => NOTHING_STARTED,
        }),
        Some(_) if launched_rank() != 0 => return ExitCode::SUCCESS,
        Some(Command::Doctor(arguments)) => doctor::run(&arguments),
        Some(Command::DemoData(options)) => demo::write(&options, |line| say!("{line}"))
            .map(|_| 0)
            .map_err(Into::into),
        Some(Command::Combine {
            output_dir,
            input_dir,
        }) => combine::run(&output_dir, input_dir.as_deref()),
        Some(Command::Verify(arguments)) => verify::run(&arguments).map_err(Into::into),
        Some(Command::Plan(arguments)) => forecast::run(*arguments).map_err(Into::into),
        Some(Command::Models(command)) => models::run(&command).map_err(Into::into),
        Some(Command::Evaluate(arguments)) => train::evaluate::run(&arguments)
            .map(|()| 0)
            .map_err(Into::into),
        Some(Command::Completions { shell }) => cli::print_completions(shell)
            .map(|()| 0)
            .map_err(Into::into),
        Some(Command::Man { output }) => cli::write_man_pages(&output)
            .map(|()| 0)
            .map_err(|error| format!("{}: {error}", output.display()).into()),
        Some(Command::UntrainedModel { output, seed }) => {
            untrained::write(&output.join(untrained::NAME), seed)
                .map(|()| 0)
                .map_err(Into::into)
        }
    };
    ExitCode::from(done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        NOTHING_STARTED
    }))
}
