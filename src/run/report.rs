//! What became of a run: `report.json` and the last lines (rules 1.4 and 1.5).

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};
use spikegrid_core::cascade::benchmark::ExpectedCorrelation;
use spikegrid_core::findings::Finding;
use spikegrid_core::wording::counted;
use spikegrid_files::output::combined;
use spikegrid_files::output::{OutputError, OutputFile, SubjectFiles, lock_folder, write_whole};
use spikegrid_files::report::{self, RunPage, RunSubject, run_page};

use crate::settings::Config;
use crate::settings::array::ArrayTask;

/// The name of the report as JSON or as a page: each task of an array has one of its own.
pub fn file_name(array: Option<&ArrayTask>, extension: &str) -> String {
    name(array.map(|task| task.id), extension)
}

/// The name of the report of all, or of the task that has this number.
fn name(task: Option<u64>, extension: &str) -> String {
    task.map_or(format!("report.{extension}"), |id| {
        format!("report-{id}.{extension}")
    })
}

/// Whether a subject of this name would stand in the place of a file of the output folder: of the combined metadata, of a report, or of
/// the report of a task.
pub fn is_taken(subject: &str) -> bool {
    let is_report = ["json", "html"].into_iter().any(|extension| {
        let id = subject.strip_prefix("report-");
        let id = id.and_then(|rest| rest.strip_suffix(extension)?.strip_suffix('.'));
        let id = id.and_then(|id| id.parse::<u64>().ok());
        [None, id]
            .map(|id| name(id, extension))
            .contains(&subject.to_owned())
    });
    is_report || subject == combined::NAME
}

/// How a subject ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Processed,
    /// Complete before this run, with the same settings.
    Skipped,
    Failed,
    /// Not reached before the run was stopped.
    Stopped,
}

/// Seconds spent on a subject.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StageSeconds {
    /// By rank 0, on opening the files and planning.
    pub open: f64,
    /// Summed over ranks.
    pub read: f64,
    /// From fluorescence to spikes, summed over compute threads.
    pub compute: f64,
    /// From spikes to compressed planes, summed over compute threads.
    #[serde(rename = "draw")]
    pub rasterise: f64,
    /// By the writer, on cutting slabs out of the spikes.
    #[serde(default)]
    pub cut: f64,
    /// On writing planes into the file, summed over ranks.
    pub write: f64,
    /// By the writer, on laying the file out, writing the index of the planes, and checking both.
    #[serde(default)]
    pub index: f64,
    /// By rank 0, on the files that it completes and on bringing all to disk.
    pub finish: f64,
    /// From the opening to the final names; other subjects are processed in the same time.
    pub total: f64,
}

/// One subject's part of the report.
#[derive(Debug, Clone, Serialize)]
pub struct SubjectReport {
    pub name: String,
    pub outcome: Outcome,
    pub error: Option<String>,
    /// Of the recording, in Hz.
    pub sampling_rate: f64,
    /// Kind of baseline, and whether the program chose it.
    pub baseline: String,
    /// Name of the model; empty where it is not known, as is its checksum.
    pub cascade_model: String,
    pub model_sha256: String,
    /// What the model's benchmark lets one expect of the neurons; none where nothing is known or nothing was computed.
    pub expected_correlation: Option<ExpectedCorrelation>,
    pub findings: Vec<Finding>,
    /// Spikes of all neurons over time, thinned out, for the page of the run.
    #[serde(skip)]
    pub activity: Vec<u32>,
    pub neurons: usize,
    pub frames: usize,
    pub z_planes: usize,
    pub spikes: u64,
    /// Bytes of the files written.
    pub output_bytes: u64,
    pub work_units: usize,
    /// Work units that an interrupted run had finished.
    pub work_units_from_journal: usize,
    pub files_written: Vec<String>,
    /// Who wrote the planes of the grids; none where this run wrote no grids.
    pub planes_written_by: Option<String>,
    pub stage_sec: StageSeconds,
}

impl SubjectReport {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_string(),
            outcome: Outcome::Stopped,
            error: None,
            sampling_rate: 0.0,
            baseline: String::new(),
            cascade_model: String::new(),
            model_sha256: String::new(),
            expected_correlation: None,
            findings: Vec::new(),
            activity: Vec::new(),
            neurons: 0,
            frames: 0,
            z_planes: 0,
            spikes: 0,
            output_bytes: 0,
            work_units: 0,
            work_units_from_journal: 0,
            files_written: Vec::new(),
            planes_written_by: None,
            stage_sec: StageSeconds::default(),
        }
    }
}

impl SubjectReport {
    /// What the page of the run tells of it.
    fn on_page(&self, output_dir: &Path) -> RunSubject<'_> {
        let page = SubjectFiles::new(output_dir, &self.name).path(OutputFile::Page);
        let page = page.strip_prefix(output_dir).ok().filter(|_| page.exists());
        RunSubject {
            name: &self.name,
            outcome: match self.outcome {
                Outcome::Processed => report::Outcome::Processed,
                Outcome::Skipped => report::Outcome::Skipped,
                Outcome::Failed => report::Outcome::Failed,
                Outcome::Stopped => report::Outcome::Stopped,
            },
            error: self.error.as_deref(),
            findings: &self.findings,
            neurons: self.neurons,
            frames: self.frames,
            planes: self.z_planes,
            spikes: self.spikes,
            sampling_rate_hz: (self.sampling_rate > 0.0).then_some(self.sampling_rate),
            expected_correlation: self.expected_correlation,
            activity: &self.activity,
            page: page.map(|page| page.display().to_string()),
        }
    }
}

