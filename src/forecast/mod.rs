//! `spikegrid-mpi plan`: how long a job will take on how many ranks, without running it.
//!
//! What each piece of work costs comes from the report of an earlier run, or from a run on a few made-up neurons here and now.
//! The [simulation] then goes through the job with the scheduler of real runs.

pub mod simulation;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use serde::Deserialize;
use spikegrid_core::grid::Layout;
use spikegrid_core::slab::Slabs;
use spikegrid_core::spikes::row_bytes;
use spikegrid_files::crash_trial::{self, CrashingFile};
use spikegrid_files::input::{self, InputError, Storage};
use thiserror::Error;

use crate::demo::{self, DemoError, DemoOptions};
use crate::run::budget::{Budget, Cut};
use crate::run::report::{StageSeconds, engineering};
use crate::run::schedule::largest_first;
use crate::run::setup::select;
use crate::run::subject_plan::{SubjectPlan, unit_neurons};
use crate::settings::flags::RunArgs;
use crate::settings::size::MemorySize;
use crate::settings::{Config, ConfigError};
use simulation::Load;

/// Bytes of a plane without spikes in the file: its compressed zeros and marker, and its place in the index.
const EMPTY_PLANE_BYTES: f64 = 165.0;
/// A rank before its first subject.
const RANK_BYTES: u64 = 60 << 20;
/// A network of CASCADE's on one compute thread.
const NETWORK_BYTES: u64 = 1 << 19;
/// The run by which costs are measured here.
const TRIAL: (usize, usize) = (600, 1500);
const TRIAL_SUBJECT: &str = "subject_1";

/// What to forecast.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// Numbers of ranks to plan for
    #[arg(long, value_name = "A,B", value_delimiter = ',', default_values_t = [1, 16, 64, 256, 1024])]
    pub ranks: Vec<usize>,
    /// What work costs, from the report.json of a run that had its cores for itself [default: measured here, in some seconds]
    #[arg(long, value_name = "FILE")]
    pub from_run: Option<PathBuf>,
    /// Plan for this many recordings of this size in place of those in the input folder
    #[arg(long, value_name = "COUNTxNEURONSxFRAMESxPLANES")]
    pub recordings: Option<Recordings>,
    /// GB per second that the file system gives to one rank [default: as measured]
    #[arg(long, value_name = "GB/S")]
    pub bandwidth: Option<f64>,
    /// Cores of a node [default: those of this machine]
    #[arg(long, value_name = "CORES")]
    pub cores_per_node: Option<usize>,
    /// Most nodes there are: more compute threads than cores take turns [default: as many as the ranks need]
    #[arg(long, value_name = "NODES")]
    pub nodes: Option<usize>,
    /// The flags of the run to forecast.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Recordings that are not there yet: `18x80000x8000x29`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recordings {
    count: usize,
    neurons: usize,
    frames: usize,
    planes: usize,
}

impl FromStr for Recordings {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Option<Vec<usize>> = text
            .split('x')
            .map(|number| {
                number
                    .parse()
                    .ok()
                    .filter(|number| (1..1 << 31).contains(number))
            })
            .collect();
        match numbers.as_deref() {
            Some(&[count, neurons, frames, planes]) if count <= 1_000_000 => Ok(Self {
                count,
                neurons,
                frames,
                planes,
            }),
            _ => Err(
                "expected four whole numbers such as 18x80000x8000x29: recordings, neurons, frames, z-planes",
            ),
        }
    }
}

/// Why there is no forecast.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Flags that make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A recording that cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file that the HDF5 library does not survive.
    #[error(transparent)]
    CrashingFile(#[from] CrashingFile),
    /// A flag of this command whose value makes no sense.
    #[error("--{flag}: expected {expected}, found {found}")]
    Flag {
        /// Its name without dashes.
        flag: &'static str,
        /// Values that make sense.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// A report of an earlier run that does not tell what work costs.
    #[error(
        "{path}: {reason}; expected the report.json of a run in which a subject was processed from its beginning"
    )]
    Report {
        /// The report.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The run that measures costs failed.
    #[error(
        "costs cannot be measured here: {reason}; give the report of an earlier run with --from_run"
    )]
    Trial {
        /// Why it failed.
        reason: String,
    },
}

