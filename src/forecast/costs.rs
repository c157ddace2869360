//! What pieces of work cost.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use spikegrid_core::slab::Compression;

use super::error::PlanError;
use crate::demo::{self, DemoError, DemoOptions};
use crate::run::report::StageSeconds;
use crate::settings::AUTO_MODEL;
use crate::settings::flags::RunArgs;
use crate::settings::model_search::find_general_models;

/// Bytes of a plane without spikes in the file: its compressed zeros and marker, and its place in the index.
pub(super) const EMPTY_PLANE_BYTES: f64 = 165.0;
/// Neurons and frames of the run by which costs are measured here.
const TRIAL: (usize, usize) = (600, 1500);
const TRIAL_SUBJECT: &str = "subject_1";

/// What a report says that a plan needs.
#[derive(Deserialize)]
struct RunReport {
    subjects: Vec<Processed>,
    configuration: Option<Configuration>,
    #[serde(default)]
    devices: Vec<String>,
    #[serde(default)]
    ranks: usize,
    #[serde(default)]
    wall_sec: f64,
}

#[derive(Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    compression: Compression,
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
pub(super) struct Costs {
    /// Of a neuron-frame, on a compute thread.
    pub(super) compute: f64,
    /// Of a neuron-frame, by a rank with a GPU, where ranks have one.
    pub(super) gpu: Option<f64>,
    /// Of a neuron-frame, on reading it.
    pub(super) read: f64,
    /// Of a plane, on a compute thread.
    pub(super) rasterise: f64,
    /// Of a neuron-frame, by the subject's writer: cutting slabs.
    pub(super) cut: f64,
    /// Of a plane, by the rank that writes it.
    pub(super) write: f64,
    /// Of a plane, by the subject's writer: its place in the index.
    pub(super) index: f64,
    /// Of a subject, by rank 0.
    pub(super) open: f64,
    pub(super) finish: f64,
    /// Spikes of a neuron-frame.
    pub(super) spikes: f64,
    /// In the grids.
    pub(super) bytes_per_spike: f64,
}

impl Costs {
    /// Takes the costs from the report of a run.
    ///
    /// # Errors
    /// A report that cannot be read or tells of no whole subject.
    pub(super) fn read_from(path: &Path) -> Result<Self, PlanError> {
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
        // With --save_traces most bytes are not those of the grids, and these may be stored as they are: then a typical density
        // stands in.
        let traces = subjects
            .iter()
            .any(|subject| subject.files_written.iter().any(|name| name == "traces.h5"));
        let compression = report.configuration.unwrap_or_default().compression;
        let beside = sum(&|subject| subject.output_bytes as f64) - EMPTY_PLANE_BYTES * planes;
        // The network's share of a GPU's run is not told: all of its time stands for it.
        let on_gpu = report
            .devices
            .iter()
            .any(|device| device.contains("network on GPU"));
        let of_rank = report.wall_sec * report.ranks as f64 / neuron_frames;
        Ok(Self {
            gpu: (on_gpu && of_rank > 0.0).then_some(of_rank),
            compute: sum(&|subject| subject.stage_sec.compute) / neuron_frames,
            read: sum(&|subject| subject.stage_sec.read) / neuron_frames,
            rasterise: sum(&|subject| subject.stage_sec.rasterise) / planes,
            cut: sum(&|subject| subject.stage_sec.cut) / neuron_frames,
            write: sum(&|subject| subject.stage_sec.write) / planes,
            index: sum(&|subject| subject.stage_sec.index) / planes,
            open: sum(&|subject| subject.stage_sec.open) / subjects.len() as f64,
            finish: sum(&|subject| subject.stage_sec.finish) / subjects.len() as f64,
            spikes: spikes / neuron_frames,
            bytes_per_spike: match (traces, compression) {
                (true, _) | (_, Compression::None) => 1.5,
                (false, Compression::Gzip) => (beside / spikes.max(1.0)).clamp(0.5, 4.0),
            },
        })
    }

    /// Runs this program on made-up neurons, alone.
    ///
    /// # Errors
    /// Why that run failed.
    pub(super) fn measure(flags: &RunArgs) -> Result<Self, PlanError> {
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
        let model = model_of_trial(flags)?;
        let mut trial = alone()?;
        trial
            .args(["--input_dir".as_ref(), input.as_os_str()])
            .args(["--output_dir".as_ref(), output.as_os_str()])
            .args(["--cascade_model", &model])
            .args(["--compression", flags.compression.name()])
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

/// The model of the run by which costs are measured: with `--cascade_model auto` any of those among which it chooses, whose networks cost the
/// same.
fn model_of_trial(flags: &RunArgs) -> Result<String, String> {
    if flags.cascade_model != AUTO_MODEL {
        return Ok(flags.cascade_model.clone());
    }
    let models = find_general_models(flags.model_dir.as_deref());
    let models = models.map_err(|error| error.to_string())?;
    Ok(models[0].name.clone())
}

/// This program as one rank on its own, whatever started this one.
fn alone() -> Result<Command, String> {
    const LAUNCHERS: [&str; 7] = [
        "OMPI_",
        "PMIX_",
        "PMI_",
        "PRTE_",
        "HYDRA_",
        "MPI_LOCAL",
        "SLURM_",
    ];
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if LAUNCHERS.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    Ok(command)
}
