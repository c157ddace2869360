//! The attributes of `preaugmented_grids.h5` (rule 8.1), and what they say of a file that is there already (rule 8.7).

use std::path::Path;
use std::str::FromStr;

use hdf5::File;
use hdf5::types::VarLenUnicode;
use serde::Serialize;
use spikegrid_core::baseline::Baseline;
use spikegrid_core::cascade::Threshold;
use spikegrid_core::findings::Finding;

use super::date::date;
use super::error::OutputError;
use super::grids::GRIDS;
use crate::input::Identity;
use crate::regular;

const CONFIG: &str = "config";
const SUBJECT: &str = "subject";
const BASELINE: &str = "baseline";
const FINDINGS: &str = "findings";

/// Everything that decides a subject's results: written with them, and compared before they are taken as done
/// (rule 8.7). What only changes how they are computed (ranks, threads, memory) is not part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance {
    /// Name of the CASCADE model.
    pub cascade_model: String,
    /// Checksum over its configuration and weights.
    pub model_sha256: String,
    /// Frames per second of the recording.
    pub sampling_rate: f64,
    /// Window of the running baseline in seconds.
    pub window_sec: f64,
    /// Percentile of the running baseline, 0 to 100.
    pub percentile: f64,
    /// Kind of baseline (rule 3.3).
    pub baseline: Baseline,
    /// Whether the program chose it (rule 3.5); who did makes no difference to the results.
    #[serde(skip)]
    pub baseline_is_auto: bool,
    /// By which every sample is multiplied (rule 3.6).
    pub scale: f64,
    /// The value of missing samples, beside NaN.
    pub missing: Option<f64>,
    /// Longest gap that is bridged, in seconds.
    pub bridge_gaps: f64,
    /// z-planes into which the range of z is cut, if not one for each level (rule 7.4).
    pub planes: Option<usize>,
    /// Their height, if that is given instead.
    pub plane_step: Option<f64>,
    /// Kind of threshold (rule 4.5).
    pub threshold: Threshold,
    /// Frames by which rates are moved later (rule 4.8).
    pub shift_frames: i64,
    /// Dataset with the fluorescence.
    pub calcium_dataset: String,
    /// `all` where all regions of interest of a recording that classifies them are neurons.
    pub cells: Option<&'static str>,
    /// By which neuropil is multiplied before it is subtracted, if not by the recording's own settings.
    pub neuropil_coefficient: Option<f64>,
    /// `--seed`.
    pub seed: u32,
    /// `--split_ratio`.
    pub split_ratio: f64,
    /// The form of the recording (rule 2.6), which its files tell; none before a subject is opened.
    #[serde(skip)]
    pub source_format: Option<&'static str>,
    /// Which input files; none before a subject is opened.
    pub input: Option<Identity>,
}

/// What follows the kind of baseline where the program chose it.
const AUTO: &str = " (auto)";

impl Provenance {
    /// The kind of baseline, and whether the program chose it: `dff (auto)`.
    #[must_use]
    pub fn baseline_and_chooser(&self) -> String {
        let chooser = if self.baseline_is_auto { AUTO } else { "" };
        format!("{}{chooser}", self.baseline)
    }
}

/// The kind of baseline by which a grids file was made, if it is one of ours, and whether the program chose it.
#[must_use]
pub fn recorded_baseline(path: &Path) -> Option<(Baseline, bool)> {
    let file = regular::open_hdf5(path).ok()?;
    file.attr(CONFIG).ok()?;
    let text: VarLenUnicode = file.attr(BASELINE).ok()?.read_scalar().ok()?;
    let (name, is_auto) = match text.strip_suffix(AUTO) {
        Some(name) => (name, true),
        None => (text.as_str(), false),
    };
    let kind = Baseline::ALL.into_iter().find(|kind| kind.name() == name)?;
    Some((kind, is_auto))
}

/// The findings about a subject that its grids file holds; none in files from before there were findings.
#[must_use]
pub fn recorded_findings(path: &Path) -> Vec<Finding> {
    let read = || -> Option<Vec<Finding>> {
        let file = regular::open_hdf5(path).ok()?;
        let text: VarLenUnicode = file.attr(FINDINGS).ok()?.read_scalar().ok()?;
        serde_json::from_str(&text).ok()
    };
    read().unwrap_or_default()
}

/// Whether a grids file is from a program that notes findings.
pub(crate) fn has_findings(path: &Path) -> bool {
    regular::open_hdf5(path).is_ok_and(|file| file.attr(FINDINGS).is_ok())
}

