//! The configuration of a run: resolved, validated, and written out with the results (rules 1.2, 1.3, 8.1, 8.7).

pub(crate) mod array;
pub(crate) mod flags;
pub(crate) mod size;

use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use array::{ArrayError, ArrayTask};
use flags::{Device, RunArgs};

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
        "no CASCADE model \"{name}\" in {searched}; found there: {found}. \
         Name one of them with --cascade_model, or the folder that holds it with --model_dir"
    )]
    NoModel {
        name: String,
        searched: String,
        found: String,
    },
}

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
        let expect = |flag, ok: bool, found: &dyn std::fmt::Display, expected| match ok {
            true => Ok(()),
            false => Err(ConfigError::OutOfRange {
                flag,
                found: found.to_string(),
                expected,
            }),
        };
        for (flag, folder) in [
            ("--input_dir", &flags.input_dir),
            ("--output_dir", &flags.output_dir),
        ] {
            // Settings go between ranks and into the files as text.
            let is_text = folder.to_str().is_some();
            expect(flag, is_text, &folder.display(), "a path in UTF-8")?;
        }
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let ratio = flags.split_ratio;
        expect(
            "--split_ratio",
            (0.0..=1.0).contains(&ratio),
            &ratio,
            "a number from 0 to 1",
        )?;
        expect(
            "--batch_size",
            flags.batch_size > 0,
            &flags.batch_size,
            "at least 1 neuron",
        )?;
        let threads = 1..=1024;
        expect(
            "--workers",
            threads.contains(&flags.workers),
            &flags.workers,
            "1 to 1024 threads",
        )?;
        let percentile = flags.percentile;
        expect(
            "--percentile",
            (0.0..=100.0).contains(&percentile),
            &percentile,
            "a number from 0 to 100",
        )?;
        expect(
            "--window_sec",
            positive(flags.window_sec),
            &flags.window_sec,
            "a positive number of seconds",
        )?;
        if let Some(rate) = flags.sampling_rate {
            expect(
                "--sampling_rate",
                positive(rate),
                &rate,
                "a positive rate in Hz",
            )?;
        }
        let name = &flags.cascade_model;
        let is_name = !matches!(name.as_str(), "" | "." | "..") && !name.contains('/');
        expect(
            "--cascade_model",
            is_name,
            name,
            "the name of a folder in the model folder (see --model_dir)",
        )?;
        expect(
            "--calcium_dataset",
            !flags.calcium_dataset.is_empty(),
            &"empty",
            "a dataset's name",
        )?;
        let limit = flags.memory_limit;
        expect(
            "--memory_limit",
            limit.0 >= 128 << 20,
            &limit,
            "at least 128 MiB",
        )?;
        if flags.device == Device::Cuda && !cfg!(feature = "cuda") {
            return Err(ConfigError::NoGpuBuild);
        }
        let array = flags
            .array
            .map(|flag| ArrayTask::resolve(flag, |name| std::env::var(name).ok()))
            .transpose()?;
        Ok(Self { flags, array })
    }

    /// The configuration as a JSON object, as the results hold it. Where models are looked for, and what interrupts a run, are
    /// not part of it.
    pub fn as_json(&self) -> serde_json::Value {
        let mut all = serde_json::to_value(&self.flags).unwrap_or_default();
        all["array"] = serde_json::to_value(&self.array).unwrap_or_default();
        all
    }
}

/// The folders in which models are looked for, in this order (rule 1.3).
pub(crate) fn model_folders(model_dir: Option<&Path>) -> Vec<PathBuf> {
    if let Some(folder) = model_dir {
        return vec![folder.to_path_buf()];
    }
    let mut folders = vec![PathBuf::from("models")];
    let program = std::env::current_exe().ok();
    if let Some(bin) = program.as_deref().and_then(Path::parent) {
        folders.push(bin.join("models"));
        if let Some(prefix) = bin.parent() {
            folders.push(prefix.join("share/spikegrid-mpi/models"));
        }
    }
    folders
}

/// The model folders there, by folder and name.
pub(crate) fn installed_models(model_dir: Option<&Path>) -> Vec<PathBuf> {
    let mut installed = Vec::new();
    for folder in model_folders(model_dir) {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut models: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join("config.yaml").is_file())
            .collect();
        models.sort_unstable();
        installed.extend(models);
    }
    installed
}

/// Finds the folder of a model: in `model_dir` if given, else in `./models`, in `models` beside the program, or in
/// `<prefix>/share/spikegrid-mpi/models` (rule 1.3).
///
/// # Errors
/// Names the folders searched and the models that are there.
pub(crate) fn find_model(name: &str, model_dir: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let searched = model_folders(model_dir);
    if let Some(found) = searched
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_dir())
    {
        return Ok(found);
    }
    let mut present: Vec<String> = installed_models(model_dir)
        .iter()
        .filter_map(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()))
        .collect();
    present.sort();
    present.dedup();
    Err(ConfigError::NoModel {
        name: name.to_string(),
        searched: searched
            .iter()
            .map(|folder| folder.display().to_string())
            .collect::<Vec<_>>()
            .join(", "),
        found: if present.is_empty() {
            "none".to_string()
        } else {
            present.join(", ")
        },
    })
}
