//! The command line (rules 1.1 to 1.3).

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::demo::DemoOptions;
use crate::doctor::DoctorArgs;
use crate::forecast::PlanArgs;
use crate::models::ModelsCommand;
use crate::settings::as_toml;
use crate::settings::config_file::{ConfigFile, ConfigFileError};
use crate::settings::flags::{CONFIG_FILE, ConfigFlag, RunArgs};
use crate::train::evaluate::EvaluateArgs;
use crate::train::run::TrainArgs;
use crate::verify::VerifyArgs;

/// From raw calcium traces to training-ready spike grids: ΔF/F, CASCADE spike inference and rasterising over MPI ranks.
///
/// Every folder `subject_*` of the input folder holds a recording: `TimeSeries.h5` with `data_full.mat`, suite2p's folders, NWB,
/// Zarr, or what CaImAn or voluseg wrote, or a plain matrix with positions. It becomes a folder of the output folder with
/// `preaugmented_grids.h5`, `metadata.h5`, pages and figures to look at. Run it again after an interruption: complete subjects are
/// skipped. `spikegrid-mpi doctor` says beforehand what each recording is.
#[derive(Debug, Parser)]
#[command(
    name = "spikegrid-mpi",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  spikegrid-mpi --input_dir raw_trace_data_2018 --output_dir processed_spike_grids_2018
  mpirun -n 64 spikegrid-mpi --cascade_model Global_EXC_2Hz_smoothing500ms
  mpirun -n 2 --bind-to none spikegrid-mpi --only subject_1 --workers 8 --save_traces

Exit status: 0 every subject is complete; 1 at least one subject failed, the others are done; 2 nothing could start;
3 stopped by a signal, run the same command again to continue."
)]
pub struct Cli {
    /// The command; none for a run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of a run.
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub config: ConfigFlag,
    /// Print all settings as TOML for --config, and do nothing else
    #[arg(long, help_heading = "Configuration file")]
    pub print_config: bool,
}

/// The commands beside a run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what the recordings of a folder are and whether a run would fail, by a sample of each, in seconds
    ///
    /// No model is needed, and nothing is written; a model that --cascade_model names is checked, too. Exit status: 0 a run would process
    /// all subjects; 1 it would fail for some, or not start with this model; 2 nothing could be judged.
    Doctor(DoctorArgs),
    /// Try the program: make small subjects, process them, and say which page to open, in seconds
    ///
    /// The folder gets raw_trace_data_demo with the subjects and processed_spike_grids_demo with the results. All cores compute; under a
    /// launcher, all its ranks.
    Demo {
        /// Folder to write into
        #[arg(value_name = "DIR", default_value = "demo")]
        folder: PathBuf,
    },
    /// Write made-up subjects to try the program with
    DemoData(DemoOptions),
    /// Write combined_metadata.h5 from the complete subjects of an output folder, after an array job
    Combine {
        /// Output folder of the runs
        #[arg(long, value_name = "DIR", default_value = "processed_spike_grids_2018")]
        output_dir: PathBuf,
        /// Input folder of the runs: names the subjects that failed or never began, too
        #[arg(long, value_name = "DIR")]
        input_dir: Option<PathBuf>,
    },
    /// Check that the files of an output folder are as the rules say, or that two output folders hold the same values
    ///
    /// Without --against, every complete subject is checked against rules 6 to 8 of the specification, by code of its own: the split
    /// is computed again from the seed; planes, pixels, markers and spikes are computed again from traces.h5, where that is there
    /// (runs with --save_traces); without it, every plane still has to be readable, hold 0 and 1 only, and have its marker. ΔF/F and
    /// spike rates are not computed again.
    ///
    /// With --against, nothing is recomputed: subjects, files, datasets, values (bit by bit, NaN equal to NaN) and the settings that
    /// decide results must be those of the other folder. Paths, ranks, threads, device and version may differ.
    ///
    /// Prints a line per subject and a line per difference: file, dataset, first place, what was expected, what is there, the rule, and
    /// how many values differ. Places are counted from 0, as in Python. Nothing is written.
    #[command(after_help = "\
