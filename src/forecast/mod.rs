//! The command `plan`: a forecast of how long a job takes on how many ranks, without running the job.
//!
//! - `costs`: what each piece of work costs, from the report of an earlier run or from a short run here and now
//! - `job`: the recordings, cut into work as a run cuts them, and the forecast for a number of ranks
//! - `simulation`: the scheduler of real runs, driven by ranks that only count seconds

mod costs;
mod error;
mod job;
mod simulation;

use std::path::PathBuf;

use spikegrid_core::wording::counted;
use spikegrid_files::input;

use crate::run::report::engineering;
use crate::run::setup::select;
use crate::settings::Config;
use crate::settings::flags::{ConfigFlag, RunArgs};
use crate::settings::size::MemorySize;
use costs::Costs;
use error::PlanError;
use job::{Job, Recording, Recordings};

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
    /// Plan for ranks with a GPU each that computes so many neuron-frames per second, such as 100e6 [default: as in the run of
    /// --from_run]
    #[arg(long, value_name = "NEURON-FRAMES/S")]
    pub gpu: Option<f64>,
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
    #[command(flatten)]
    pub config: ConfigFlag,
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
    if let Some(gpu) = arguments.gpu.filter(|rate| rate.is_nan() || *rate <= 0.0) {
        return Err(PlanError::Flag {
            flag: "gpu",
            expected: "a positive number of neuron-frames per second",
            found: gpu.to_string(),
        });
    }
    let here = std::thread::available_parallelism().map_or(1, usize::from);
    let cores_per_node = positive("cores_per_node", arguments.cores_per_node)?.unwrap_or(here);
    let most_nodes = positive("nodes", arguments.nodes)?.unwrap_or(usize::MAX);
    let mut costs = match &arguments.from_run {
        Some(path) => Costs::read_from(path)?,
        None => Costs::measure(&arguments.run)?,
    };
    costs.gpu = arguments.gpu.map(|rate| 1.0 / rate).or(costs.gpu);
    let config = Config::resolve(arguments.run)?;
    let recordings = match arguments.recordings {
        Some(recordings) => (0..recordings.count).map(|_| recordings.into()).collect(),
        None => {
            let mut subjects = select(
                input::subjects(&config.input_dir)?,
                &config.only,
                &config.skip,
                &config.input_dir,
            )?;
            if let Some(task) = &config.array {
                subjects = task.share(subjects);
            }
            let open = |subject| Recording::open(subject, &config.data);
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
        "{}, {} neuron-frames; {} to read, {} to write",
        counted(job.recordings.len(), "subject"),
        engineering(sum(&Recording::neuron_frames)),
        bytes(sum(&|recording| recording.bytes)),
        bytes(sum(&|recording| recording.output_bytes(costs, job.config))),
    );
    let computes = match costs.gpu {
        Some(gpu) => format!(
            "a rank with its GPU: {} neuron-frames/s; a compute thread:",
            engineering(1.0 / gpu)
        ),
        None => format!(
            "a compute thread: {} neuron-frames/s,",
            engineering(1.0 / costs.compute)
        ),
    };
    say!(
        "{computes} {} planes/s; a rank reads {} neuron-frames/s and writes {} planes/s; a writer notes {} planes/s",
        engineering(1.0 / costs.rasterise),
        engineering(1.0 / costs.read),
        engineering(1.0 / costs.write),
        engineering(1.0 / costs.index)
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
