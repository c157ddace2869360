//! What rank 0 finds out before the run and every rank works by.

use std::path::Path;

use serde::{Deserialize, Serialize};
use spikegrid_core::baseline::Window;
use spikegrid_core::cascade::{Model, PostProcess};
use spikegrid_files::crash_trial;
use spikegrid_files::input::discovery::{self, Subject};
use spikegrid_files::models;
use spikegrid_files::output::provenance::Provenance;
use spikegrid_inference::ensembles::Ensembles;
use spikegrid_inference::pipeline::Pipeline;

use super::report;
use crate::settings::flags::RunArgs;
use crate::settings::model_search::find_model;
use crate::settings::{Config, ConfigError};

/// The resolved settings and the model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// The checked flags.
    pub config: Config,
    /// The model.
    pub model: Model,
    /// The recording's sampling rate in Hz.
    pub sampling_rate: f64,
}

/// What rank 0 alone needs beside the setup.
pub struct Prepared {
    /// What all ranks get.
    pub setup: Setup,
    /// The subjects to process, in natural order.
    pub subjects: Vec<Subject>,
    /// What the user should know before the first subject, one line each.
    pub warnings: Vec<String>,
}

impl Setup {
    /// Checks the flags, loads the model, finds the subjects and makes the output folder.
    ///
    /// # Errors
    /// Why nothing can start, as one line.
    pub fn prepare(flags: RunArgs) -> Result<Prepared, Box<dyn std::error::Error>> {
        let model_dir = flags.model_dir.clone();
        let config = Config::resolve(flags)?;
        let model_folder = find_model(&config.cascade_model, model_dir.as_deref())?;
        crash_trial::model(&model_folder)?;
        let model = models::load(&model_folder)?;
        let mut warnings = model.warnings.clone();
        let sampling_rate = config.sampling_rate.unwrap_or(model.config.sampling_rate);
        if (sampling_rate - model.config.sampling_rate).abs() > 0.05 * model.config.sampling_rate {
            warnings.push(format!(
                "--sampling_rate {sampling_rate} Hz differs from the {} Hz of the model {}: \
                 spike rates are right only for recordings at the model's rate",
                model.config.sampling_rate, config.cascade_model
            ));
        }
        let found = discovery::subjects(&config.input_dir)?;
        for name in &config.skip {
            if found.iter().all(|subject| subject.name != *name) {
                warnings.push(format!("--skip names {name}, which is not there"));
            }
        }
        let mut subjects = select(found, &config)?;
        if let Some(task) = &config.array {
            subjects = task.share(subjects);
        }
        make_writable(
            &config.output_dir,
            &report::file_name(config.array.as_ref()),
        )?;
        // A window that makes no sense is refused before anything starts.
        Window::new(config.window_sec, sampling_rate)?;
        Ok(Prepared {
            setup: Self {
                config,
                model,
                sampling_rate,
            },
            subjects,
            warnings,
        })
    }

    /// The computation that every rank does.
    ///
    /// # Panics
    /// If the weights are not those of the model's configuration, against which they were checked as they were read.
    pub fn pipeline(self) -> Pipeline {
        let ensembles = Ensembles::new(self.model);
        Pipeline {
            ensembles: ensembles.expect("a model that was checked when it was read"),
            post: PostProcess {
                threshold: self.config.threshold,
                shift_frames: self.config.shift_frames,
            },
            seed: self.config.seed.into(),
        }
    }

    /// The provenance of every subject, but for its input.
    pub fn provenance(&self) -> Provenance {
        let config = &self.config;
        Provenance {
            cascade_model: config.cascade_model.clone(),
            model_sha256: self.model.sha256.clone(),
            sampling_rate: self.sampling_rate,
            window_sec: config.window_sec,
            percentile: config.percentile,
            baseline: config.baseline,
            threshold: config.threshold,
            shift_frames: config.shift_frames,
            calcium_dataset: config.calcium_dataset.clone(),
            seed: config.seed,
            split_ratio: config.split_ratio,
            input: None,
        }
    }
}

/// The subjects that `--only` names, without those that `--skip` names.
///
/// # Errors
/// `--only` names subjects that are not there, or nothing is left.
pub fn select(subjects: Vec<Subject>, config: &Config) -> Result<Vec<Subject>, ConfigError> {
    let present = |name: &String| subjects.iter().any(|subject| subject.name == *name);
    let unknown: Vec<&str> = config
        .only
        .iter()
        .filter(|name| !present(name))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        let names: Vec<&str> = subjects
            .iter()
            .map(|subject| subject.name.as_str())
            .collect();
        return Err(ConfigError::NoSuchSubject {
            flag: "--only",
            names: unknown.join(", "),
            input_dir: config.input_dir.clone(),
            present: names.join(", "),
        });
    }
    let chosen = |subject: &Subject| {
        (config.only.is_empty() || config.only.contains(&subject.name))
            && !config.skip.contains(&subject.name)
    };
    let selected: Vec<Subject> = subjects.into_iter().filter(chosen).collect();
    match selected.is_empty() {
        true => Err(ConfigError::NothingLeft),
        false => Ok(selected),
    }
}

/// Makes the output folder and tries to write into it.
fn make_writable(folder: &Path, report: &str) -> Result<(), ConfigError> {
    let refused = |source| ConfigError::OutputFolder {
        folder: folder.to_path_buf(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(refused)?;
    for name in ["combined_metadata.h5", report] {
        let file = folder.join(name);
        if file.is_dir() {
            return Err(ConfigError::OutputFolder {
                folder: file,
                source: std::io::ErrorKind::IsADirectory.into(),
            });
        }
    }
    let probe = folder.join(format!(".spikegrid-mpi-{}.partial", std::process::id()));
    std::fs::write(&probe, b"").map_err(refused)?;
    match std::fs::remove_file(&probe) {
        // A run on another host may have the same process number, and have removed it.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(refused(error)),
        _ => Ok(()),
    }
}
