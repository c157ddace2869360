//! What models are installed, and whether they are intact.

use std::path::{Path, PathBuf};

use spikegrid_core::cascade::Model;
use spikegrid_core::cascade::benchmark::Measured;
use spikegrid_core::cascade::choice::TOLERANCE;
use spikegrid_core::wording::counted;
use spikegrid_files::crash_trial::{self, CrashingFile};
use spikegrid_files::models::verify::{CHECKSUMS, problems};
use spikegrid_files::models::{self, ModelError};

use crate::settings::{ConfigError, model_search};
use crate::train::recipe::training_datasets;

/// What to do with models.
#[derive(Debug, clap::Subcommand)]
pub enum ModelsCommand {
    /// Show the installed models: frame rate, noise levels, members, smoothing
    List {
        /// Where to look
        #[command(flatten)]
        place: Place,
    },
    /// Show what a model was made for and is made of
    Info {
        /// Name of an installed model, or folder of any
        model: PathBuf,
        /// Where to look
        #[command(flatten)]
        place: Place,
    },
    /// Check models: members, shapes, values, checksums, name. Ends with 1 if anything is wrong
    Verify {
        /// Folder of the model, or name of an installed one [default: every installed model]
        model: Option<PathBuf>,
        /// Where to look
        #[command(flatten)]
        place: Place,
    },
}

/// Where to look for models.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Folder of model folders [default: ./models, models beside the program, or PREFIX/share/spikegrid-mpi/models]
    #[arg(long, value_name = "DIR", env = "SPIKEGRID_MODEL_DIR")]
    pub(crate) model_dir: Option<PathBuf>,
}

