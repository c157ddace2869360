//! What rank 0 finds out before the run and every rank works by.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spikegrid_core::baseline::Baseline;
use spikegrid_core::cascade::{Model, PostProcess};
use spikegrid_files::crash_trial;
use spikegrid_files::input::discovery::{self, Subject};
use spikegrid_files::models;
use spikegrid_files::output::combined;

use super::pipelines::Pipelines;
use super::report;
use crate::settings::flags::RunArgs;
use crate::settings::model_search::{find_general_models, find_model, installed_models};
use crate::settings::{Config, ConfigError};

/// The resolved settings and the model that the user named.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// The checked flags.
    pub config: Config,
    /// The model; none where `--cascade_model auto` chooses one for each subject.
    pub model: Option<Model>,
}

/// What rank 0 alone needs beside the setup.
pub struct Prepared {
    /// What all ranks get.
    pub setup: Setup,
    /// The subjects to process, in natural order.
    pub subjects: Vec<Subject>,
    /// The folders of the installed models.
    pub models: Vec<PathBuf>,
    /// What the user should know before the first subject, one line each.
    pub warnings: Vec<String>,
}

impl Setup {
    /// Checks the flags, loads the model if one is named, finds the subjects and makes the output folder.
    ///
    /// # Errors
    /// Why nothing can start, as one line.
    pub fn prepare(flags: RunArgs) -> Result<Prepared, Box<dyn std::error::Error>> {
        let model_dir = flags.model_dir.clone();
        let config = Config::resolve(flags)?;
        let model = named_model(&config)?;
        let warnings = model.as_ref().map(|model| model.warnings.clone());
        let mut warnings = warnings.unwrap_or_default();
        let found = discovery::subjects(&config.input_dir)?;
        warnings.extend(skipped_in_vain(&config.skip, &found));
        let mut subjects = select(found, &config.only, &config.skip, &config.input_dir)?;
        if let Some(task) = &config.array {
            subjects = task.share(subjects);
        }
        make_writable(
            &config.output_dir,
            &report::file_name(config.array.as_ref(), "json"),
        )?;
        // A window that makes no sense is refused before anything starts.
        let of_model = model.as_ref().map(|model| model.config.sampling_rate);
        if let Some(rate) = config.data.sampling_rate.or(of_model) {
            config.dff_settings(Baseline::None, rate)?;
        }
        Ok(Prepared {
            setup: Self { config, model },
            subjects,
            models: installed_models(model_dir.as_deref()),
            warnings,
        })
    }

    /// The computation that every rank does, with the model if there is one already.
    pub fn pipelines(self) -> Pipelines {
        let post = PostProcess {
            threshold: self.config.threshold,
            shift_frames: self.config.shift_frames,
        };
        let mut pipelines = Pipelines::new(post, self.config.seed.into());
        if let Some(model) = self.model {
            pipelines.add(0, model);
        }
        pipelines
    }
}

/// The model that the user named; none where he leaves the choice to the program.
///
/// # Errors
/// There is no such model, or it cannot be read; there is none to choose.
fn named_model(config: &Config) -> Result<Option<Model>, Box<dyn std::error::Error>> {
    let model_dir = config.model_dir.as_deref();
    if config.chooses_models() {
        find_general_models(model_dir).map_err(ConfigError::from)?;
        return Ok(None);
    }
    Ok(Some(load_model(&config.cascade_model, model_dir)?))
}

/// Finds a model by its name and reads it, after a crash trial.
///
/// # Errors
/// There is no such model, or it cannot be read.
pub(crate) fn load_model(
    name: &str,
    model_dir: Option<&Path>,
) -> Result<Model, Box<dyn std::error::Error>> {
    let folder = find_model(name, model_dir)?;
    crash_trial::model(&folder)?;
    Ok(models::load(&folder)?)
}

/// The names in the values of `--only` or `--skip`: a value is the whole name of a subject, or several names with commas between them.
fn named(values: &[String], subjects: &[Subject]) -> Vec<String> {
    let is_whole = |value: &String| subjects.iter().any(|subject| subject.name == *value);
    let names = |value: &String| match is_whole(value) {
        true => vec![value.clone()],
        false => value.split(',').map(str::to_owned).collect(),
    };
    values.iter().flat_map(names).collect()
}

/// A warning for each name in the values of `--skip` that no subject has.
pub(crate) fn skipped_in_vain(skip: &[String], subjects: &[Subject]) -> Vec<String> {
    let is_unknown =
        |name: &String| !name.is_empty() && subjects.iter().all(|subject| subject.name != *name);
    let unknown = named(skip, subjects).into_iter().filter(is_unknown);
    unknown
        .map(|name| format!("--skip names \"{name}\", which is not there"))
        .collect()
}

/// The subjects that `--only` names, without those that `--skip` names.
///
/// # Errors
/// `--only` names subjects that are not there, or nothing is left.
pub fn select(
    subjects: Vec<Subject>,
    only: &[String],
    skip: &[String],
    input_dir: &Path,
) -> Result<Vec<Subject>, ConfigError> {
    let [only, skip] = [only, skip].map(|values| named(values, &subjects));
    let present = |name: &String| subjects.iter().any(|subject| subject.name == *name);
    let quoted = |name: &String| format!("\"{name}\"");
    let unknown = only.iter().filter(|name| !present(name));
    let unknown: Vec<String> = unknown.map(quoted).collect();
    if !unknown.is_empty() {
        let names = subjects.iter().map(|subject| quoted(&subject.name));
        return Err(ConfigError::NoSuchSubject {
            flag: "--only",
            names: unknown.join(", "),
            input_dir: input_dir.to_owned(),
            present: names.collect::<Vec<_>>().join(", "),
        });
    }
    let chosen = |subject: &Subject| {
        (only.is_empty() || only.contains(&subject.name)) && !skip.contains(&subject.name)
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
    for name in [combined::NAME, report] {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_1_2_only_and_skip_take_names_that_have_a_comma_as_values_of_their_own() {
        let subjects = ["subject_1", "subject_1,left", "subject_2", "left"].map(|name| Subject {
            name: name.into(),
            dir: PathBuf::from(name),
        });
        let selected = |only: &[&str], skip: &[&str]| -> Result<Vec<String>, ConfigError> {
            let texts = |values: &[&str]| values.iter().map(|&value| value.into()).collect();
            let [only, skip]: [Vec<String>; 2] = [only, skip].map(texts);
            let selected = select(subjects.to_vec(), &only, &skip, Path::new("raw"))?;
            Ok(selected.into_iter().map(|subject| subject.name).collect())
        };
        let of = |only: &[&str], skip: &[&str]| selected(only, skip).expect("subjects");
        assert_eq!(of(&["subject_1,left"], &[]), ["subject_1,left"]);
        assert_eq!(of(&["left,subject_1"], &[]), ["subject_1", "left"]);
        assert_eq!(
            of(&["subject_1,left", "subject_2"], &[]),
            ["subject_1,left", "subject_2"]
        );
        assert_eq!(
            of(&[], &["subject_1,left", "left"]),
            ["subject_1", "subject_2"]
        );
        assert!(selected(&["subject_1,right"], &[]).is_err());
        assert!(selected(&[""], &[]).is_err());
    }
}