/// What a report says that a plan needs.
#[derive(Deserialize)]
struct RunReport {
    subjects: Vec<Processed>,
}

#[derive(Deserialize)]
struct Processed {
    neurons: usize,
    frames: usize,
    z_planes: usize,
    spikes: u64,
    output_bytes: u64,
    work_units_from_journal: usize,
    files_written: Vec<String>,
    stage_sec: StageSeconds,
}

/// What pieces of work cost, in seconds and bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Costs {
    /// Of a neuron-frame, on a compute thread.
    compute: f64,
    /// Of a neuron-frame, on reading it.
    read: f64,
    /// Of a plane, on a compute thread.
    rasterise: f64,
    /// Of a plane, by its writer.
    write: f64,
    /// Of a subject, by rank 0.
    open: f64,
    finish: f64,
    /// Spikes of a neuron-frame.
    spikes: f64,
    /// In the grids.
    bytes_per_spike: f64,
}

impl Costs {
    fn read_from(path: &Path) -> Result<Self, PlanError> {
        let fail = |reason: String| PlanError::Report {
            path: path.to_path_buf(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let report: RunReport =
            serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        let whole = |subject: &&Processed| {
            let grids = |name: &String| name == "preaugmented_grids.h5";
            subject.stage_sec.total > 0.0
                && subject.neurons * subject.frames > 0
                && subject.work_units_from_journal == 0
                && subject.files_written.iter().any(grids)
        };
        let subjects: Vec<&Processed> = report.subjects.iter().filter(whole).collect();
        if subjects.is_empty() {
            return Err(fail("no subject that was".into()));
        }
        let sum = |of: &dyn Fn(&Processed) -> f64| {
            subjects.iter().map(|subject| of(subject)).sum::<f64>()
        };
        let neuron_frames = sum(&|subject| (subject.neurons * subject.frames) as f64);
        let planes = sum(&|subject| (subject.frames * subject.z_planes) as f64);
        let spikes = sum(&|subject| subject.spikes as f64);
        // With --save_traces most bytes are not those of the grids: then a typical density stands in.
        let traces = subjects
            .iter()
            .any(|subject| subject.files_written.iter().any(|name| name == "traces.h5"));
        let beside = sum(&|subject| subject.output_bytes as f64) - EMPTY_PLANE_BYTES * planes;
        Ok(Self {
            compute: sum(&|subject| subject.stage_sec.compute) / neuron_frames,
            read: sum(&|subject| subject.stage_sec.read) / neuron_frames,
            rasterise: sum(&|subject| subject.stage_sec.rasterise) / planes,
            write: sum(&|subject| subject.stage_sec.write) / planes,
            open: sum(&|subject| subject.stage_sec.open) / subjects.len() as f64,
            finish: sum(&|subject| subject.stage_sec.finish) / subjects.len() as f64,
            spikes: spikes / neuron_frames,
            bytes_per_spike: match traces {
                true => 1.5,
                false => (beside / spikes.max(1.0)).clamp(0.5, 4.0),
            },
        })
    }

    /// Runs this program on made-up neurons, alone.
    fn measure(flags: &RunArgs) -> Result<Self, PlanError> {
        let fail = |reason: String| PlanError::Trial { reason };
        let folder =
            std::env::temp_dir().join(format!("spikegrid-mpi-plan-{}", std::process::id()));
        let measured = Self::measure_in(&folder, flags);
        let _ = std::fs::remove_dir_all(&folder);
        measured.map_err(fail)
    }

    fn measure_in(folder: &Path, flags: &RunArgs) -> Result<Self, String> {
        let (input, output) = (folder.join("input"), folder.join("output"));
        let (neurons, frames) = TRIAL;
        let options = DemoOptions {
            subjects: 1,
            neurons,
            frames,
            output: input.clone(),
            seed: 42,
            rate_hz: 2.0,
        };
        demo::write(&options, |_| ()).map_err(|error: DemoError| error.to_string())?;
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut trial = Command::new(program);
        // One rank on its own, whatever started this one.
        for (name, _) in std::env::vars_os() {
            let launcher = [
                "OMPI_",
                "PMIX_",
                "PMI_",
                "PRTE_",
                "HYDRA_",
                "MPI_LOCAL",
                "SLURM_",
            ];
            let name_text = name.to_string_lossy();
            if launcher.iter().any(|prefix| name_text.starts_with(prefix)) {
                trial.env_remove(&name);
            }
        }
        trial
            .args(["--input_dir".as_ref(), input.as_os_str()])
            .args(["--output_dir".as_ref(), output.as_os_str()])
            .args(["--cascade_model", &flags.cascade_model])
            .args(["--workers", "1", "--only", TRIAL_SUBJECT])
            .stdin(Stdio::null());
        if let Some(model_dir) = &flags.model_dir {
            trial.args(["--model_dir".as_ref(), model_dir.as_os_str()]);
        }
        let ended = trial.output().map_err(|error| error.to_string())?;
        if !ended.status.success() {
            return Err(String::from_utf8_lossy(&ended.stderr).trim().to_string());
        }
        Self::read_from(&output.join("report.json")).map_err(|error| error.to_string())
    }
}

/// A recording to plan for.
struct Recording {
    neurons: usize,
    frames: usize,
    planes: usize,
    storage: Storage,
    /// Of the files with the fluorescence.
    bytes: f64,
}

impl From<Recordings> for Recording {
    fn from(recordings: Recordings) -> Self {
        let Recordings {
            neurons,
            frames,
            planes,
            ..
        } = recordings;
        Self {
            neurons,
            frames,
            planes,
            storage: Storage::contiguous(frames, neurons),
            bytes: (neurons * frames) as f64 * 4.0,
        }
    }
}

impl Recording {
    fn open(subject: &input::Subject, dataset: &str) -> Result<Self, PlanError> {
        crash_trial::subject(subject, dataset)?;
        let found = input::open(subject, dataset)?;
        Ok(Self {
            neurons: found.neurons(),
            frames: found.frames(),
            planes: Layout::new(&found.positions.xyz).planes(),
            storage: found.storage(),
            bytes: input::fluorescence_bytes(subject) as f64,
        })
    }

    fn neuron_frames(&self) -> f64 {
        (self.neurons * self.frames) as f64
    }

    fn plan(&self, config: &Config) -> SubjectPlan {
        SubjectPlan {
            unit_neurons: unit_neurons(self.neurons, self.frames, config.batch_size),
            plotted: (0..config.num_neurons.min(self.neurons)).collect(),
            ..SubjectPlan::made_up(self.storage)
        }
    }

    /// Bytes of the files written for it.
    fn output_bytes(&self, costs: &Costs, traces: bool) -> f64 {
        let planes = (self.frames * self.planes) as f64;
        let traces = if traces { 9.0 } else { 0.0 };
        let per_neuron_frame = costs.spikes * costs.bytes_per_spike + traces;
        planes * EMPTY_PLANE_BYTES + self.neuron_frames() * per_neuron_frame
    }

    /// Bytes from rank to rank: samples to those who compute them, spikes to the writer, slabs from it, planes to it.
    fn moved_bytes(&self, costs: &Costs, ranks: usize) -> f64 {
        let away = 1.0 - 1.0 / ranks as f64;
        let spikes = (self.neurons * row_bytes(self.frames)) as f64;
        away * (4.0 * self.neuron_frames() + 2.0 * spikes + self.output_bytes(costs, false))
    }
}

/// One line of the table.
struct Forecast {
    ranks: usize,
    nodes: usize,
    seconds: f64,
    /// Of what the ranks could do at best.
    efficiency: f64,
    memory: u64,
    moved_bytes: f64,
}

/// A job and the machine it is planned for.
struct Job<'a> {
    config: &'a Config,
    recordings: &'a [Recording],
    costs: Costs,
    bytes_per_sec: f64,
    cores_per_node: usize,
    most_nodes: usize,
}

impl Job<'_> {
    /// # Errors
    /// The bytes that a rank needs, where these are more than `--memory_limit`.
    fn forecast(&self, ranks: usize) -> Result<Forecast, u64> {
        let threads = ranks * self.config.workers;
        let nodes = threads.div_ceil(self.cores_per_node).min(self.most_nodes);
        let cores = nodes * self.cores_per_node;
        let slowed = (threads as f64 / cores as f64).max(1.0);
        let mut memory = 0;
        let mut loads = Vec::new();
        for recording in self.recordings {
            let (load, bytes) = self.load(recording, ranks, slowed)?;
            loads.push(load);
            memory = memory.max(bytes);
        }
        let sizes: Vec<u64> = self
            .recordings
            .iter()
            .map(|recording| recording.bytes as u64)
            .collect();
        let order = largest_first(&sizes, ranks);
        let loads: Vec<Load> = order
            .into_iter()
            .map(|place| loads[place].clone())
            .collect();
        let busy = |of: fn(&Load) -> f64| loads.iter().map(of).sum::<f64>();
        let (computing, moving) = (busy(Load::computing), busy(Load::moving));
        let ideal = computing.max(moving) / ranks as f64;
        // The main thread of a rank needs a core as well.
        let work = (computing * self.config.workers as f64 + moving) / slowed;
        let seconds =
            simulation::makespan(&loads, ranks, self.config.workers).max(work / cores as f64);
        Ok(Forecast {
            ranks,
            nodes,
            seconds,
            efficiency: ideal / seconds,
            memory,
            moved_bytes: self
                .recordings
                .iter()
                .map(|recording| recording.moved_bytes(&self.costs, ranks))
                .sum(),
        })
    }

