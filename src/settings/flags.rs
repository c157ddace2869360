//! The flags of a run (rules 1.2 and 1.3).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use signal_hook::consts;
use spikegrid_core::activity::Precision;
use spikegrid_core::baseline::Baseline;
use spikegrid_core::cascade::Threshold;
use spikegrid_core::grid::PlaneRule;
use spikegrid_core::slab::Compression;
use spikegrid_files::input::{Cells, Request};

use super::DEFAULT_MODEL;
use super::array::ArrayFlag;
use super::size::MemorySize;

/// What to process and how.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct RunArgs {
    /// Folder with the subjects: folders `subject_*` with a recording each, NWB files, or Zarr or suite2p folders
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
    /// Process these subjects only, by folder name; a name that has a comma needs an --only of its own
    #[arg(long, value_name = "A,B", help_heading = "Input and output")]
    pub only: Vec<String>,
    /// Leave these subjects out, by folder name; a name that has a comma needs a --skip of its own
    #[arg(long, value_name = "A,B", help_heading = "Input and output")]
    pub skip: Vec<String>,
    /// This is one task of a job array and takes its share of the subjects: auto (Slurm says which task), or I/N
    #[arg(long, value_name = "auto|I/N", help_heading = "Input and output")]
    #[serde(skip)]
    pub array: Option<ArrayFlag>,
    /// Also write traces.h5: ΔF/F, spike rates, spikes, noise levels and positions of every neuron
    #[arg(long, help_heading = "Input and output")]
    pub save_traces: bool,
    /// Also write activity.h5: the spike rates of all neurons frame by frame, (T, N), and their positions [possible values: f32, f16,
    /// off]
    #[arg(
        long,
        value_name = "NUMBERS",
        num_args = 0..=1,
        require_equals = true,
        default_value = "off",
        default_missing_value = "f32",
        value_parser = activities(),
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = "Input and output"
    )]
    #[serde(default)]
    // By its full name: to clap, `off` is a value like others.
    pub activity: std::option::Option<Precision>,
    /// Also write SUBJECT.nwb: ΔF/F, spike rates in Hz and positions of every neuron for pynwb, pynapple and archives
    #[arg(long, help_heading = "Input and output")]
    #[serde(default)]
    pub nwb: bool,
    /// How the grids are stored; both hold the same values
    #[arg(
        long,
        value_parser = compressions(),
        value_name = "KIND",
        default_value_t = Compression::Gzip,
        help_heading = "Input and output"
    )]
    pub compression: Compression,
    /// Write again what is there already, also if it was made with other settings
    #[arg(long, help_heading = "Input and output")]
    pub overwrite: bool,
    /// Neurons plotted in the PDF, chosen by the seed
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10,
        help_heading = "Input and output"
    )]
    pub num_neurons: usize,

    #[command(flatten)]
    pub data: DataArgs,

    /// CASCADE model: the name of a folder in the model folder, or auto, which takes for each subject the Global_EXC model of its
    /// sampling rate
    #[arg(
        long,
        value_name = "NAME",
        default_value = DEFAULT_MODEL,
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
    #[arg(long, value_parser = thresholds(), value_name = "KIND", default_value_t = Threshold::One, help_heading = "Computation")]
    pub threshold: Threshold,
    /// Move the spike rates this many frames later (1 puts the CASCADE authors' models in step with the recording)
    #[arg(
        long,
        value_name = "FRAMES",
        default_value_t = 0,
        help_heading = "Computation"
    )]
    pub shift_frames: i64,
    /// Seed of spikes, split and plotted neurons, 0 to 4294967295
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

/// The name of [`ConfigFlag`]'s flag within the program: the command `train` has another `--config`.
pub(crate) const CONFIG_FILE: &str = "config_file";