Examples:
  spikegrid-mpi verify processed_spike_grids_2018
  spikegrid-mpi verify results_on_64_ranks --against results_on_1_rank

Exit status: 0 all is as it should be; 1 something differs or cannot be read; 2 nothing to verify: no such folder, no subject.")]
    Verify(VerifyArgs),
    /// Say how long a job will take on how many ranks, with how much memory and disk, without running it
    ///
    /// The scheduler of real runs is taken through the job with what each piece of work costs. Flags of the job itself
    /// (--input_dir, --workers, --save_traces, ...) are those of a run.
    Plan(Box<PlanArgs>),
    /// Show and check CASCADE models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Train the members of a CASCADE model on ground truth, over MPI ranks
    ///
    /// Members that are in the output folder already are kept, so that an interrupted training goes on where it ended.
    /// The same configuration and ground truth give the same weights on any number of ranks.
    Train(TrainArgs),
    /// Measure how well a CASCADE model infers the spike rates of ground truth
    Evaluate(EvaluateArgs),
    /// Print what a shell needs to complete the flags: bash, zsh, fish, elvish or powershell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages, one for each command
    #[command(hide = true)]
    Man {
        /// Folder to write into
        output: PathBuf,
    },
    /// Read the HDF5 files that stdin names, for a run that wants to know whether the library survives them
    #[command(hide = true)]
    CrashTrial,
    /// Write an untrained CASCADE model with the default architecture: to try the program, not for science
    #[command(hide = true)]
    UntrainedModel {
        /// Folder of model folders to write into
        #[arg(long, value_name = "DIR", default_value = "models")]
        output: PathBuf,
        /// Seed of its random weights
        #[arg(long, default_value_t = 42)]
        seed: u64,
    },
}

/// The definition of the command line, in which `--input-dir` and `--input_dir` are the same flag, for every flag.
pub fn command() -> clap::Command {
    fn flags(command: clap::Command) -> clap::Command {
        let has_file = takes_config_file(&command);
        command
            .mut_args(|argument| {
                let is_setting = has_file && argument.get_id() != "print_config";
                let argument = match argument.get_action() {
                    ArgAction::SetTrue if is_setting => switch(argument),
                    _ => argument,
                };
                let values = argument.get_action().takes_values();
                let argument = argument.allow_negative_numbers(values);
                match argument.get_long().map(str::to_string) {
                    Some(long) if long.contains('-') => {
                        argument.long(long.replace('-', "_")).alias(long)
                    }
                    _ => argument,
                }
            })
            .mut_subcommands(flags)
    }
    flags(Cli::command())
}

fn takes_config_file(command: &clap::Command) -> bool {
    let mut arguments = command.get_arguments();
    arguments.any(|argument| argument.get_id() == CONFIG_FILE)
}

/// A flag without a value, which the command line can also turn off where a file turns it on: `--save_traces=false`.
fn switch(argument: Arg) -> Arg {
    argument
        .action(ArgAction::Set)
        .value_parser(clap::value_parser!(bool))
        .value_name("true|false")
        .num_args(0..=1)
        .require_equals(true)
        .default_value("false")
        .default_missing_value("true")
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// Prints the completions of a shell.
///
/// # Errors
/// The system's reason.
pub fn print_completions(shell: clap_complete::Shell) -> std::io::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "spikegrid-mpi", &mut text);
    print(&text)
}

/// Writes the man pages into a folder.
///
/// # Errors
/// The system's reason.
pub fn write_man_pages(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command(), folder)
}

/// Reads the command line alone, on every rank.
///
/// # Errors
/// What clap says of it, `--help` and `--version` included.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let of_a_run = command();
    let arguments = with_values_joined(arguments, &of_a_run);
    Cli::from_arg_matches(&of_a_run.try_get_matches_from(arguments)?)
}