    fn load(&self, recording: &Recording, ranks: usize, slowed: f64) -> Result<(Load, u64), u64> {
        let Self { config, costs, .. } = self;
        let mut plan = recording.plan(config);
        let budget = Budget::new(config, ranks, RANK_BYTES, NETWORK_BYTES);
        let Cut {
            stretches, memory, ..
        } = budget.cut(&mut plan, recording.planes, config.save_traces)?;
        let pieces: usize = stretches.iter().map(|stretch| stretch.pieces).sum();
        let units = plan.units();
        let slabs = Slabs::new(recording.frames, recording.neurons, recording.planes).count();
        let (neuron_frames, planes) = (
            recording.neuron_frames(),
            (recording.frames * recording.planes) as f64,
        );
        let transfer = |bytes: f64| bytes / self.bytes_per_sec;
        let read = (neuron_frames * costs.read * slowed).max(transfer(recording.bytes));
        let written = recording.output_bytes(costs, config.save_traces);
        let write = (planes * costs.write * slowed).max(transfer(written));
        let threads = config.workers as f64 / slowed;
        let load = Load {
            units,
            stretches,
            slabs,
            open: costs.open * slowed,
            read: read / pieces as f64,
            compute: neuron_frames * costs.compute / threads / units as f64,
            rasterise: planes * costs.rasterise / threads / slabs as f64,
            write: write / slabs as f64,
            finish: costs.finish * slowed,
        };
        Ok((load, memory))
    }
}

