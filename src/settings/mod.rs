//! The configuration of a run: resolved, validated, and written out with the results (rules 1.2, 1.3, 8.1, 8.7).

pub(crate) mod array;
pub(crate) mod config_file;
pub(crate) mod flags;
pub(crate) mod model_search;
pub(crate) mod size;

use std::ops::Deref;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use spikegrid_core::baseline::{Baseline, DffSettings, Window, WindowError};
use thiserror::Error;

use array::{ArrayError, ArrayTask};
use flags::{DataArgs, Device, RunArgs};

/// Most planes that a subject can be cut into by a flag: a grid of 128 MiB per frame.
const MOST_PLANES: usize = 4096;

/// Why nothing can start.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{flag} is {found}, expected {expected}")]
    OutOfRange {
        flag: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("{flag} names {names}, which {input_dir} does not hold; it holds {present}")]
    NoSuchSubject {
        flag: &'static str,
        names: String,
        input_dir: PathBuf,
        present: String,
    },
    #[error("--only and --skip leave no subject to process")]
    NothingLeft,
    #[error("the output folder {folder} cannot be written: {source}")]
    OutputFolder {
        folder: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "--device cuda: this program was built without GPU support; use --device auto or cpu, or build it with \
         --features cuda"
    )]
    NoGpuBuild,
    #[error(transparent)]
    Array(#[from] ArrayError),
    #[error(
        "no CASCADE model \"{name}\" in {searched}; models there: {found}. Name a model that is there, or with --model_dir the folder of \
         model folders that holds it"
    )]
    NoModel {
        name: String,
        searched: String,
        found: String,
    },
    #[error("--cascade_model auto: {0}")]
    NoChoice(#[from] NoChoice),
}

/// Why `--cascade_model auto` cannot choose a model for any subject.
#[derive(Debug, Error)]
pub enum NoChoice {
    #[error(
        "no model to choose in {searched}: expected one whose name begins with Global_EXC and that is not causal; models there: {found}. \
         Say with --model_dir where models are, or name one with --cascade_model"
    )]
    NoGeneralModel { searched: String, found: String },
    #[error(
        "{0}. Another model would be taken in place of this one: repair or remove its folder, or name a model with --cascade_model"
    )]
    Unreadable(String),
}

/// What `--cascade_model` is where the program chooses a model for each subject (rule 4.9).
pub(crate) const AUTO_MODEL: &str = "auto";

/// The value of `--cascade_model` where it is not given.
pub(crate) const DEFAULT_MODEL: &str = "Global_EXC_2Hz_smoothing500ms";

/// The configuration of a run: its flags, checked, and which task of a job array it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    flags: RunArgs,
    /// The task of a job array that this run is.
    pub array: Option<ArrayTask>,
}

impl Deref for Config {
    type Target = RunArgs;

    fn deref(&self) -> &RunArgs {
        &self.flags
    }
}

impl Config {
    /// Checks the flags.
    ///
    /// # Errors
    /// The first flag whose value makes no sense, with what was expected.
    pub fn resolve(flags: RunArgs) -> Result<Self, ConfigError> {
        check(&flags)?;
        if flags.device == Device::Cuda && !cfg!(feature = "cuda") {
            return Err(ConfigError::NoGpuBuild);
        }
        let array = flags
            .array
            .map(|flag| ArrayTask::resolve(flag, |name| std::env::var(name).ok()))
            .transpose()?;
        Ok(Self { flags, array })
    }

    /// Whether the program chooses a model for each subject (rule 4.9).
    pub fn chooses_models(&self) -> bool {
        self.flags.cascade_model == AUTO_MODEL
    }

    /// What is made of the traces of a recording before the network.
    ///
    /// # Errors
    /// A baseline window that has more frames than can be counted.
    pub fn dff_settings(
        &self,
        baseline: Baseline,
        rate_hz: f64,
    ) -> Result<DffSettings, WindowError> {
        let data = &self.flags.data;
        Ok(DffSettings {
            baseline,
            window: Window::new(self.flags.window_sec, rate_hz)?,
            percentile: self.flags.percentile,
            scale: data.scale,
            missing: data.missing_sample(),
            bridge_frames: (data.bridge_gaps * rate_hz) as usize,
        })
    }

    /// The configuration as a JSON object, as the results hold it.
    pub fn as_json(&self) -> Json {
        let mut all = as_json(&self.flags);
        all["array"] = serde_json::to_value(&self.array).unwrap_or_default();
        all
    }
}

/// The flags of a run as TOML that `--config` takes (rule 1.6).
///
/// # Errors
/// The first flag whose value makes no sense, with what was expected.
pub(crate) fn as_toml(flags: &RunArgs, of_a_run: &clap::Command) -> Result<String, ConfigError> {
    check(flags)?;
    let mut all = as_json(flags);
    all["array"] = flags.array.map(|flag| flag.to_string()).into();
    Ok(config_file::to_toml(&all, of_a_run))
}