/// Writes the attributes of a grids file of `T` frames and `Z` planes.
///
/// # Errors
/// HDF5's reason.
pub(crate) fn write(
    file: &File,
    subject: &str,
    frames: usize,
    planes: usize,
    provenance: &Provenance,
    findings: &[Finding],
    config: &impl Serialize,
) -> hdf5::Result<()> {
    let integer = |name, value: i64| file.new_attr::<i64>().create(name)?.write_scalar(&value);
    let float = |name, value: f64| file.new_attr::<f64>().create(name)?.write_scalar(&value);
    let string = |name, value: &str| {
        let value =
            VarLenUnicode::from_str(value).map_err(|error| hdf5::Error::from(error.to_string()))?;
        file.new_attr::<VarLenUnicode>()
            .create(name)?
            .write_scalar(&value)
    };
    integer("num_timepoints", frames as i64)?;
    integer("num_z_planes", planes as i64)?;
    string(SUBJECT, subject)?;
    string("cascade_model", &provenance.cascade_model)?;
    float("sampling_rate", provenance.sampling_rate)?;
    float("window_sec", provenance.window_sec)?;
    match provenance.percentile {
        whole if whole.fract() == 0.0 => integer("percentile", whole as i64)?,
        broken => float("percentile", broken)?,
    }
    integer("seed", i64::from(provenance.seed))?;
    float("split_ratio", provenance.split_ratio)?;
    string(BASELINE, &provenance.baseline_and_chooser())?;
    string("threshold", &provenance.threshold.to_string())?;
    string("model_sha256", &provenance.model_sha256)?;
    string("software_version", env!("CARGO_PKG_VERSION"))?;
    if let Some(format) = provenance.source_format {
        string("source_format", format)?;
    }
    let findings = serde_json::to_string(findings).unwrap_or_default();
    string(FINDINGS, &findings)?;
    string(CONFIG, &configuration(provenance, config))
}

/// The resolved configuration as JSON: what decides the results, and what the run was asked.
fn configuration(provenance: &Provenance, config: &impl Serialize) -> String {
    let mut all = serde_json::to_value(config).unwrap_or_default();
    if let (Some(all), Ok(serde_json::Value::Object(decisive))) =
        (all.as_object_mut(), serde_json::to_value(provenance))
    {
        all.extend(decisive);
    }
    all.to_string()
}

/// The subject of a grids file, and the configuration by which it was made, if it is one of ours.
#[must_use]
pub fn subject_and_config(path: &Path) -> Option<(String, serde_json::Value)> {
    let (config, _) = read(path).ok()?;
    let file = regular::open_hdf5(path).ok()?;
    let subject: VarLenUnicode = file.attr(SUBJECT).ok()?.read_scalar().ok()?;
    Some((subject.to_string(), config))
}

/// The configuration by which a grids file was made, and the shape of its grids.
///
/// # Errors
/// A file that cannot be read, or that is not ours.
pub fn read(path: &Path) -> Result<(serde_json::Value, Vec<usize>), OutputError> {
    let unreadable = "is there but cannot be read; write it again with --overwrite";
    let file = regular::open_hdf5(path).map_err(OutputError::hdf5(path, unreadable))?;
    let foreign = || OutputError::Foreign {
        path: path.to_path_buf(),
        missing: CONFIG,
    };
    let text = file.attr(CONFIG).map_err(|_| foreign())?;
    let text: VarLenUnicode = text.read_scalar().map_err(|_| foreign())?;
    let earlier = serde_json::from_str(&text).map_err(|_| foreign())?;
    let grids = file.dataset(GRIDS).map(|grids| grids.shape());
    Ok((earlier, grids.unwrap_or_default()))
}

