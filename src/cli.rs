//! The command line (rules 1.1 to 1.3).

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use signal_hook::consts;

use crate::array::ArrayFlag;
use crate::baseline::Baseline;
use crate::cascade::Threshold;
use crate::demo::DemoOptions;
use crate::models::ModelsCommand;
use crate::plan::PlanArgs;
use crate::training::evaluate::EvaluateArgs;
use crate::training::run::TrainArgs;

/// From raw calcium traces to training-ready spike grids: ΔF/F, CASCADE spike inference and rasterising over MPI ranks.
///
/// Every folder `subject_*` of the input folder that holds `TimeSeries.h5` and `data_full.mat` becomes a folder of the
/// output folder with `preaugmented_grids.h5`, `metadata.h5` and a PDF to look at. Run it again after an interruption:
/// complete subjects are skipped.
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
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
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
    Completions { shell: clap_complete::Shell },
    /// Write the man pages, one for each command
    #[command(hide = true)]
    Man {
        /// Folder to write into
        output: PathBuf,
    },
    /// Read the HDF5 files that stdin names, for a run that wants to know whether the library survives them
    #[command(hide = true)]
    Probe,
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

/// What to process and how.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Folder with the subjects, each a folder `subject_*` with TimeSeries.h5 and data_full.mat
    #[arg(
        long,
        value_name = "DIR",
        default_value = "raw_trace_data_2018",
        help_heading = "Input and output"
    )]
    pub input_dir: PathBuf,
    /// Folder to write to; made if it is not there
    #[arg(
        long,
        value_name = "DIR",
        default_value = "processed_spike_grids_2018",
        help_heading = "Input and output"
    )]
    pub output_dir: PathBuf,
    /// Process these subjects only, by folder name
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        help_heading = "Input and output"
    )]
    pub only: Vec<String>,
    /// Leave these subjects out, by folder name
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        help_heading = "Input and output"
    )]
    pub skip: Vec<String>,
    /// This is one task of a job array and takes its share of the subjects: auto (Slurm says which task), or I/N
    #[arg(long, value_name = "auto|I/N", help_heading = "Input and output")]
    pub array: Option<ArrayFlag>,
    /// Dataset of TimeSeries.h5 that holds the fluorescence, (frames, neurons)
    #[arg(
        long,
        value_name = "NAME",
        default_value = "CellResp",
        help_heading = "Input and output"
    )]
    pub calcium_dataset: String,
    /// Also write traces.h5: ΔF/F, spike rates, spikes, noise levels and positions of every neuron
    #[arg(long, help_heading = "Input and output")]
    pub save_traces: bool,
    /// Write again what is there already, also if it was made with other settings
    #[arg(long, help_heading = "Input and output")]
    pub overwrite: bool,
    /// Neurons drawn in the PDF, chosen by the seed
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10,
        help_heading = "Input and output"
    )]
    pub num_neurons: usize,

    /// CASCADE model: the name of a folder in the model folder
    #[arg(
        long,
        value_name = "NAME",
        default_value = "Global_EXC_2Hz_smoothing500ms",
        help_heading = "Computation"
    )]
    pub cascade_model: String,
    /// Folder of model folders [default: ./models, models beside the program, or PREFIX/share/spikegrid-mpi/models]
    #[arg(
        long,
        value_name = "DIR",
        env = "SPIKEGRID_MODEL_DIR",
        help_heading = "Computation"
    )]
    pub model_dir: Option<PathBuf>,
    /// Sampling rate of the recording in Hz [default: the model's]
    #[arg(long, value_name = "HZ", help_heading = "Computation")]
    pub sampling_rate: Option<f64>,
    /// What ΔF/F means here: (F - F0) / F0, F - F0, or the input as it is
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Baseline::Dff, help_heading = "Computation")]
    pub baseline: Baseline,
    /// Length of the sliding window of the baseline F0, in seconds
    #[arg(
        long,
        value_name = "SEC",
        default_value_t = 30.0,
        help_heading = "Computation"
    )]
    pub window_sec: f64,
    /// Percentile of the window that is the baseline F0, 0 to 100
    #[arg(
        long,
        value_name = "P",
        default_value_t = 8.0,
        help_heading = "Computation"
    )]
    pub percentile: f64,
    /// Spike rates below the size of one spike: 1 sets them to 0, 0 only negative ones, off none
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Threshold::One, help_heading = "Computation")]
    pub threshold: Threshold,
    /// Move the spike rates this many frames later (1 puts the CASCADE authors' models in step with the recording)
    #[arg(
        long,
        value_name = "FRAMES",
        default_value_t = 0,
        help_heading = "Computation"
    )]
    pub shift_frames: i64,
    /// Seed of spikes, split and drawn neurons, 0 to 4294967295
    #[arg(long, default_value_t = 42, help_heading = "Computation")]
    pub seed: u32,
    /// Share of the 330-frame blocks that train, 0 to 1; the others test
    #[arg(
        long,
        value_name = "RATIO",
        default_value_t = 0.95,
        help_heading = "Computation"
    )]
    pub split_ratio: f64,

    /// Compute threads per rank
    #[arg(
        long,
        value_name = "THREADS",
        default_value_t = 1,
        help_heading = "Resources"
    )]
    pub workers: usize,
    /// Most neurons in one work unit
    #[arg(
        long,
        value_name = "NEURONS",
        default_value_t = 30_000,
        help_heading = "Resources"
    )]
    pub batch_size: usize,
    /// Where the network is evaluated; the ranks of a node share its GPUs
    #[arg(long, value_enum, default_value_t = Device::Auto, help_heading = "Resources")]
    pub device: Device,
    /// Memory that a rank may use, such as 800MiB or 2GiB
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1GiB",
        help_heading = "Resources"
    )]
    pub memory_limit: MemorySize,
    #[command(flatten)]
    pub interruption: Interruption,
}

