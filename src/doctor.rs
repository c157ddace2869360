//! The command `doctor` (rule 9.2): what the recordings of a folder are, by an excerpt of each, without MPI, and without a model unless one
//! is named.

mod asked;

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use spikegrid_core::baseline::Baseline;
use spikegrid_core::findings::{self, Finding, Severity};
use spikegrid_core::wording::counted;
use spikegrid_files::input;
use spikegrid_files::input::discovery::Subject;

use crate::models::Place;
use crate::recording;
use crate::run::setup::{select, skipped_in_vain};
use crate::settings::flags::{ConfigFlag, DataArgs};
use crate::settings::{ConfigError, DEFAULT_MODEL, check_data};
use asked::{Asked, Models};

/// The rate by which noise is judged where neither the recording, a flag nor a named model says one: that of the default model.
const ASSUMED_RATE_HZ: f64 = 2.0;

/// Which recordings to judge.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Folder with the subjects
    #[arg(long, value_name = "DIR", default_value = "raw_trace_data_2018")]
    input_dir: PathBuf,
    /// Judge these subjects only, by folder name; a name that has a comma needs an --only of its own
    #[arg(long, value_name = "A,B")]
    only: Vec<String>,
    /// Leave these subjects out, by folder name; a name that has a comma needs a --skip of its own
    #[arg(long, value_name = "A,B")]
    skip: Vec<String>,
    /// CASCADE model to check, too: its name, or auto, as a run takes it [default: none; says which one auto would take]
    #[arg(long, value_name = "NAME")]
    cascade_model: Option<String>,
    /// Print JSON in place of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    models: Place,
    /// Of a run, of which the flags above are part.
    #[command(flatten)]
    pub config: ConfigFlag,
}

/// What was found out about a subject.
#[derive(Debug, Default, Serialize)]
struct Judged {
    name: String,
    /// The form of the recording (rule 2.6), and by what it was recognised.
    format: Option<&'static str>,
    reason: String,
    /// The dataset, series or array with the fluorescence.
    dataset: String,
    frames: usize,
    neurons: usize,
    z_planes: usize,
    /// In Hz; None where neither the recording nor a flag says it.
    sampling_rate: Option<f64>,
    /// What the network would get.
    baseline: Option<Baseline>,
    /// The model that `--cascade_model auto` would take; None where it would take none.
    auto_model: Option<String>,
    /// Why `--cascade_model auto` would take none.
    auto_error: Option<String>,
    /// Why a run would fail.
    error: Option<String>,
    findings: Vec<Finding>,
}

/// All of them, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    /// Judged by an excerpt: a run may find more.
    sample: bool,
    /// Why a run could not start with the model of `--cascade_model`.
    model_error: Option<String>,
    subjects: Vec<Judged>,
}

/// Judges the subjects; exit status 1 if a run would fail.
///
/// # Errors
/// Nothing can be judged: a flag makes no sense, or there is no subject.
pub fn run(arguments: &DoctorArgs) -> Result<u8, Box<dyn Error>> {
    check_data(&arguments.data)?;
    let model_dir = arguments.models.model_dir.as_deref();
    let mut models = Models::find(arguments.cascade_model.as_deref(), model_dir)?;
    let subjects = subjects(arguments)?;
    let width = subjects.iter().map(|subject| subject.name.chars().count());
    let width = width.max().unwrap_or(0).max("subject".len());
    if !arguments.json {
        say!("{}", header(width));
    }
    let mut judged = Vec::new();
    for subject in &subjects {
        let found = Judged::of(subject, &arguments.data, &mut models);
        if !arguments.json {
            found.print(width, &models.asked);
        }
        judged.push(found);
    }
    let model_error = models.error();
    let would_fail = model_error.is_some() || judged.iter().any(|found| found.error.is_some());
    let report = Report {
        sample: true,
        model_error,
        subjects: judged,
    };
    match arguments.json {
        true => say!("{}", serde_json::to_string_pretty(&report)?),
        false => report.print_end(&models),
    }
    Ok(u8::from(would_fail))
}

fn subjects(arguments: &DoctorArgs) -> Result<Vec<Subject>, Box<dyn Error>> {
    let DoctorArgs {
        input_dir,
        only,
        skip,
        ..
    } = arguments;
    let found = input::subjects(input_dir)?;
    for warning in skipped_in_vain(skip, &found) {
        eprintln!("warning: {warning}");
    }
    let selected: Result<_, ConfigError> = select(found, only, skip, input_dir);
    Ok(selected?)
}

impl Report {
    /// Prints what all subjects come to.
    fn print_end(&self, models: &Models) {
        let subjects = &self.subjects;
        let failing = subjects.iter().filter(|found| found.error.is_some());
        say!(
            "\n{} judged by a sample of 16 times 16 frames of at most 4,096 neurons: a run reads all and may find more.\n{}",
            counted(subjects.len(), "subject"),
            match (&self.model_error, failing.count()) {
                (Some(reason), _) => format!("A run would not start: {reason}"),
                (None, 0) if models.lack_default() => format!(
                    "A run would process all of them with a model that --cascade_model names: the default model {DEFAULT_MODEL} is not \
                     installed, or cannot be read."
                ),
                (None, 0) => "A run would process all of them.".to_owned(),
                (None, failing) => format!("A run would fail for {failing} of them."),
            }
        );
        let without_model = subjects.iter().filter(|found| found.auto_error.is_some());
        match (&models.asked, without_model.count()) {
            (Asked::Nothing, count) if count > 0 && count == subjects.len() => {
                say!("With --cascade_model auto, it would fail for all of them.");
            }
            (Asked::Nothing, count) if count > 0 => say!(
                "With --cascade_model auto, it would fail for {count} of them for want of a model."
            ),
            _ => {}
        }
    }
}