/// Plans and prints; the exit status.
///
/// # Errors
/// Flags that make no sense, an input folder or a report that cannot be read.
pub fn run(arguments: PlanArgs) -> Result<u8, PlanError> {
    let positive = |flag, number: Option<usize>| match number {
        Some(0) => Err(PlanError::Flag {
            flag,
            expected: "at least 1",
            found: "0".into(),
        }),
        other => Ok(other),
    };
    for &ranks in &arguments.ranks {
        positive("ranks", Some(ranks))?;
    }
    let bandwidth = arguments.bandwidth.unwrap_or(f64::INFINITY);
    if bandwidth.is_nan() || bandwidth <= 0.0 {
        return Err(PlanError::Flag {
            flag: "bandwidth",
            expected: "a positive number of GB per second",
            found: bandwidth.to_string(),
        });
    }
    let here = std::thread::available_parallelism().map_or(1, usize::from);
    let cores_per_node = positive("cores_per_node", arguments.cores_per_node)?.unwrap_or(here);
    let most_nodes = positive("nodes", arguments.nodes)?.unwrap_or(usize::MAX);
    let costs = match &arguments.from_run {
        Some(path) => Costs::read_from(path)?,
        None => Costs::measure(&arguments.run)?,
    };
    let config = Config::resolve(arguments.run)?;
    let recordings = match arguments.recordings {
        Some(recordings) => (0..recordings.count).map(|_| recordings.into()).collect(),
        None => {
            let mut subjects = select(input::subjects(&config.input_dir)?, &config)?;
            if let Some(task) = &config.array {
                subjects = task.share(subjects);
            }
            let open = |subject| Recording::open(subject, &config.calcium_dataset);
            subjects.iter().map(open).collect::<Result<Vec<_>, _>>()?
        }
    };
    let job = Job {
        config: &config,
        recordings: &recordings,
        costs,
        bytes_per_sec: bandwidth * 1e9,
        cores_per_node,
        most_nodes,
    };
    print(&job, &arguments.ranks);
    Ok(0)
}