/// Where flags that are not given get their values from (rule 1.6).
#[derive(Debug, Clone, Args)]
pub struct ConfigFlag {
    /// Settings from a file: TOML as --print_config prints it, or the output folder, report.json or grids file of a finished run
    #[arg(
        long = "config",
        value_name = "FILE",
        help_heading = "Configuration file"
    )]
    pub config_file: Option<PathBuf>,
}

/// What the recordings hold, where they do not say it themselves.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Recordings")]
pub struct DataArgs {
    /// Dataset, series or array that holds the fluorescence [default: the form's own, such as CellResp of TimeSeries.h5]
    #[arg(long, value_name = "NAME")]
    pub calcium_dataset: Option<String>,
    /// File or folder within each subject's folder that holds the recording, where there are several
    #[arg(long, value_name = "PATH")]
    pub source: Option<PathBuf>,
    /// Regions of interest that count as neurons, where a recording classifies them (suite2p's iscell)
    #[arg(long, value_parser = cells(), value_name = "WHICH", default_value_t = Cells::Iscell)]
    pub cells: Cells,
    /// Neuropil is multiplied by this and subtracted; 0 for none [default: what suite2p's settings say, else 0.7]
    #[arg(long, value_name = "C")]
    pub neuropil_coefficient: Option<f64>,
    /// Sampling rate of the recording in Hz [default: what the recording says, else the model's]
    #[arg(long, value_name = "HZ")]
    pub sampling_rate: Option<f64>,
    /// What the network gets: ΔF/F of raw fluorescence, F - F0, or the input as it is
    #[arg(long, value_parser = baselines(), value_name = "KIND", default_value_t = BaselineChoice::Auto)]
    pub baseline: BaselineChoice,
    /// Multiply every sample by this; 0.01 for ΔF/F in per cent
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub scale: f64,
    /// Samples of this value, as it is in the file, are missing (NaN, infinite samples and blank frames always are)
    #[arg(long, value_name = "VALUE")]
    pub missing: Option<f64>,
    /// Interpolate ΔF/F over runs of missing frames of at most this length, in seconds
    #[arg(long, value_name = "SEC", default_value_t = 0.0)]
    pub bridge_gaps: f64,
    /// Cut the range of z into so many z-planes of equal height [default: a z-plane for each value of z]
    #[arg(long, value_name = "N", conflicts_with = "plane_step")]
    pub planes: Option<usize>,
    /// Cut the range of z into z-planes of this height, in the unit of the positions; the distance of suite2p's imaging planes
    #[arg(long, value_name = "UNITS")]
    pub plane_step: Option<f64>,
}

impl RunArgs {
    /// Whether a file is written for which ΔF/F and rates of all neurons are needed.
    pub fn fills_unit_by_unit(&self) -> bool {
        self.save_traces || self.activity.is_some() || self.nwb
    }

    /// Bytes of a neuron-frame in the files beside the grids, about.
    pub fn bytes_beside_grids(&self) -> f64 {
        let traces = if self.save_traces { 9.0 } else { 0.0 };
        let activity = match self.activity {
            None => 0.0,
            Some(Precision::F32) => 2.0,
            Some(Precision::F16) => 1.2,
        };
        let nwb = if self.nwb { 8.0 } else { 0.0 };
        traces + activity + nwb
    }
}

impl DataArgs {
    /// What these flags say about how recordings lie.
    pub fn request(&self) -> Request {
        Request {
            dataset: self.calcium_dataset.clone(),
            source: self.source.clone(),
            cells: self.cells,
            neuropil_coefficient: self.neuropil_coefficient,
            plane_step: self.plane_step,
        }
    }

    /// How z-planes are made (rules 7.1 and 7.4).
    pub fn plane_rule(&self) -> PlaneRule {
        match (self.planes, self.plane_step) {
            (Some(planes), _) => PlaneRule::Count(planes),
            (None, Some(step)) => PlaneRule::Step(step),
            (None, None) => PlaneRule::Levels,
        }
    }