/// The whole report.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub software_version: &'static str,
    pub exit_status: u8,
    #[serde(serialize_with = "as_json")]
    pub configuration: Config,
    /// Of the model that the user named; with `--cascade_model auto` each subject has its own.
    pub model_sha256: Option<String>,
    pub ranks: usize,
    /// Which ranks evaluated the network where.
    pub devices: Vec<String>,
    pub warnings: Vec<String>,
    pub subjects: Vec<SubjectReport>,
    pub neuron_frames: u64,
    pub wall_sec: f64,
    pub peak_resident_bytes_per_rank: Vec<u64>,
}

impl Report {
    fn count(&self, outcome: Outcome) -> usize {
        self.subjects
            .iter()
            .filter(|subject| subject.outcome == outcome)
            .count()
    }

    /// Writes it into the output folder, as JSON and as a page.
    ///
    /// # Errors
    /// The system's reason.
    pub fn write(&self, output_dir: &Path) -> Result<(), OutputError> {
        let _lock = lock_folder(output_dir)?;
        let json = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        for (extension, text) in [("json", json), ("html", self.page(output_dir))] {
            let path = output_dir.join(file_name(self.configuration.array.as_ref(), extension));
            write_whole(&path, |partial| {
                std::fs::write(partial, text).map_err(OutputError::io(&path, "cannot be written"))
            })?;
        }
        Ok(())
    }

    /// The model that the user named, or those that were chosen, with the number of their subjects.
    fn models(&self) -> String {
        let config = &self.configuration;
        let mut subjects = BTreeMap::new();
        let chosen = self.subjects.iter().map(|subject| &subject.cascade_model);
        for name in chosen.filter(|name| config.chooses_models() && !name.is_empty()) {
            *subjects.entry(name).or_insert(0) += 1;
        }
        let chosen: Vec<String> = subjects
            .iter()
            .map(|(name, count)| format!("{name} of {}", counted(*count, "subject")))
            .collect();
        match chosen.as_slice() {
            [] => config.cascade_model.clone(),
            chosen => format!("{}: {}", config.cascade_model, chosen.join(", ")),
        }
    }

    /// The page of the run.
    fn page(&self, output_dir: &Path) -> String {
        let config = &self.configuration;
        let facts = [
            ("input", config.input_dir.display().to_string()),
            ("output", output_dir.display().to_string()),
            ("model", self.models()),
            ("baseline", config.data.baseline.to_string()),
            ("threshold", config.threshold.to_string()),
            ("seed", config.seed.to_string()),
            ("ranks", self.ranks.to_string()),
            ("devices", self.devices.join("; ")),
            ("duration", format!("{:.1} s", self.wall_sec)),
            ("warnings", self.warnings.join("; ")),
        ];
        let facts: Vec<_> = facts
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let subjects: Vec<RunSubject> = self
            .subjects
            .iter()
            .map(|subject| subject.on_page(output_dir))
            .collect();
        run_page(&RunPage {
            software_version: self.software_version,
            facts: &facts,
            subjects: &subjects,
        })
    }

    /// The last lines of a run.
    pub fn last_lines(&self) -> String {
        let peak = self
            .peak_resident_bytes_per_rank
            .iter()
            .max()
            .copied()
            .unwrap_or(0);
        let stopped = match self.count(Outcome::Stopped) {
            0 => String::new(),
            count => {
                format!(", {count} not done (stopped: run the same command again to continue)")
            }
        };
        format!(
            "{} neuron-frames in {:.1} s: {} neuron-frames/s; peak memory at most {} MiB per rank\n\
             subjects: {} processed, {} skipped, {} failed{stopped}",
            self.neuron_frames,
            self.wall_sec,
            engineering(self.neuron_frames as f64 / self.wall_sec.max(1e-9)),
            peak >> 20,
            self.count(Outcome::Processed),
            self.count(Outcome::Skipped),
            self.count(Outcome::Failed),
        )
    }
}

fn as_json<S: Serializer>(config: &Config, serializer: S) -> Result<S::Ok, S::Error> {
    config.as_json().serialize(serializer)
}

/// A number in three digits with its power of thousand: `1.23 M`.
pub fn engineering(value: f64) -> String {
    let (scaled, prefix) = match value {
        v if v >= 1e9 => (v / 1e9, " G"),
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e3 => (v / 1e3, " k"),
        v => (v, ""),
    };
    let decimals = if scaled >= 100.0 {
        0
    } else if scaled >= 10.0 {
        1
    } else {
        2
    };
    format!("{scaled:.decimals$}{prefix}")
}

/// The most memory this process has had resident, in bytes; 0 where the system does not say.
pub fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_1_4_names_of_output_files_are_taken_and_names_like_them_are_not() {
        let taken = [
            "combined_metadata.h5",
            "report.json",
            "report-0.html",
            "report-12.json",
        ];
        let free = [
            "report",
            "report-.json",
            "report-+1.json",
            "report-01.html",
            "report-1",
            "my report.json",
        ];
        assert!(taken.iter().all(|name| is_taken(name)));
        assert!(!free.iter().any(|name| is_taken(name)));
    }
}
