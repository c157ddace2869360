//! Made-up subjects in the input format of section 2, with their true spikes.
//!
//! ```text
//! subject_1/TimeSeries.h5    CellResp f32 (T, N), absIX f64 (1, N)
//! subject_1/data_full.mat    struct data: CellXYZ (N_full, 3), IX_inval_anat, fpsec, numcell_full
//! subject_1/true_spikes.h5   spikes u8 (T, N): spikes of each neuron in each frame
//! ```
//! Recordings are made a few frames of all neurons at a time, so that memory does not grow with their length.

mod activity;
mod brain;
mod mat_file;
pub mod trial;

use std::fs;
use std::path::{Path, PathBuf};

use activity::{Neuron, Population};
use brain::Brain;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// What `demo-data` writes.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoOptions {
    /// Subjects to make.
    #[arg(long, default_value_t = 3)]
    pub subjects: usize,
    /// Neurons of each subject.
    #[arg(long, default_value_t = 2000)]
    pub neurons: usize,
    /// Frames of each subject.
    #[arg(long, default_value_t = 2000)]
    pub frames: usize,
    /// Folder to write the subjects into.
    #[arg(long, default_value = "raw_trace_data_demo")]
    pub output: PathBuf,
    /// The same seed gives the same data.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Frames per second of the made-up recording, in Hz.
    #[arg(long = "rate_hz", visible_alias = "rate-hz", default_value_t = 2.0)]
    pub rate_hz: f64,
}

/// Why demo data cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// An option is out of its range.
    #[error("--{option}: expected {expected}, found {found}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// The output folder already has subjects.
    #[error(
        "{path}: expected a new or empty output folder, found {found} in it; choose another --output or remove it"
    )]
    Occupied {
        /// The output folder.
        path: String,
        /// One of its subjects.
        found: String,
    },
    /// A file or folder cannot be written.
    #[error("{path}: cannot be written: {reason}")]
    Write {
        /// The file or folder.
        path: String,
        /// The reason.
        reason: String,
    },
}