fn print(job: &Job, ranks: &[usize]) {
    let sum = |of: &dyn Fn(&Recording) -> f64| job.recordings.iter().map(of).sum::<f64>();
    let costs = &job.costs;
    say!(
        "{} subjects, {} neuron-frames; {} to read, {} to write",
        job.recordings.len(),
        engineering(sum(&Recording::neuron_frames)),
        bytes(sum(&|recording| recording.bytes)),
        bytes(sum(
            &|recording| recording.output_bytes(costs, job.config.save_traces)
        )),
    );
    say!(
        "a compute thread: {} neuron-frames/s, {} planes/s; a rank reads {} neuron-frames/s and writes {} planes/s",
        engineering(1.0 / costs.compute),
        engineering(1.0 / costs.rasterise),
        engineering(1.0 / costs.read),
        engineering(1.0 / costs.write)
    );
    say!("");
    say!(
        "{:>6} {:>6} {:>14} {:>9} {:>16} {:>22}",
        "ranks",
        "nodes",
        "time",
        "of ideal",
        "memory per rank",
        "moved between ranks"
    );
    for &ranks in ranks {
        match job.forecast(ranks) {
            Ok(forecast) => say!(
                "{:>6} {:>6} {:>14} {:>7.0} % {:>16} {:>22}",
                forecast.ranks,
                forecast.nodes,
                duration(forecast.seconds),
                100.0 * forecast.efficiency,
                MemorySize(forecast.memory).to_string(),
                bytes(forecast.moved_bytes)
            ),
            Err(needed) => say!(
                "{ranks:>6} {:>6} a subject takes {} on each rank, --memory_limit is {}",
                "",
                MemorySize(needed),
                job.config.memory_limit
            ),
        }
    }
    say!("");
    say!(
        "of ideal: the busier of computing and of reading and writing, shared by all ranks without a gap, over the time"
    );
}

fn bytes(bytes: f64) -> String {
    format!("{}B", engineering(bytes))
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As reports say on one core of 2024, opening and finishing with some room for slow file systems.
    const COSTS: Costs = Costs {
        compute: 2.5e-6,
        read: 1.2e-8,
        rasterise: 2e-5,
        write: 6e-6,
        open: 0.1,
        finish: 0.1,
        spikes: 0.1,
        bytes_per_spike: 1.3,
    };

    fn config() -> Config {
        use clap::Parser;
        let cli = crate::cli::Cli::parse_from(["spikegrid-mpi"]);
        Config::resolve(cli.run).unwrap()
    }

    #[test]
    fn eighteen_whole_brains_keep_a_thousand_ranks_busy() {
        let recordings: Recordings = "18x80000x8000x29".parse().unwrap();
        let recordings: Vec<Recording> = (0..18).map(|_| recordings.into()).collect();
        let job = Job {
            config: &config(),
            recordings: &recordings,
            costs: COSTS,
            bytes_per_sec: 1e9,
            cores_per_node: 64,
            most_nodes: usize::MAX,
        };
        for (ranks, least) in [(1, 0.99), (64, 0.95), (1024, 0.9)] {
            let forecast = job.forecast(ranks).unwrap();
            assert!(
                (least..=1.0).contains(&forecast.efficiency),
                "{} of ideal in {} s on {ranks} ranks",
                forecast.efficiency,
                forecast.seconds
            );
            assert!(forecast.memory <= 1 << 30);
            assert_eq!(forecast.nodes, ranks.div_ceil(64));
        }
    }

    #[test]
    fn recordings_are_four_numbers() {
        assert!("18x80000x8000x29".parse::<Recordings>().is_ok());
        for text in [
            "",
            "18",
            "0x1x1x1",
            "1x2x3",
            "1x2x3x4x5",
            "1x2x3x-4",
            "axbxcxd",
        ] {
            assert!(text.parse::<Recordings>().is_err(), "{text}");
        }
    }
}