    /// The value of missing samples, as samples are read.
    pub fn missing_sample(&self) -> Option<f32> {
        self.missing.map(|value| value as f32)
    }
}

/// Who chooses the kind of baseline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BaselineChoice {
    /// The program, by what the recording holds (rule 3.5).
    #[default]
    Auto,
    /// The user.
    Given(Baseline),
}

impl BaselineChoice {
    const ALL: [Self; 4] = [
        Self::Auto,
        Self::Given(Baseline::Dff),
        Self::Given(Baseline::Subtract),
        Self::Given(Baseline::None),
    ];

    /// The kind that the user chose.
    pub const fn given(self) -> Option<Baseline> {
        match self {
            Self::Auto => None,
            Self::Given(baseline) => Some(baseline),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Given(baseline) => baseline.name(),
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

impl fmt::Display for BaselineChoice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for BaselineChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for BaselineChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::of_name(&name).ok_or_else(|| D::Error::custom("no kind of baseline"))
    }
}

/// What ends a job of several ranks before its time.
#[derive(Debug, Clone, Copy, Default, Args, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "UPPER")]
#[serde(rename_all = "UPPERCASE")]
pub enum StopSignal {
    #[default]
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

fn cells() -> impl TypedValueParser<Value = Cells> {
    kinds(Cells::ALL, Cells::name, |cells| match cells {
        Cells::Iscell => "Those that the recording calls cells",
        Cells::All => "All",
    })
}

fn activities() -> impl TypedValueParser<Value = Option<Precision>> {
    kinds(
        [None, Some(Precision::F32), Some(Precision::F16)],
        |activity| activity.map_or("off", Precision::name),
        |activity| match activity {
            None => "No such file, where --config asks for one",
            Some(Precision::F32) => "Single precision",
            Some(Precision::F16) => "Half precision: rates to 1 in 2,000",
        },
    )
}

fn baselines() -> impl TypedValueParser<Value = BaselineChoice> {
    let meaning = |choice| match choice {
        BaselineChoice::Auto => {
            "dff for raw fluorescence, subtract for ΔF/F; recordings that are neither fail, and the message says why"
        }
        BaselineChoice::Given(Baseline::Dff) => {
            "(F - F0) / F0, for raw fluorescence; frames with F0 <= 0 have none"
        }
        BaselineChoice::Given(Baseline::Subtract) => {
            "F - F0, for ΔF/F whose baseline is not at 0; what the reference script's code does"
        }
        BaselineChoice::Given(Baseline::None) => {
            "the input as it is, for ΔF/F with its baseline at 0"
        }
    };
    kinds(BaselineChoice::ALL, BaselineChoice::name, meaning)
}

fn thresholds() -> impl TypedValueParser<Value = Threshold> {
    kinds(
        Threshold::ALL,
        Threshold::name,
        |threshold| match threshold {
            Threshold::One => {
                "Rates count only near frames where one spike's smoothed peak is exceeded by more than 1/e"
            }
            Threshold::Zero => "Negative rates become 0",
            Threshold::Off => "Rates as the network returns them",
        },
    )
}

fn compressions() -> impl TypedValueParser<Value = Compression> {
    kinds(Compression::ALL, Compression::name, |kind| match kind {
        Compression::Gzip => {
            "Each plane compressed, to about a fortieth; readers inflate it, which h5py does by itself"
        }
        Compression::None => {
            "For training from fast disks, which then reads planes several times faster; 32 KiB for each plane of each frame, set aside \
             on the disk before the subject is computed"
        }
    })
}

/// Takes one of these by its name; `--help` shows what each means.
fn kinds<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
    meaning: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let values = all.map(|kind| PossibleValue::new(name(kind)).help(meaning(kind)));
    PossibleValuesParser::new(values).try_map(move |given| {
        let found = all.into_iter().find(|&kind| name(kind) == given);
        found.ok_or("none of the possible values")
    })
}