/// The flags as a JSON object.
fn as_json(flags: &RunArgs) -> Json {
    let mut all = serde_json::to_value(flags).unwrap_or_default();
    // Postcard, by which ranks send each other settings, cannot flatten.
    for part in ["data", "interruption"] {
        let part = all.as_object_mut().and_then(|all| all.remove(part));
        if let (Some(all), Some(Json::Object(part))) = (all.as_object_mut(), part) {
            all.extend(part);
        }
    }
    all
}

/// Checks the flags that need no file.
fn check(flags: &RunArgs) -> Result<(), ConfigError> {
    for (flag, folder) in [
        ("--input_dir", Some(&flags.input_dir)),
        ("--output_dir", Some(&flags.output_dir)),
        ("--model_dir", flags.model_dir.as_ref()),
    ] {
        // Settings go between ranks and into the files as text.
        let folder = folder.filter(|folder| folder.to_str().is_none());
        let name = folder.map(|folder| folder.display().to_string());
        let expected = "a path in UTF-8";
        expect(flag, name.is_none(), &name.unwrap_or_default(), expected)?;
    }
    let (ratio, neurons, threads) = (flags.split_ratio, flags.batch_size, flags.workers);
    let is_ratio = (0.0..=1.0).contains(&ratio);
    expect("--split_ratio", is_ratio, &ratio, "a number from 0 to 1")?;
    expect("--batch_size", neurons > 0, &neurons, "at least 1 neuron")?;
    let is_count = (1..=1024).contains(&threads);
    expect("--workers", is_count, &threads, "1 to 1024 threads")?;
    let is_percentile = (0.0..=100.0).contains(&flags.percentile);
    let expected = "a number from 0 to 100";
    expect("--percentile", is_percentile, &flags.percentile, expected)?;
    let positive = |x: f64| x.is_finite() && x > 0.0;
    let (window, expected) = (flags.window_sec, "a positive number of seconds");
    expect("--window_sec", positive(window), &window, expected)?;
    check_model_name(&flags.cascade_model)?;
    check_data(&flags.data)?;
    let limit = flags.memory_limit;
    let is_enough = limit.0 >= 128 << 20;
    expect("--memory_limit", is_enough, &limit, "at least 128 MiB")
}

/// Checks that a model is named as `--cascade_model` takes it.
///
/// # Errors
/// As [`Config::resolve`].
pub(crate) fn check_model_name(name: &str) -> Result<(), ConfigError> {
    let is_name = !matches!(name, "" | "." | "..") && !name.contains('/');
    let expected = "the name of a folder in the model folder (see --model_dir)";
    expect("--cascade_model", is_name, &name, expected)
}

/// Checks what the user says of the recordings.
///
/// # Errors
/// As [`Config::resolve`].
pub(crate) fn check_data(data: &DataArgs) -> Result<(), ConfigError> {
    let positive = |x: f64| x.is_finite() && x > 0.0;
    if let Some(rate) = data.sampling_rate {
        let expected = "a positive rate in Hz";
        expect("--sampling_rate", positive(rate), &rate, expected)?;
    }
    let is_named = data.calcium_dataset.as_deref() != Some("");
    expect("--calcium_dataset", is_named, &"empty", "a dataset's name")?;
    if let Some(source) = &data.source {
        let is_local = !source.to_string_lossy().contains("://");
        let expected = "a path on a local disk: URLs are not read, so copy the recording first";
        expect("--source", is_local, &source.display(), expected)?;
        let is_within =
            source.is_relative() && source.to_str().is_some_and(|path| !path.is_empty());
        let expected = "a path within each subject's folder, in UTF-8";
        expect("--source", is_within, &source.display(), expected)?;
    }
    if let Some(coefficient) = data.neuropil_coefficient {
        let is_share = (0.0..=2.0).contains(&coefficient);
        let expected = "a factor from 0 (no correction) to 2";
        expect("--neuropil_coefficient", is_share, &coefficient, expected)?;
    }
    let (scale, gap) = (data.scale, data.bridge_gaps);
    expect("--scale", positive(scale), &scale, "a positive factor")?;
    let is_time = gap.is_finite() && gap >= 0.0;
    expect("--bridge_gaps", is_time, &gap, "0 or more seconds")?;
    if let Some(value) = data.missing {
        let expected = "a finite number";
        expect("--missing", value.is_finite(), &value, expected)?;
    }
    if let Some(planes) = data.planes {
        let is_count = (1..=MOST_PLANES).contains(&planes);
        expect("--planes", is_count, &planes, "1 to 4096 planes")?;
    }
    if let Some(step) = data.plane_step {
        let expected = "a positive height in the unit of the positions";
        expect("--plane_step", positive(step), &step, expected)?;
    }
    Ok(())
}

fn expect(
    flag: &'static str,
    holds: bool,
    found: &dyn std::fmt::Display,
    expected: &'static str,
) -> Result<(), ConfigError> {
    match holds {
        true => Ok(()),
        false => Err(ConfigError::OutOfRange {
            flag,
            found: found.to_string(),
            expected,
        }),
    }
}
