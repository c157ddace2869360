//! What the network sees in a step: which frames of which recordings, with how much noise.

use spikegrid_core::cascade::ModelConfig;

use super::TrainingError;
use super::ground_truth::Dataset;
use super::recipe::Recipe;
use super::recording::{Recording, of_neuron};
use super::simulated;
use crate::random::{Random, subject_seed};

/// Windows of a recording that follow each other in a step. Segments begin anywhere in a recording, so the first and last
/// windows of one are seen less often than those in its middle.
const SEGMENT: usize = 64;
/// Speeds at which recordings are used if time is stretched, and as many places of their first frame.
const SPEEDS: usize = 8;
/// Least variance of a recording's spike rate, (spikes per frame)², by which errors are divided.
const LEAST_VARIANCE: f32 = 0.01;

/// Ground truth at the model's frame rate, at different speeds.
pub struct Material {
    config: ModelConfig,
    recipe: Recipe,
    /// By dataset.
    recordings: Vec<Vec<Recording>>,
}

/// Ground truth prepared for a noise level.
pub struct Level<'a> {
    config: &'a ModelConfig,
    recipe: &'a Recipe,
    /// Datasets that have recordings for this noise level, with the sum of their shares and of those before.
    datasets: Vec<(f64, Vec<Source<'a>>)>,
}

struct Source<'a> {
    recording: &'a Recording,
    /// Least and largest standard deviation of added noise.
    noise: (f32, f32),
    /// Windows of this recording and those before.
    windows: usize,
    /// Standard deviation of the noise that it has.
    own_noise: f32,
    /// Weight of its squared errors.
    weight: f32,
    /// Weight of its absolute errors, relative to that of squared ones.
    absolute: f32,
}

/// Segments of recordings one after the other, as one trace.
#[derive(Default)]
pub struct Batch {
    /// ΔF/F, (batch_size).
    pub trace: Vec<f32>,
    /// Spikes per frame for the window that begins at a row, (batch_size - windowsize + 1).
    pub rate: Vec<f32>,
    /// Weight of its squared error; 0 for windows that are not of one recording.
    pub weight: Vec<f32>,
    /// Weight of its absolute error.
    pub absolute_weight: Vec<f32>,
    /// How many windows count.
    pub windows: usize,
}

impl Material {
    /// Resamples `datasets`, and the recordings that the recipe simulates beside them, for the model of `config`.
    pub fn new(datasets: &[Dataset], config: &ModelConfig, recipe: &Recipe) -> Self {
        let mut simulated = Vec::new();
        if recipe.simulated_part > 0.0 {
            simulated.extend(datasets.iter().enumerate().map(|(number, dataset)| {
                let seed = subject_seed(recipe.seed, number as u64);
                simulated::of_dataset(dataset, recipe.simulated_part, seed)
            }));
        }
        let mut random = Random::stream(recipe.seed, 0);
        let speeds = if recipe.time_stretch > 0.0 { SPEEDS } else { 1 };
        let recordings = datasets.iter().chain(&simulated).map(|dataset| {
            let mut recordings = Vec::new();
            for speed in 0..speeds {
                let place = 2.0 * speed as f64 / (SPEEDS - 1) as f64 - 1.0;
                let stretch = if speeds > 1 {
                    (recipe.time_stretch * place).exp()
                } else {
                    1.0
                };
                for neuron in &dataset.neurons {
                    let phase = if speeds > 1 { random.uniform() } else { 0.0 };
                    recordings.extend(of_neuron(neuron, config, stretch, phase, true));
                }
            }
            recordings
        });
        Self {
            config: config.clone(),
            recipe: recipe.clone(),
            recordings: recordings.collect(),
        }
    }

    /// For tests: recordings that no noise is added to.
    #[cfg(test)]
    pub(super) fn without_noise(&mut self) {
        for recording in self.recordings.iter_mut().flatten() {
            recording.photon_noise.fill(0.0);
            (recording.level, recording.measured_level) = (0.0, 0.0);
        }
    }