impl Judged {
    /// Judges a subject by the headers of its files and its excerpt, and by the models.
    fn of(subject: &Subject, data: &DataArgs, models: &mut Models) -> Self {
        let mut judged = Self {
            name: subject.name.clone(),
            ..Self::default()
        };
        let mut outcome = judged.judge(subject, data, models);
        // A recording that cannot be read needs no model.
        if judged.frames > 0 {
            outcome = outcome.and(judged.choose_model(models));
        }
        if let Err(error) = outcome {
            let finding = error.downcast_ref::<Finding>();
            judged.findings.extend(finding.cloned());
            judged.error = Some(error.to_string());
        }
        findings::sort(&mut judged.findings);
        judged
    }

    /// # Errors
    /// Why a run would fail.
    fn judge(
        &mut self,
        subject: &Subject,
        data: &DataArgs,
        models: &Models,
    ) -> Result<(), Box<dyn Error>> {
        let source = recording::open(subject, data)?;
        (self.frames, self.neurons) = (source.frames(), source.neurons());
        self.format = Some(source.format);
        self.reason.clone_from(&source.reason);
        self.dataset.clone_from(&source.dataset);
        self.findings.clone_from(&source.findings);
        let (layout, findings) = recording::lay_out(&source, data)?;
        self.z_planes = layout.planes();
        self.findings.extend(findings);
        self.sampling_rate = data.sampling_rate.or(source.rate);
        let rate = self.sampling_rate.or(models.named_rate());
        self.findings.extend(recording::flags(&source, rate, data));
        self.findings
            .extend(models.findings(self.sampling_rate, self.frames));
        let rate = rate.unwrap_or(ASSUMED_RATE_HZ);
        let excerpt = recording::excerpt(&source)?;
        let kind = recording::kind(&source, &excerpt, rate, data);
        self.findings
            .extend(excerpt.findings(&kind, data.missing_sample()));
        let (baseline, finding) = recording::baseline(&kind, data.baseline.given())?;
        self.findings.extend(finding);
        self.baseline = Some(baseline);
        Ok(())
    }

    /// Notes which of the installed models `--cascade_model auto` would take (rule 4.9).
    ///
    /// # Errors
    /// It would take none or one that cannot be read, and the user asked for it.
    fn choose_model(&mut self, models: &mut Models) -> Result<(), Box<dyn Error>> {
        match &models.general {
            Err(reason) => self.auto_error = Some(reason.to_string()),
            Ok(general) => match findings::choose_model(self.sampling_rate, general) {
                Ok(model) => {
                    let name = self.auto_model.insert(model.name.clone()).clone();
                    self.findings.extend(models.take(&name, self.frames)?);
                }
                Err(failure) => {
                    self.auto_error = Some(failure.message.clone());
                    if matches!(models.asked, Asked::Auto) {
                        return Err(failure.into());
                    }
                }
            },
        }
        Ok(())
    }

    /// Prints its row of the table, and its findings below. `width` is that of the longest name.
    fn print(&self, width: usize, asked: &Asked) {
        let rate = self
            .sampling_rate
            .map_or("?".to_owned(), |rate| format!("{rate:.3}"));
        let baseline = self.baseline.map_or("-", Baseline::name);
        say!(
            "{:<width$} {:>9} {:>9} {:>7} {:>8}  {:<8}  {}",
            self.name,
            self.frames,
            self.neurons,
            self.z_planes,
            rate,
            baseline,
            self.summary()
        );
        if let Some(format) = self.format {
            say!("    read as {format}: {}", self.reason);
        }
        match (asked, &self.auto_model, &self.auto_error) {
            (Asked::Nothing | Asked::Auto, Some(model), _) => {
                say!("    --cascade_model auto would take {model}");
            }
            (Asked::Nothing, None, Some(reason)) => {
                say!("    --cascade_model auto would fail: {reason}");
            }
            _ => {}
        }
        for finding in &self.findings {
            say!("    {}: {finding}", finding.severity.name());
        }
        let is_finding = |error: &String| {
            self.findings
                .iter()
                .any(|found| found.to_string() == *error)
        };
        if let Some(error) = self.error.as_ref().filter(|error| !is_finding(error)) {
            say!("    error: {error}");
        }
    }

    /// What the findings come to, in a word or two.
    fn summary(&self) -> String {
        let of = |severity| {
            let findings = self.findings.iter();
            findings.filter(|found| found.severity == severity).count()
        };
        let warnings = of(Severity::Warning);
        match (&self.error, warnings) {
            (Some(_), _) => "would fail".to_owned(),
            (None, 0) => "no warning".to_owned(),
            (None, warnings) => counted(warnings, "warning"),
        }
    }
}

fn header(width: usize) -> String {
    format!(
        "{:<width$} {:>9} {:>9} {:>7} {:>8}  {:<8}  {}",
        "subject", "frames", "neurons", "planes", "Hz", "baseline", "findings"
    )
}