/// Checks that the complete grids file at `path` has this shape and was made with these settings.
///
/// # Errors
/// A file that cannot be read, that is not ours, or that was made with other settings, which are named with both
/// values.
pub fn check(path: &Path, shape: [usize; 4], provenance: &Provenance) -> Result<(), OutputError> {
    let (earlier, found) = read(path)?;
    let mut differences = differences(provenance, &earlier);
    if differences.is_empty() && found != shape {
        differences.push((
            "the shape of its grids".into(),
            format!("{found:?}"),
            format!("{shape:?}"),
        ));
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(OutputError::Different {
        path: path.to_path_buf(),
        differences: describe(&differences),
    })
}

/// The settings in which `now` differs from what an earlier run wrote: name, value there, value here.
pub(crate) fn differences(
    now: &impl Serialize,
    earlier: &serde_json::Value,
) -> Vec<(String, String, String)> {
    let mut differences = Vec::new();
    if let Ok(now) = serde_json::to_value(now) {
        compare("", earlier, &now, &mut differences);
    }
    differences
}

/// Differences in words: `seed 42 (now 7), percentile 8.0 (now 10.5)`. Times are told as dates, and what is not there as none.
pub(crate) fn describe(differences: &[(String, String, String)]) -> String {
    let each = differences.iter().map(|(name, there, here)| {
        let (name, values) = match name.strip_suffix("modified_ns") {
            Some(stem) => (format!("{stem}modified"), dates(there, here)),
            None => (name.clone(), [there.clone(), here.clone()]),
        };
        let [there, here] = values.map(|value| match value.as_str() {
            "null" => "none".to_owned(),
            _ => value,
        });
        format!("{name} {there} (now {here})")
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Two times in nanoseconds as dates, with fractions of a second where they differ in nothing else.
fn dates(there: &str, here: &str) -> [String; 2] {
    let as_dates = |exact| {
        [there, here].map(|time| match time.parse() {
            Ok(nanoseconds) => date(nanoseconds, exact),
            Err(_) => time.to_owned(),
        })
    };
    let [there, here] = as_dates(false);
    match there == here {
        true => as_dates(true),
        false => [there, here],
    }
}

fn compare(
    prefix: &str,
    earlier: &serde_json::Value,
    now: &serde_json::Value,
    differences: &mut Vec<(String, String, String)>,
) {
    match now {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                let path = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}.{name}")
                };
                compare(
                    &path,
                    earlier.get(name).unwrap_or(&default_of(name)),
                    value,
                    differences,
                );
            }
        }
        value if value == earlier => {}
        // JSON's text may cost a number its last bit.
        value if close(value.as_f64(), earlier.as_f64()) => {}
        value => differences.push((prefix.to_string(), earlier.to_string(), value.to_string())),
    }
}

/// The value of a setting in files from before there was the setting.
fn default_of(name: &str) -> serde_json::Value {
    match name {
        "scale" => 1.0.into(),
        "bridge_gaps" => 0.0.into(),
        _ => serde_json::Value::Null,
    }
}

fn close(now: Option<f64>, earlier: Option<f64>) -> bool {
    let (Some(now), Some(earlier)) = (now, earlier) else {
        return false;
    };
    (now - earlier).abs() <= 4.0 * f64::EPSILON * now.abs()
}

/// Settings for tests, and no files.
#[cfg(test)]
pub(super) fn made_up(seed: u32) -> Provenance {
    Provenance {
        cascade_model: "model".into(),
        model_sha256: "sum".into(),
        sampling_rate: 2.0,
        window_sec: 30.0,
        percentile: 8.0,
        baseline: Baseline::Dff,
        baseline_is_auto: true,
        scale: 1.0,
        missing: None,
        bridge_gaps: 0.0,
        planes: None,
        plane_step: None,
        threshold: Threshold::One,
        shift_frames: 0,
        calcium_dataset: "CellResp".into(),
        cells: None,
        neuropil_coefficient: None,
        seed,
        split_ratio: 0.95,
        source_format: None,
        input: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_8_7_times_are_told_as_dates() {
        let difference = |there: &str, here: &str| {
            let name = "input.time_series.modified_ns".to_owned();
            describe(&[(name, there.to_owned(), here.to_owned())])
        };
        assert_eq!(
            difference("1795851612000000000", "1795851613000000001"),
            "input.time_series.modified 2026-11-28 07:40:12 UTC (now 2026-11-28 07:40:13 UTC)"
        );
        assert_eq!(
            difference("1795851612000000000", "1795851612000000001"),
            "input.time_series.modified 2026-11-28 07:40:12.000000000 UTC (now 2026-11-28 07:40:12.000000001 UTC)"
        );
        assert_eq!(
            difference("null", "1795851612000000000"),
            "input.time_series.modified none (now 2026-11-28 07:40:12 UTC)"
        );
        let seed = ("seed".to_owned(), "42".to_owned(), "7".to_owned());
        assert_eq!(describe(&[seed]), "seed 42 (now 7)");
    }

    #[test]
    fn rule_8_7_what_is_not_there_is_told_as_none() {
        let planes =
            |there: &str, here: &str| [("planes".to_owned(), there.to_owned(), here.to_owned())];
        assert_eq!(describe(&planes("null", "5")), "planes none (now 5)");
        assert_eq!(describe(&planes("5", "null")), "planes 5 (now none)");
    }
}