impl DemoError {
    fn write(path: &Path, reason: impl std::fmt::Display) -> DemoError {
        DemoError::Write {
            path: path.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Most neurons of a subject: what a field of a MAT-file 5 holds with room to spare.
const MAX_NEURONS: usize = 10_000_000;

/// Writes the subjects `subject_1`, `subject_2`, … into the output folder.
///
/// `progress` is told, in a line each, what is being made. A subject is made in a folder of another name, which becomes
/// `subject_*` when all its files are complete.
///
/// # Errors
/// If an option is out of range, the output folder already has subjects, or a file cannot be written.
pub fn write(options: &DemoOptions, mut progress: impl FnMut(&str)) -> Result<(), DemoError> {
    check(options)?;
    fs::create_dir_all(&options.output).map_err(|e| DemoError::write(&options.output, e))?;
    refuse_occupied(&options.output)?;
    write_missing(options, &mut progress)
}

/// Writes the subjects that are not there.
fn write_missing(options: &DemoOptions, progress: &mut impl FnMut(&str)) -> Result<(), DemoError> {
    for number in 1..=options.subjects {
        let name = format!("subject_{number}");
        if options.output.join(&name).exists() {
            continue;
        }
        let unfinished = options.output.join(format!(".{name}.unfinished"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(|e| DemoError::write(&unfinished, e))?;
        }
        fs::create_dir(&unfinished).map_err(|e| DemoError::write(&unfinished, e))?;
        let complete = options.output.join(&name);
        let made = write_subject(options, number, &unfinished, |percent| {
            progress(&format!(
                "{name}: {percent} % of {} neurons × {} frames",
                options.neurons, options.frames
            ));
        })
        .and_then(|()| {
            fs::rename(&unfinished, &complete).map_err(|e| DemoError::write(&complete, e))
        });
        if made.is_err() {
            // The error that stopped the work says more than one about cleaning up.
            let _ = fs::remove_dir_all(&unfinished);
        }
        made?;
    }
    Ok(())
}

fn check(options: &DemoOptions) -> Result<(), DemoError> {
    let wrong = |option, expected, found: String| {
        Err(DemoError::Option {
            option,
            expected,
            found,
        })
    };
    if !(1..=10_000).contains(&options.subjects) {
        return wrong("subjects", "1 to 10000", options.subjects.to_string());
    }
    if !(1..=MAX_NEURONS).contains(&options.neurons) {
        return wrong("neurons", "1 to 10000000", options.neurons.to_string());
    }
    if !(1..=100_000_000).contains(&options.frames) {
        return wrong("frames", "1 to 100000000", options.frames.to_string());
    }
    if !(0.1..=1000.0).contains(&options.rate_hz) {
        return wrong("rate_hz", "0.1 to 1000 Hz", options.rate_hz.to_string());
    }
    Ok(())
}

fn refuse_occupied(output: &Path) -> Result<(), DemoError> {
    for entry in fs::read_dir(output).map_err(|e| DemoError::write(output, e))? {
        let name = entry.map_err(|e| DemoError::write(output, e))?.file_name();
        if name.as_encoded_bytes().starts_with(b"subject_") {
            return Err(DemoError::Occupied {
                path: output.display().to_string(),
                found: name.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(())
}

/// Writes the three files of one subject into `dir`.
fn write_subject(
    options: &DemoOptions,
    number: usize,
    dir: &Path,
    progress: impl FnMut(usize),
) -> Result<(), DemoError> {
    let seed = crate::random::subject_seed(options.seed, number as u64);
    let brain = Brain::new(options.neurons, number, seed);
    let mat = dir.join("data_full.mat");
    let bytes = mat_file::data_full(&brain, options.rate_hz)
        .ok_or_else(|| DemoError::write(&mat, "too many cells for a MAT-file 5"))?;
    fs::write(&mat, bytes).map_err(|e| DemoError::write(&mat, e))?;
    let neurons: Vec<Neuron> = brain
        .regions
        .iter()
        .enumerate()
        .map(|(n, &region)| Neuron::new(seed, n as u64, region, options.rate_hz))
        .collect();
    record(options, dir, &brain, neurons, seed, progress)
}

/// Bytes of traces in one block of frames.
const BLOCK_BYTES: usize = 16 << 20;

/// Simulates the recording block by block and appends each block to the two HDF5 files.
fn record(
    options: &DemoOptions,
    dir: &Path,
    brain: &Brain,
    mut neurons: Vec<Neuron>,
    seed: u64,
    mut progress: impl FnMut(usize),
) -> Result<(), DemoError> {
    let (frames, count) = (options.frames, neurons.len());
    let block = (BLOCK_BYTES / 4 / count).clamp(1, 256).min(frames);
    let files = Files::create(options, dir, brain, block)?;
    let mut population = Population::new(seed, options.rate_hz);
    let (mut traces, mut spikes) = (vec![0f32; count * block], vec![0u8; count * block]);
    let (mut rows, mut spike_rows) = (vec![0f32; count * block], vec![0u8; count * block]);
    let mut tenths = 0;
    for start in (0..frames).step_by(block) {
        let length = block.min(frames - start);
        let drive = population.drive(length);
        // Each neuron has its own random numbers: the result is the same for any number of threads.
        neurons
            .par_iter_mut()
            .zip(traces.par_chunks_mut(block))
            .zip(spikes.par_chunks_mut(block))
            .for_each(|((neuron, trace), spikes)| {
                neuron.simulate(start, &drive, &mut trace[..length], &mut spikes[..length]);
            });
        transpose(&traces, block, &mut rows[..count * length]);
        transpose(&spikes, block, &mut spike_rows[..count * length]);
        files.append(
            start,
            &rows[..count * length],
            &spike_rows[..count * length],
        )?;
        if (start + length) * 10 / frames > tenths {
            tenths = (start + length) * 10 / frames;
            progress(tenths * 10);
        }
    }
    files.close()
}

/// From neuron-major lines of `stride` values to frame-major rows, one value of each neuron.
fn transpose<V: Copy + Send + Sync>(lines: &[V], stride: usize, rows: &mut [V]) {
    let count = lines.len() / stride;
    rows.par_chunks_mut(count)
        .enumerate()
        .for_each(|(frame, row)| {
            for (to, line) in row.iter_mut().zip(lines.chunks_exact(stride)) {
                *to = line[frame];
            }
        });
}

/// The two HDF5 files of a subject while they are written.
struct Files {
    time_series: (PathBuf, hdf5::File, hdf5::Dataset),
    true_spikes: (PathBuf, hdf5::File, hdf5::Dataset),
}

impl Files {
    fn create(
        options: &DemoOptions,
        dir: &Path,
        brain: &Brain,
        block: usize,
    ) -> Result<Files, DemoError> {
        let shape = (options.frames, brain.regions.len());
        let path = dir.join("TimeSeries.h5");
        let time_series = (|| {
            let file = hdf5::File::create_excl(&path)?;
            let rows: Vec<f64> = brain.abs_ix.iter().map(|&row| f64::from(row)).collect();
            file.new_dataset::<f64>()
                .shape((1, rows.len()))
                .create("absIX")?
                .write_raw(&rows)?;
            let traces = file.new_dataset::<f32>().shape(shape).create("CellResp")?;
            Ok((path.clone(), file, traces))
        })()
        .map_err(|e: hdf5::Error| DemoError::write(&path, e))?;
        let path = dir.join("true_spikes.h5");
        let true_spikes = (|| {
            let file = hdf5::File::create_excl(&path)?;
            let attribute =
                |name: &str, value: f64| file.new_attr::<f64>().create(name)?.write_scalar(&value);
            attribute("rate_hz", options.rate_hz)?;
            let spikes = file
                .new_dataset::<u8>()
                .shape(shape)
                .chunk((block, shape.1))
                .deflate(1)
                .create("spikes")?;
            Ok((path.clone(), file, spikes))
        })()
        .map_err(|e: hdf5::Error| DemoError::write(&path, e))?;
        Ok(Files {
            time_series,
            true_spikes,
        })
    }

    /// Writes whole frames from `start` on, frame-major.
    fn append(&self, start: usize, traces: &[f32], spikes: &[u8]) -> Result<(), DemoError> {
        put(&self.time_series, start, traces)?;
        put(&self.true_spikes, start, spikes)
    }

    /// Flushes and closes both files: a full disk is an error here rather than a short file.
    fn close(self) -> Result<(), DemoError> {
        for (path, file, dataset) in [self.time_series, self.true_spikes] {
            drop(dataset);
            file.flush()
                .and_then(|()| file.close())
                .map_err(|e| DemoError::write(&path, e))?;
        }
        Ok(())
    }
}

fn put<V: hdf5::H5Type>(
    (path, _, dataset): &(PathBuf, hdf5::File, hdf5::Dataset),
    start: usize,
    values: &[V],
) -> Result<(), DemoError> {
    let failed = |e: hdf5::Error| DemoError::write(path, e);
    let neurons = dataset.shape().last().copied().unwrap_or(1).max(1);
    let length = values.len() / neurons;
    let rows = ArrayView2::from_shape((length, neurons), values).map_err(|e| failed(e.into()))?;
    dataset
        .write_slice(rows, (start..start + length, 0..neurons))
        .map_err(failed)
}

#[cfg(test)]
mod tests;
