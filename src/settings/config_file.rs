//! Files that give flags their defaults (rule 1.6): TOML, or what a finished run wrote.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value as Json;
use spikegrid_files::crash_trial::{self, CrashingFile};
use spikegrid_files::output::activity::ActivityFile;
use spikegrid_files::output::{OutputFile, SubjectFiles, provenance};
use thiserror::Error;
use toml::{Table, Value};

/// Flags of the command line alone: the first two are about the file itself.
const NO_KEYS: [&str; 4] = ["config", "print_config", "help", "version"];
/// What a finished run was told, but is not repeated: it would replace results, or leave subjects out.
const NOT_REPEATED: [&str; 2] = ["array", "overwrite"];
/// From this likeness on (Jaro and Winkler's), a key is taken for a misspelt flag, as on the command line.
const ALIKE: f64 = 0.7;

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigFileError {
    #[error("--config {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("--config {path}: {reason}")]
    Syntax { path: PathBuf, reason: String },
    #[error(
        "--config {path}: the folder holds neither report.json nor preaugmented_grids.h5 of a finished run"
    )]
    NoRun { path: PathBuf },
    #[error(
        "--config {path}: expected grids of a finished run, found an HDF5 file without their attributes subject and config"
    )]
    NoGrids { path: PathBuf },
    #[error("--config: {0}")]
    Crashes(#[from] CrashingFile),
    #[error("--config {path}: \"{key}\" is no flag that a file can give{nearest}")]
    UnknownKey {
        path: PathBuf,
        key: String,
        nearest: String,
    },
    #[error("--config {path}: {key} is {found}, expected {expected}")]
    Shape {
        path: PathBuf,
        key: String,
        found: &'static str,
        expected: &'static str,
    },
    #[error("{0}")]
    CommandLine(#[from] clap::Error),
    #[error("--config {path}: {reason}")]
    Refused { path: PathBuf, reason: String },
}

/// The settings of a configuration file, by the names of flags.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    settings: Table,
}

impl ConfigFile {
    /// Reads TOML; or, of a finished run, its report, its output folder, the grids file or the folder of a subject.
    ///
    /// # Errors
    /// A file that cannot be read or is none of these.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigFileError> {
        let file = match path.is_dir() {
            true => result_in(path)?,
            false => path.to_owned(),
        };
        let settings = match file.is_file() && spikegrid_files::is_hdf5(&file) {
            true => of_grids(&file)?,
            false => of_text(&file)?,
        };
        Ok(Self {
            path: path.to_owned(),
            settings,
        })
    }

    /// The settings as arguments of a command, without those that the command line or the environment gives. Keys that the command
    /// lacks, but a run has, are passed over: one file serves both.
    ///
    /// # Errors
    /// A key that is no flag, or a value that no flag could have.
    pub(crate) fn arguments(
        &self,
        command: &Command,
        of_a_run: &Command,
        given: &ArgMatches,
    ) -> Result<Vec<String>, ConfigFileError> {
        let is_given = |argument: &Arg| {
            let source = given.value_source(argument.get_id().as_str());
            source.is_some_and(|source| source != ValueSource::DefaultValue)
        };
        let rules_out = |one: &Arg, other: &Arg| {
            let conflicts = command.get_arg_conflicts_with(one);
            conflicts
                .iter()
                .any(|conflict| conflict.get_id() == other.get_id())
        };
        let mut arguments = Vec::new();
        for (key, value) in &self.settings {
            let Some(argument) = flag(command, key) else {
                match flag(of_a_run, key) {
                    Some(_) => continue,
                    None => return Err(self.unknown(key, of_a_run)),
                }
            };
            let yields = is_given(argument)
                || command.get_arguments().any(|other| {
                    is_given(other) && (rules_out(argument, other) || rules_out(other, argument))
                });
            for text in self.texts(key, value, argument)? {
                if !yields {
                    arguments.push(format!("--{}={text}", name(argument)));
                }
            }
        }
        Ok(arguments)
    }

    /// What clap says of the arguments that this file gave.
    pub(crate) fn refused(&self, error: &clap::Error) -> ConfigFileError {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let reason = text.split("\n\nUsage:").next().unwrap_or(text);
        let reason = reason.split("\n\nFor more information").next();
        ConfigFileError::Refused {
            path: self.path.clone(),
            reason: reason.unwrap_or(text).trim_end().to_owned(),
        }
    }

    /// A value as a flag takes it: one text, or several for a list.
    fn texts(
        &self,
        key: &str,
        value: &Value,
        argument: &Arg,
    ) -> Result<Vec<String>, ConfigFileError> {
        let is_list = matches!(argument.get_action(), ArgAction::Append);
        let expected = if is_list {
            "a list of names"
        } else {
            "one value"
        };
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Array(_) | Value::Table(_) => Err(ConfigFileError::Shape {
                path: self.path.clone(),
                key: key.to_owned(),
                found: if value.is_table() {
                    "a table"
                } else {
                    "a list"
                },
                expected,
            }),
            plain => Ok(plain.to_string()),
        };
        match value {
            Value::Array(values) if is_list => values.iter().map(text).collect(),
            value => Ok(vec![text(value)?]),
        }
    }

    fn unknown(&self, key: &str, of_a_run: &Command) -> ConfigFileError {
        let likeness = |name: &String| strsim::jaro_winkler(&key.replace('-', "_"), name);
        let nearest = flags(of_a_run)
            .map(name)
            .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
            .filter(|name| likeness(name) > ALIKE);
        ConfigFileError::UnknownKey {
            path: self.path.clone(),
            key: key.to_owned(),
            nearest: nearest.map_or(String::new(), |name| format!("; the nearest is \"{name}\"")),
        }
    }
}