/// What ends a job of several ranks before its time.
#[derive(Debug, Clone, Copy, Args)]
pub struct Interruption {
    /// Seconds of silence after which the host of a rank counts as lost, which ends the job
    #[arg(
        long,
        value_name = "SEC",
        default_value_t = 120,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Interruption"
    )]
    pub peer_timeout: u32,
    /// Another signal by which a queue asks the program to end, beside TERM, INT and USR1
    #[arg(long, value_enum, value_name = "SIGNAL", default_value_t = StopSignal::Usr1, help_heading = "Interruption")]
    pub preemption_signal: StopSignal,
}

/// A signal that can ask for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum StopSignal {
    Usr1,
    Usr2,
    Hup,
    Quit,
    Xcpu,
}

impl Interruption {
    pub fn peer_timeout(self) -> Duration {
        Duration::from_secs(self.peer_timeout.into())
    }
}

impl StopSignal {
    pub fn number(self) -> i32 {
        match self {
            Self::Usr1 => consts::SIGUSR1,
            Self::Usr2 => consts::SIGUSR2,
            Self::Hup => consts::SIGHUP,
            Self::Quit => consts::SIGQUIT,
            Self::Xcpu => consts::SIGXCPU,
        }
    }
}

/// Where the network is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// A GPU if there is one that this build can use, else the CPU
    Auto,
    /// The CPU
    Cpu,
    /// A GPU, or an error
    Cuda,
}

/// A number of bytes, written with or without a unit: `1GiB`, `800 MB`, `1073741824`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySize(pub u64);

impl std::str::FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let unit: f64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kib" => 1024.0,
            "m" | "mib" => 1024.0 * 1024.0,
            "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
            "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            other => {
                return Err(format!(
                    "the unit \"{other}\" is none of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"
                ));
            }
        };
        let number: f64 = text[..digits]
            .parse()
            .map_err(|_| "expected a size such as 800MiB or 2GiB".to_string())?;
        let bytes = number * unit;
        if !(bytes >= 1.0 && bytes < u64::MAX as f64) {
            return Err("expected a size such as 800MiB or 2GiB".to_string());
        }
        Ok(Self(bytes as u64))
    }
}

impl std::fmt::Display for MemorySize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut value = self.0 as f64;
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024.0 {
                return write!(f, "{} {unit}", (value * 10.0).round() / 10.0);
            }
            value /= 1024.0;
        }
        write!(f, "{} TiB", (value * 10.0).round() / 10.0)
    }
}

/// The definition of the command line, in which `--input-dir` and `--input_dir` are the same flag, for every flag.
pub fn command() -> clap::Command {
    fn flags(command: clap::Command) -> clap::Command {
        command
            .mut_args(|argument| {
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

/// Prints the completions of a shell.
///
/// # Errors
/// The system's reason.
pub fn print_completions(shell: clap_complete::Shell) -> std::io::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "spikegrid-mpi", &mut text);
    match std::io::stdout().write_all(&text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Writes the man pages into a folder.
///
/// # Errors
/// The system's reason.
pub fn write_man_pages(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command(), folder)
}

/// Reads the command line.
///
/// # Errors
/// What clap says of it, `--help` and `--version` included.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().try_get_matches_from(arguments)?)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            cli(&["--skip", "subject_1,subject_2"]).unwrap().run.skip,
            ["subject_1", "subject_2"]
        );
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
        assert_eq!(run.baseline, Baseline::Subtract);
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