    /// The part that can be brought to a noise level.
    ///
    /// # Errors
    /// If there is none.
    pub fn at_level(&self, level: i32) -> Result<Level<'_>, TrainingError> {
        let mut datasets = Vec::new();
        let mut shares = 0.0;
        let (mut weights, mut draws) = (0.0, 0.0);
        for recordings in &self.recordings {
            let mut sources = Vec::new();
            let mut windows = 0;
            for recording in recordings {
                if let Some(noise) = recording.noise_range(f64::from(level), &self.config) {
                    windows += recording.dff.len() + 1 - self.config.windowsize;
                    let variance = recording.rate_variance().max(LEAST_VARIANCE);
                    sources.push(Source {
                        recording,
                        noise,
                        windows,
                        own_noise: recording.own_noise(&self.config),
                        absolute: self.recipe.absolute_error * variance.sqrt(),
                        weight: variance.powf(-self.recipe.variance_weighting as f32),
                    });
                }
            }
            if windows > 0 {
                let share = (windows as f64).powf(self.recipe.dataset_balance);
                shares += share;
                draws += share;
                let mut before = 0;
                for source in &sources {
                    let part = (source.windows - before) as f64 / windows as f64;
                    weights += share * part * f64::from(source.weight);
                    before = source.windows;
                }
                datasets.push((shares, sources));
            }
        }
        if datasets.is_empty() {
            return Err(TrainingError::NothingToTrain {
                level,
                windowsize: self.config.windowsize,
            });
        }
        // so that the mean weight of a window is 1
        for source in datasets.iter_mut().flat_map(|(_, sources)| sources) {
            source.weight *= (draws / weights) as f32;
        }
        Ok(Level {
            config: &self.config,
            recipe: &self.recipe,
            datasets,
        })
    }
}

impl Level<'_> {
    /// Fills `batch` anew.
    pub fn draw(&self, random: &mut Random, batch: &mut Batch) {
        let windowsize = self.config.windowsize;
        let rows = self.recipe.batch_size + windowsize - 1;
        batch.trace.clear();
        batch.rate.clear();
        batch.weight.clear();
        batch.absolute_weight.clear();
        batch.windows = 0;
        while batch.trace.len() + windowsize <= rows {
            let source = self.source(random);
            let recording = source.recording;
            let length = (SEGMENT + windowsize - 1)
                .min(recording.dff.len())
                .min(rows - batch.trace.len());
            let start = random.below(recording.dff.len() - length + 1);
            let amplitude = random.log_normal(1.0, self.recipe.amplitude_spread);
            let noise = self.noise(source, amplitude, random);
            let frames = start..start + length;
            let samples = recording.dff[frames.clone()]
                .iter()
                .zip(&recording.photon_noise[frames]);
            for (dff, photon_noise) in samples {
                let added = noise * photon_noise * random.normal();
                batch.trace.push(amplitude * dff + added);
            }
            let windows = length + 1 - windowsize;
            let first_rate = start + self.config.frames_before() - 1;
            batch
                .rate
                .extend(&recording.rate[first_rate..first_rate + windows]);
            batch.rate.resize(batch.trace.len(), 0.0);
            batch
                .weight
                .resize(batch.weight.len() + windows, source.weight);
            batch.weight.resize(batch.trace.len(), 0.0);
            batch.absolute_weight.resize(
                batch.absolute_weight.len() + windows,
                source.weight * source.absolute,
            );
            batch.absolute_weight.resize(batch.trace.len(), 0.0);
            batch.windows += windows;
        }
        batch.trace.resize(rows, 0.0);
        batch.rate.resize(self.recipe.batch_size, 0.0);
        batch.weight.resize(self.recipe.batch_size, 0.0);
        batch.absolute_weight.resize(self.recipe.batch_size, 0.0);
    }

    /// Standard deviation of the noise to be added to a recording whose fluorescence is scaled by `amplitude`, its own noise too.
    fn noise(&self, source: &Source, amplitude: f32, random: &mut Random) -> f32 {
        let spread = self.recipe.noise_spread;
        let noise = random.between(source.noise.0, source.noise.1);
        let noise = noise * random.between(-spread, spread).exp();
        let missing = noise.powi(2) + source.own_noise.powi(2) * (1.0 - amplitude.powi(2));
        missing.max(0.0).sqrt()
    }

    fn source(&self, random: &mut Random) -> &Source<'_> {
        let shares = self.datasets.last().map_or(0.0, |(shares, _)| *shares);
        let place = random.uniform_f64() * shares;
        let index = self
            .datasets
            .partition_point(|(shares, _)| *shares <= place);
        let (_, sources) = &self.datasets[index.min(self.datasets.len() - 1)];
        let place = random.below(sources.last().map_or(0, |source| source.windows));
        &sources[sources.partition_point(|source| source.windows <= place)]
    }
}