/// Why a model can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// There is no model of that name.
    #[error(transparent)]
    NotFound(#[from] ConfigError),
    /// There is none to show or verify.
    #[error("no models in {0}; say with --model_dir where models are")]
    NoneInstalled(String),
    /// The model cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file that the HDF5 library does not survive.
    #[error(transparent)]
    CrashingFile(#[from] CrashingFile),
}

/// Does it; prints to stdout, and what `verify` finds to stderr. The exit status.
///
/// # Errors
/// A model that isn't there or can't be read; no model to show or verify.
pub fn run(command: &ModelsCommand) -> Result<u8, ModelsError> {
    match command {
        ModelsCommand::List { place } => list(place.model_dir.as_deref())?,
        ModelsCommand::Info { model, place } => info(&named(model, place)?)?,
        ModelsCommand::Verify { model, place } => {
            let folders = match model {
                None => installed(place.model_dir.as_deref())?,
                Some(model) => vec![named(model, place)?],
            };
            let intact = folders.iter().filter(|folder| verify(folder)).count();
            return Ok(u8::from(intact < folders.len()));
        }
    }
    Ok(0)
}

/// The folder of the model that the user names: as a path, or, by its name alone, of an installed one.
///
/// # Errors
/// There is none of that name.
pub(crate) fn named(model: &Path, place: &Place) -> Result<PathBuf, ConfigError> {
    match model.is_dir() || model.components().count() > 1 {
        true => Ok(model.to_path_buf()),
        false => model_search::find_model(&model.to_string_lossy(), place.model_dir.as_deref()),
    }
}

/// The folders of the installed models, at least one.
///
/// # Errors
/// There is none: names the folders searched.
fn installed(model_dir: Option<&Path>) -> Result<Vec<PathBuf>, ModelsError> {
    let installed = model_search::models_and_remains(model_dir);
    if !installed.is_empty() {
        return Ok(installed);
    }
    let (searched, _) = model_search::searched_and_found(model_dir);
    Err(ModelsError::NoneInstalled(searched))
}

fn list(model_dir: Option<&Path>) -> Result<(), ModelsError> {
    let installed = installed(model_dir)?;
    say!(
        "{:<44} {:>8} {:>22} {:>8} {:>10}  folder",
        "model",
        "Hz",
        "noise levels",
        "members",
        "smoothing"
    );
    // By rate, causal models after the others, and then what cannot be read.
    let mut lines = Vec::new();
    for dir in installed {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let loaded = crash_trial::model(&dir).map_err(ModelsError::from);
        lines.push(match loaded.and_then(|()| Ok(models::load(&dir)?)) {
            Ok(model) => {
                let rate = model.config.sampling_rate;
                let line = format!(
                    "{name:<44} {rate:>8} {:>22} {:>8} {:>10}  {}",
                    levels(&model),
                    members(&model),
                    smoothing(&model),
                    dir.display()
                );
                (model.config.causal_kernel != 0, rate, line)
            }
            Err(error) => (true, f64::INFINITY, format!("{name:<44} unusable: {error}")),
        });
    }
    lines.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    lines.iter().for_each(|(_, _, line)| say!("{line}"));
    Ok(())
}

fn info(dir: &Path) -> Result<(), ModelsError> {
    crash_trial::model(dir)?;
    let model = models::load(dir)?;
    let config = &model.config;
    let weights: usize = config
        .layers()
        .iter()
        .map(|layer| (layer.depth() + 1) * layer.outputs)
        .sum();
    say!("model          {}", config.model_name);
    say!("folder         {}", dir.display());
    let rate = config.sampling_rate;
    let (slowest, fastest) = ((-TOLERANCE).exp() * rate, TOLERANCE.exp() * rate);
    say!("frame rate     {rate} Hz, for recordings of {slowest:.2} to {fastest:.2} Hz");
    say!("noise levels   {}", levels(&model));
    say!("members        {}", members(&model));
    say!("smoothing      {}", smoothing(&model));
    let before = config.frames_before() - 1;
    let after = config.windowsize - 1 - before;
    say!("window         {before} frames before and {after} after the frame of the rate");
    say!(
        "network        filters {:?} of {:?} channels, dense {}, {weights} weights a member",
        config.filter_sizes,
        config.filter_numbers,
        config.dense_expansion
    );
    if let Some(datasets) = training_datasets(dir) {
        say!("trained on     {}", datasets.join(", "));
    }
    if let Some(benchmark) = &model.benchmark {
        let measured = benchmark.rows().iter().map(|row| {
            let Measured {
                noise_level,
                correlation,
            } = row;
            format!("{correlation:.2} at noise level {noise_level}")
        });
        say!("correlation    {}", measured.collect::<Vec<_>>().join(", "));
    }
    say!("checksum       {}", model.sha256);
    model
        .warnings
        .iter()
        .for_each(|warning| say!("warning        {warning}"));
    Ok(())
}

/// Prints a line that says whether a model is intact, and what is wrong with it to stderr.
fn verify(dir: &Path) -> bool {
    let problems = match crash_trial::model(dir) {
        Ok(()) => problems(dir),
        Err(crashing) => vec![crashing.to_string()],
    };
    let loaded = match problems.is_empty() {
        true => models::load(dir).map_err(|error| vec![error.to_string()]),
        false => Err(problems),
    };
    let checksums = match dir.join(CHECKSUMS).exists() {
        true => "checksums agree",
        false => "it has no checksums",
    };
    match &loaded {
        Ok(model) => say!(
            "{}: {} members, intact; {checksums}",
            dir.display(),
            members(model)
        ),
        Err(problems) => {
            say!("{}: {}", dir.display(), counted(problems.len(), "problem"));
            problems
                .iter()
                .for_each(|problem| eprintln!("error: {problem}"));
        }
    }
    loaded.is_ok()
}

fn members(model: &Model) -> usize {
    model.levels.iter().map(|level| level.members.len()).sum()
}

/// The noise levels in few words: "2 to 19", or one by one.
fn levels(model: &Model) -> String {
    let mut levels: Vec<i32> = model.levels.iter().map(|level| level.noise_level).collect();
    levels.sort_unstable();
    match levels.as_slice() {
        [first, .., last] if levels.len() > 2 && *last - *first == levels.len() as i32 - 1 => {
            format!("{first} to {last}")
        }
        _ => levels
            .iter()
            .map(i32::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn smoothing(model: &Model) -> String {
    let causal = if model.config.causal_kernel == 0 {
        ""
    } else {
        ", causal"
    };
    format!("{} ms{causal}", 1000.0 * model.config.smoothing)
}