/// Lets `--activity f16` be `--activity=f16`, and `--nwb false` be `--nwb=false`: clap takes a value that may be left out after `=` alone,
/// because a command could follow.
fn with_values_joined(
    arguments: impl IntoIterator<Item = OsString>,
    of_a_run: &clap::Command,
) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut definition = of_a_run;
    for argument in arguments {
        let text = argument.to_str().unwrap_or_default();
        let named = of_a_run.find_subcommand(text);
        let is_value = named.is_none() && !text.starts_with('-');
        match joined.last_mut() {
            Some(flag) if is_value && may_have_value(flag, definition) => {
                flag.push("=");
                flag.push(argument);
                continue;
            }
            _ => {}
        }
        // The command's name comes first.
        if joined.len() == 1 {
            definition = named.unwrap_or(of_a_run);
        }
        joined.push(argument);
    }
    joined
}

/// Whether a value may follow this argument after `=`, and may be left out.
fn may_have_value(argument: &OsString, definition: &clap::Command) -> bool {
    let name = argument.to_str().and_then(|text| text.strip_prefix("--"));
    let name = name.map(|name| name.replace('-', "_"));
    let mut flags = definition.get_arguments();
    name.is_some()
        && flags.any(|flag| flag.is_require_equals_set() && flag.get_long() == name.as_deref())
}

