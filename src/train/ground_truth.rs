//! Simultaneous recordings of calcium and spikes, as CASCADE's ground truth stores them.
//!
//! `<ground truth>/<dataset>/*.mat` is one neuron each, a MAT-file 5 with the cell array `CAttached`: one struct per trial
//! with `fluo_mean` (ΔF/F), `fluo_time` (s) and `events_AP` (times of the spikes, in units of 1e-4 s).

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spikegrid_core::cascade::config::MAX_SAMPLING_RATE;
use spikegrid_files::input::matlab::{Array, MatError, mat5};
use spikegrid_files::regular;
use thiserror::Error;

/// Lowest frame rate of a recording, in Hz.
const LEAST_RATE: f64 = 0.1;

/// Neurons recorded with one indicator in one kind of tissue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dataset {
    /// Name of its folder.
    pub name: String,
    /// Its neurons, in the order of their names.
    pub neurons: Vec<Neuron>,
}

/// One neuron and its trials.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Neuron {
    /// Name of its file.
    pub name: String,
    /// Its recordings.
    pub trials: Vec<Trial>,
}

/// An uninterrupted recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// ΔF/F, (frames).
    pub dff: Vec<f64>,
    /// Frames per second.
    pub frame_rate: f64,
    /// Times of the spikes, in seconds after the first frame.
    pub spikes: Vec<f64>,
}

/// Why ground truth can't be used.
#[derive(Debug, Error)]
pub enum GroundTruthError {
    /// A folder or file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A dataset is not there.
    #[error(
        "{}: there is no such dataset. Expected a folder of MAT-files, one per neuron, as in CASCADE's Ground_truth; --ground_truth names the \
         folder that holds it", path.display()
    )]
    NoDataset {
        /// The folder that it should be.
        path: PathBuf,
    },
    /// A file is no MAT-file with `CAttached`.
    #[error("{}: {source}", path.display())]
    Mat {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: MatError,
    },
    /// A trial whose fields are not as expected.
    #[error("{}: trial {trial} of CAttached: expected {expected}, found {found}", path.display())]
    Trial {
        /// The file.
        path: PathBuf,
        /// From 1, as MATLAB counts.
        trial: usize,
        /// What the trial should have.
        expected: &'static str,
        /// What it has.
        found: String,
    },
    /// A folder without neurons.
    #[error("{}: expected MAT-files of neurons (*.mat), found none", path.display())]
    NoNeurons {
        /// The folder.
        path: PathBuf,
    },
}

/// Reads the dataset in the folder `dir`, its neurons in the order of their names. Trials without `fluo_mean` are passed
/// over with a line in `warnings`.
///
/// # Errors
/// No such folder, a folder without neurons, a file that can't be read, a trial whose fields are not as described above.
pub fn read_dataset(dir: &Path, warnings: &mut Vec<String>) -> Result<Dataset, GroundTruthError> {
    let io = |source| GroundTruthError::Io {
        path: dir.into(),
        source,
    };
    if !dir.is_dir() {
        return Err(GroundTruthError::NoDataset { path: dir.into() });
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "mat") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(GroundTruthError::NoNeurons { path: dir.into() });
    }
    paths.sort_unstable();
    let neurons = paths
        .iter()
        .map(|path| read_neuron(path, warnings))
        .collect::<Result<_, _>>()?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    Ok(Dataset {
        name: name.into_owned(),
        neurons,
    })
}

fn read_neuron(path: &Path, warnings: &mut Vec<String>) -> Result<Neuron, GroundTruthError> {
    let file = regular::open(path).map_err(|source| GroundTruthError::Io {
        path: path.into(),
        source,
    })?;
    let wanted = |field: &str| FIELDS.contains(&field);
    let variable =
        mat5::read_variable(&mut BufReader::new(file), "CAttached", &wanted).map_err(|source| {
            GroundTruthError::Mat {
                path: path.into(),
                source,
            }
        })?;
    let elements = match variable {
        Array::Cell { elements, .. } => elements,
        one => vec![one],
    };
    let mut trials = Vec::with_capacity(elements.len());
    for (index, element) in elements.into_iter().enumerate() {
        let refuse = |(expected, found)| GroundTruthError::Trial {
            path: path.into(),
            trial: index + 1,
            expected,
            found,
        };
        match read_trial(element).map_err(refuse)? {
            Some(trial) => trials.push(trial),
            None => warnings.push(format!(
                "{}: trial {} of CAttached has no fluo_mean, fluo_time and events_AP: it is not used",
                path.display(),
                index + 1
            )),
        }
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Neuron {
        name: name.into_owned(),
        trials,
    })
}

const FIELDS: [&str; 3] = ["fluo_mean", "fluo_time", "events_AP"];

/// A trial; None if a field is missing; what was expected and found if one is unusable.
fn read_trial(element: Array) -> Result<Option<Trial>, (&'static str, String)> {
    let mut element = element;
    while let Array::Cell { mut elements, dims } = element {
        element = match elements.pop() {
            Some(content) if elements.is_empty() => content,
            _ => return Err(("one struct", format!("a {dims:?} cell array"))),
        };
    }
    let fields = match element {
        Array::Struct { dims, fields } if dims.iter().all(|&count| count == 1) => fields,
        Array::Numeric(numeric) if numeric.values.is_empty() => return Ok(None),
        other => return Err(("one struct", other.describe())),
    };
    let mut values = [const { None }; 3];
    for (name, contents) in fields {
        if let Some(place) = FIELDS.iter().position(|field| *field == name) {
            values[place] = contents.into_iter().next();
        }
    }
    let [Some(dff), Some(times), Some(events)] = values else {
        return Ok(None);
    };
    let (dff, times, events) = (numbers(dff)?, numbers(times)?, numbers(events)?);
    let frames: Vec<(f64, f64)> = times
        .into_iter()
        .zip(dff)
        .filter(|(time, _)| !time.is_nan())
        .collect();
    let (Some(&(first, _)), Some(&(last, _))) = (frames.first(), frames.last()) else {
        return Ok(None);
    };
    let frame_rate = (frames.len() - 1) as f64 / (last - first);
    if !(LEAST_RATE..=MAX_SAMPLING_RATE).contains(&frame_rate) {
        return Err((
            "0.1 to 10000 frames per second by fluo_time, in seconds",
            format!("{first} to {last} s in {} frames", frames.len()),
        ));
    }
    if let Some(frame) = frames
        .iter()
        .position(|(_, dff)| !(*dff as f32).is_finite())
    {
        return Err((
            "finite ΔF/F fluo_mean",
            format!("{} at frame {frame}", frames[frame].1),
        ));
    }
    Ok(Some(Trial {
        dff: frames.into_iter().map(|(_, dff)| dff).collect(),
        frame_rate,
        spikes: events
            .into_iter()
            .filter(|event| !event.is_nan())
            .map(|event| event * 1e-4 - first)
            .collect(),
    }))
}

fn numbers(array: Array) -> Result<Vec<f64>, (&'static str, String)> {
    match array {
        Array::Numeric(numeric) => Ok(numeric.values),
        other => Err(("numbers", other.describe())),
    }
}