/// The arguments of a command that a file can give.
fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| {
        argument.get_long().is_some() && !NO_KEYS.contains(&name(argument).as_str())
    })
}

fn flag<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    let key = key.replace('-', "_");
    flags(command).find(|argument| name(argument) == key)
}

fn name(argument: &Arg) -> String {
    argument.get_long().unwrap_or_default().replace('-', "_")
}

/// What a folder holds of a finished run: all of the run's report, or one subject's grids.
fn result_in(folder: &Path) -> Result<PathBuf, ConfigFileError> {
    let results = ["report.json", "preaugmented_grids.h5"].map(|name| folder.join(name));
    let found = results.into_iter().find(|file| file.is_file());
    found.ok_or_else(|| ConfigFileError::NoRun {
        path: folder.to_owned(),
    })
}

/// The settings of the one subject that a grids file holds: what was found out about its recording holds for no other.
fn of_grids(file: &Path) -> Result<Table, ConfigFileError> {
    crash_trial::grids(file)?;
    let (subject, config) =
        provenance::subject_and_config(file).ok_or_else(|| ConfigFileError::NoGrids {
            path: file.to_owned(),
        })?;
    let mut settings = of_json(&config);
    // What the program chose, it chooses again.
    if provenance::recorded_baseline(file).is_some_and(|(_, is_auto)| is_auto) {
        settings.remove("baseline");
    }
    // suite2p's traces less neuropil are noted as a difference, which no dataset is called.
    let dataset = settings.get("calcium_dataset").and_then(Value::as_str);
    if dataset.is_some_and(|name| name.contains(" - ")) {
        settings.remove("calcium_dataset");
    }
    settings.extend(of_files(&SubjectFiles::beside(file, &subject))?);
    settings.insert("only".into(), vec![subject].into());
    Ok(settings)
}

/// The flags of the files that are there: a later run may have added some, which the grids do not know.
fn of_files(files: &SubjectFiles) -> Result<Table, CrashingFile> {
    let mut settings = Table::new();
    for (file, flag) in [
        (OutputFile::Traces, "save_traces"),
        (OutputFile::Nwb, "nwb"),
    ] {
        if files.path(file).is_file() {
            settings.insert(flag.into(), true.into());
        }
    }
    let activity = files.path(OutputFile::Activity);
    crash_trial::activity(&activity)?;
    if let Some(precision) = ActivityFile::precision(&activity) {
        settings.insert("activity".into(), precision.name().into());
    }
    Ok(settings)
}

/// The settings of a report, or of TOML.
fn of_text(file: &Path) -> Result<Table, ConfigFileError> {
    let text = fs::read_to_string(file).map_err(|source| ConfigFileError::Unreadable {
        path: file.to_owned(),
        source,
    })?;
    let syntax = |reason: String| ConfigFileError::Syntax {
        path: file.to_owned(),
        reason: reason.trim_end().to_owned(),
    };
    if text.trim_start().starts_with('{') {
        let json: Json = serde_json::from_str(&text).map_err(|error| syntax(error.to_string()))?;
        return Ok(of_json(json.get("configuration").unwrap_or(&json)));
    }
    text.parse()
        .map_err(|error: toml::de::Error| syntax(error.to_string()))
}

/// The settings that a run noted: those that this version has flags for, and that were set.
fn of_json(config: &Json) -> Table {
    let command = crate::cli::command();
    let noted = config.as_object().into_iter().flatten();
    noted
        .filter(|(key, value)| {
            !value.is_null()
                && !NOT_REPEATED.contains(&key.as_str())
                && flag(&command, key).is_some()
        })
        .filter_map(|(key, value)| Some((key.clone(), Value::try_from(value).ok()?)))
        .collect()
}

/// Settings as TOML, with what each means, in the order of `--help`. Those that are not set stand there as comments.
pub(crate) fn to_toml(settings: &Json, of_a_run: &Command) -> String {
    let mut text = format!(
        "# Settings of spikegrid-mpi {}. Give this file back with --config.\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut heading = None;
    for argument in flags(of_a_run) {
        if argument.get_help_heading() != heading {
            heading = argument.get_help_heading();
            let _ = write!(text, "\n# == {} ==\n", heading.unwrap_or_default());
        }
        let (name, help) = (name(argument), argument.get_help().unwrap_or_default());
        let value = match &settings[&name] {
            Json::Null => None,
            value => Value::try_from(value).ok(),
        };
        let _ = match value {
            Some(value) => write!(text, "\n# {help}\n{name} = {value}\n"),
            None => write!(text, "\n# {help}\n# {name} =\n"),
        };
    }
    text
}

#[cfg(test)]
mod tests;