/// Reads the command line, and the file of its flag `--config` for what the command line does not give (rule 1.6).
///
/// # Errors
/// A file that cannot be read, a key that is no flag, a value that the flag refuses.
pub fn parse_with_file(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Cli, ConfigFileError> {
    let of_a_run = command();
    let mut arguments = with_values_joined(arguments, &of_a_run);
    let matches = of_a_run.clone().try_get_matches_from(&arguments)?;
    // Flags of a run and commands exclude each other: the command's name comes first.
    let (definition, given, place) = match matches.subcommand() {
        Some((name, given)) => (of_a_run.find_subcommand(name), given, 2),
        None => (Some(&of_a_run), &matches, 1),
    };
    let definition = definition.filter(|command| takes_config_file(command));
    let path = definition.and_then(|_| given.get_one::<PathBuf>(CONFIG_FILE));
    let (Some(definition), Some(path)) = (definition, path) else {
        return Ok(Cli::from_arg_matches(&matches)?);
    };
    let file = ConfigFile::read(path)?;
    let more = file.arguments(definition, &of_a_run, given)?;
    arguments.splice(place..place, more.into_iter().map(OsString::from));
    parse(arguments).map_err(|error| file.refused(&error))
}

/// Prints the flags of a run as TOML for `--config` (rule 1.6).
///
/// # Errors
/// The first flag whose value makes no sense, or the system's reason.
pub fn print_config(flags: &RunArgs) -> Result<(), Box<dyn Error>> {
    Ok(print(as_toml(flags, &command())?.as_bytes())?)
}

/// Prints to a reader that may leave early.
fn print(text: &[u8]) -> std::io::Result<()> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use spikegrid_core::activity::Precision;
    use spikegrid_core::baseline::Baseline;
    use spikegrid_core::cascade::Threshold;

    use super::*;
    use crate::settings::flags::BaselineChoice;
    use crate::settings::size::MemorySize;

    fn cli(arguments: &[&str]) -> Result<Cli, clap::Error> {
        parse(
            ["spikegrid-mpi"]
                .iter()
                .chain(arguments)
                .map(OsString::from),
        )
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn rule_1_1_dashes_and_underscores_are_the_same() {
        for flags in [
            ["--input_dir", "--cascade_model"],
            ["--input-dir", "--cascade-model"],
        ] {
            let cli = cli(&[flags[0], "in", flags[1], "model"]).unwrap();
            assert_eq!(cli.run.input_dir, PathBuf::from("in"));
            assert_eq!(cli.run.cascade_model, "model");
        }
    }

    #[test]
    fn rule_1_2_the_numbers_of_activity_may_follow_with_or_without_an_equals_sign() {
        let of = |flags: &[&str]| cli(flags).unwrap().run.activity;
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["--activity", "off"]), None);
        assert_eq!(of(&["--activity"]), Some(Precision::F32));
        assert_eq!(of(&["--activity", "--overwrite"]), Some(Precision::F32));
        for flags in [&["--activity=f16"][..], &["--activity", "f16"]] {
            assert_eq!(of(flags), Some(Precision::F16));
        }
        let error = cli(&["--activity", "f64"]).unwrap_err().to_string();
        assert!(error.contains("invalid value 'f64'"), "{error}");
        assert!(cli(&["f16"]).is_err());
    }

    #[test]
    fn rule_1_3_a_flag_without_a_value_takes_true_and_false_with_or_without_an_equals_sign() {
        let nwb = |flags: &[&str]| cli(flags).unwrap().run.nwb;
        for flags in [&["--nwb"][..], &["--nwb=true"], &["--nwb", "true"]] {
            assert!(nwb(flags), "{flags:?}");
        }
        for flags in [&["--nwb=false"][..], &["--nwb", "false"]] {
            assert!(!nwb(flags), "{flags:?}");
        }
        let run = cli(&["--nwb", "--save-traces", "false", "--overwrite"]);
        let run = run.unwrap().run;
        assert!(run.nwb && !run.save_traces && run.overwrite);
        let message = |flags: &[&str]| cli(flags).unwrap_err().to_string();
        let error = message(&["--nwb", "off"]);
        assert!(
            error.contains("invalid value 'off'") && error.contains("true, false"),
            "{error}"
        );
        let error = message(&["doctor", "--json", "maybe"]);
        assert!(error.contains("invalid value 'maybe'"), "{error}");
        assert!(cli(&["doctor", "--json", "false"]).is_ok());
        assert!(!message(&["--nwb", "doctor"]).contains("invalid value"));
    }

    #[test]
    fn rule_1_2_defaults_are_the_references() {
        let run = cli(&[]).unwrap().run;
        assert_eq!(run.input_dir, PathBuf::from("raw_trace_data_2018"));
        assert_eq!(run.output_dir, PathBuf::from("processed_spike_grids_2018"));
        assert_eq!(
            (run.num_neurons, run.batch_size, run.workers, run.seed),
            (10, 30_000, 1, 42)
        );
        assert_eq!(run.split_ratio, 0.95);
        assert_eq!(run.cascade_model, "Global_EXC_2Hz_smoothing500ms");
        assert_eq!(
            cli(&["--skip", "a,b", "--skip", "c"]).unwrap().run.skip,
            ["a,b", "c"]
        );
        let doctor = cli(&["doctor", "--only", "a,b"]).unwrap().command;
        assert!(format!("{doctor:?}").contains("only: [\"a,b\"]"));
    }

    #[test]
    fn rule_1_2_seed_is_32_bits() {
        assert_eq!(cli(&["--seed", "4294967295"]).unwrap().run.seed, u32::MAX);
        assert!(cli(&["--seed", "4294967296"]).is_err());
        assert!(cli(&["--seed", "-1"]).is_err());
    }

    #[test]
    fn rule_1_3_new_flags() {
        let run = cli(&[
            "--shift_frames",
            "-2",
            "--baseline",
            "subtract",
            "--threshold",
            "off",
            "--memory_limit",
            "2GiB",
        ])
        .unwrap()
        .run;
        assert_eq!(run.shift_frames, -2);
        let subtract = BaselineChoice::Given(Baseline::Subtract);
        assert_eq!(run.data.baseline, subtract);
        assert_eq!(run.threshold, Threshold::Off);
        assert_eq!(run.memory_limit, MemorySize(2 << 30));
    }

    #[test]
    fn help_shows_the_references_spelling() {
        let help = command().render_long_help().to_string();
        assert!(
            help.contains("--input_dir") && !help.contains("--input-dir"),
            "{help}"
        );
    }

    #[test]
    fn memory_sizes() {
        for (text, bytes) in [
            ("1GiB", 1 << 30),
            ("1.5 KiB", 1536),
            ("800mb", 800_000_000),
            ("17", 17),
        ] {
            assert_eq!(text.parse::<MemorySize>().unwrap().0, bytes, "{text}");
        }
        for text in ["", "GiB", "-1", "1 parsec", "0", "1e400", "nan"] {
            assert!(text.parse::<MemorySize>().is_err(), "{text}");
        }
        assert_eq!(MemorySize(1 << 30).to_string(), "1 GiB");
    }
}
