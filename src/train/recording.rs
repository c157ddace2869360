//! Ground truth as the network sees it: at the model's frame rate, with noise added to reach a noise level.
//!
//! The recipe is that of Rupprecht et al. 2021 ("resampling of ground truth"): Fourier resampling, Gaussian noise that
//! grows with the square root of fluorescence as photon noise does, and spikes per frame smoothed as the target.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;
use spikegrid_core::cascade::ModelConfig;
use spikegrid_core::cascade::noise::{MEDIAN_STEP, noise_level};

use super::ground_truth::{Neuron, Trial};
use crate::random::Random;

/// Rates that differ less than this are taken as one: the recording is not resampled.
const SAME_RATE: f64 = 0.05;
/// Frames at least over which a noise level is measured while noise is added to reach it.
const LEVEL_FRAMES: usize = 4096;

/// A trial, or short trials of one neuron one after the other, at a model's frame rate.
#[derive(Clone, Debug)]
pub struct Recording {
    /// ΔF/F, (T).
    pub dff: Vec<f32>,
    /// Smoothed spikes per frame, (T).
    pub rate: Vec<f32>,
    /// Standard deviation of added noise relative to its median, (T): the square root of fluorescence.
    pub photon_noise: Vec<f32>,
    /// Noise level at the frame rate of the measurement.
    pub measured_level: f64,
    /// Noise level (rule 4.3) at the model's frame rate, to which the signal contributes.
    pub level: f64,
}

impl Recording {
    /// `trial` at the frame rate of `config`, times `stretch`, its first frame `phase` frames after the trial's beginning.
    fn new(trial: &Trial, config: &ModelConfig, stretch: f64, phase: f32) -> Self {
        let sampling_rate = config.sampling_rate * stretch;
        let first = (f64::from(phase) * trial.frame_rate / sampling_rate) as usize;
        let source = &trial.dff[first.min(trial.dff.len())..];
        let begin = first as f64 / trial.frame_rate;
        let same = (sampling_rate - trial.frame_rate).abs() / trial.frame_rate <= SAME_RATE;
        let frames = match same {
            true => source.len(),
            false => (source.len() as f64 * sampling_rate / trial.frame_rate).round() as usize,
        };
        let dff = resample(source, frames);
        let frame_rate = trial.frame_rate * frames as f64 / source.len().max(1) as f64;
        let mut counts = vec![0.0; frames];
        for spike in &trial.spikes {
            let frame = ((spike - begin) * frame_rate + 0.5).floor();
            if frame >= 0.0 && (frame as usize) < frames {
                counts[frame as usize] += 1.0;
            }
        }
        let measured: Vec<f32> = trial.dff.iter().map(|&dff| dff as f32).collect();
        let mut recording = Self {
            rate: smooth(&counts, config),
            dff: dff.into_iter().map(|value| value as f32).collect(),
            photon_noise: Vec::new(),
            measured_level: f64::from(noise_level(&measured, trial.frame_rate, &mut Vec::new())),
            level: 0.0,
        };
        recording.finish(config);
        recording
    }

    /// Appends another trial of the same neuron.
    fn append(&mut self, other: &Self, config: &ModelConfig) {
        let (here, there) = (self.dff.len() as f64, other.dff.len() as f64);
        self.measured_level =
            (self.measured_level * here + other.measured_level * there) / (here + there).max(1.0);
        self.dff.extend(&other.dff);
        self.rate.extend(&other.rate);
        self.finish(config);
    }

    fn finish(&mut self, config: &ModelConfig) {
        self.level = f64::from(noise_level(
            &self.dff,
            config.sampling_rate,
            &mut Vec::new(),
        ));
        let root = |dff: &f32| (dff + 1.0).abs().sqrt();
        self.photon_noise = self.dff.iter().map(root).collect();
        let mut sorted = self.photon_noise.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let median = sorted
            .get(sorted.len() / 2)
            .copied()
            .unwrap_or(1.0)
            .max(1e-6);
        self.photon_noise
            .iter_mut()
            .for_each(|noise| *noise /= median);
    }

    /// Least and largest standard deviation of the noise that brings the recording to the noise level `target`: at the
    /// model's frame rate, where the signal counts as noise, and at the frame rate of the measurement. Neurons of this
    /// noise level have noise of either kind. None if the recording is above it at both.
    pub fn noise_range(&self, target: f64, config: &ModelConfig) -> Option<(f32, f32)> {
        let measured = self.noise_for_measured_level(target, config);
        let own = self.noise_for_level(target, config);
        let (one, other) = (own.or(measured)?, measured.or(own)?);
        Some((one.min(other) as f32, one.max(other) as f32))
    }

    /// Standard deviation of the noise that it has, by its noise level at the frame rate of the measurement.
    pub fn own_noise(&self, config: &ModelConfig) -> f32 {
        (self.measured_level / 100.0 / MEDIAN_STEP * config.sampling_rate.sqrt()) as f32
    }

    /// Variance of the spike rate, in (spikes per frame)².
    pub fn rate_variance(&self) -> f32 {
        let count = self.rate.len().max(1) as f32;
        let mean = self.rate.iter().sum::<f32>() / count;
        let squares = self.rate.iter().map(|rate| (rate - mean).powi(2));
        squares.sum::<f32>() / count
    }

    /// Standard deviation of the noise that brings the measurement, at its own frame rate, to the noise level `target`;
    /// None if it is above that already. This is how CASCADE chooses it.
    pub fn noise_for_measured_level(&self, target: f64, config: &ModelConfig) -> Option<f64> {
        let missing = target.powi(2) - self.measured_level.powi(2);
        (missing >= 0.0).then(|| missing.sqrt() / 100.0 / MEDIAN_STEP * config.sampling_rate.sqrt())
    }

    /// Standard deviation of the noise that brings the recording, at the model's frame rate, to the noise level `target`
    /// of rule 4.3; None if it is above that already.
    pub fn noise_for_level(&self, target: f64, config: &ModelConfig) -> Option<f64> {
        if self.level.is_nan() || self.level > target {
            return None;
        }
        // the recording over and over, so that one draw of the noise matters little
        let mut random = Random::stream(0, 0);
        let frames = self.dff.len();
        let repeated = frames * LEVEL_FRAMES.div_ceil(frames.max(1));
        let unit: Vec<f32> = (0..repeated).map(|_| random.normal()).collect();
        let (mut noisy, mut scratch) = (vec![0.0; repeated], Vec::new());
        let mut low = 0.0;
        let mut high = 1.5 * target / 100.0 / MEDIAN_STEP * config.sampling_rate.sqrt();
        for _ in 0..12 {
            let middle = (low + high) / 2.0;
            for (place, noisy) in noisy.iter_mut().enumerate() {
                let frame = place % frames;
                *noisy = self.dff[frame] + middle as f32 * self.photon_noise[frame] * unit[place];
            }
            match f64::from(noise_level(&noisy, config.sampling_rate, &mut scratch)) < target {
                true => low = middle,
                false => high = middle,
            }
        }
        Some((low + high) / 2.0)
    }
}

/// The recordings of `neuron` that hold a window, at the frame rate of `config`, times `stretch`, their first frames `phase`
/// frames after the trials' beginnings; with `join`, trials that are shorter than a window stand one after the other.
pub fn of_neuron(
    neuron: &Neuron,
    config: &ModelConfig,
    stretch: f64,
    phase: f32,
    join: bool,
) -> Vec<Recording> {
    let trials = neuron.trials.iter();
    let recordings = trials.map(|trial| Recording::new(trial, config, stretch, phase));
    let (mut recordings, short): (Vec<_>, Vec<_>) =
        recordings.partition(|recording| recording.dff.len() >= config.windowsize);
    let joined = short.into_iter().reduce(|mut joined, short| {
        joined.append(&short, config);
        joined
    });
    recordings.extend(joined.filter(|joined| join && joined.dff.len() >= config.windowsize));
    recordings
}

/// Fourier resampling of evenly spaced samples to `length` samples over the same time, the first ones in step; what
/// `scipy.signal.resample` computes.
pub fn resample(samples: &[f64], length: usize) -> Vec<f64> {
    if length == samples.len() || samples.is_empty() || length == 0 {
        return samples[..length.min(samples.len())].to_vec();
    }
    let mut planner = FftPlanner::new();
    let mut spectrum: Vec<Complex<f64>> = samples.iter().map(|&x| Complex::new(x, 0.0)).collect();
    planner
        .plan_fft_forward(samples.len())
        .process(&mut spectrum);
    let shared = length.min(samples.len());
    let mut kept = vec![Complex::new(0.0, 0.0); length];
    kept[0] = spectrum[0];
    for (frequency, &value) in spectrum.iter().enumerate().take(shared / 2 + 1).skip(1) {
        // the highest frequency of an even length stands for both of its signs
        let (own, mirrored) = (frequency, length - frequency);
        if 2 * frequency < shared {
            kept[own] = value;
            kept[mirrored] = value.conj();
        } else if length < samples.len() {
            kept[own] = Complex::new(2.0 * value.re, 0.0);
        } else {
            kept[own] += value / 2.0;
            kept[mirrored] += value.conj() / 2.0;
        }
    }
    planner.plan_fft_inverse(length).process(&mut kept);
    kept.iter()
        .map(|value| value.re / samples.len() as f64)
        .collect()
}

/// Spikes per frame, smoothed by the model's kernel.
pub(super) fn smooth(counts: &[f64], config: &ModelConfig) -> Vec<f32> {
    let kernel = match config.causal_kernel {
        0 => gaussian(config.smoothing * config.sampling_rate),
        _ => causal(config),
    };
    let centre = (kernel.len() / 2) as isize;
    let frames = counts.len() as isize;
    let reflect = config.causal_kernel == 0;
    (0..frames)
        .map(|frame| {
            let taps = kernel.iter().enumerate();
            let sum: f64 = taps
                .filter_map(|(tap, weight)| {
                    let at = frame + centre - tap as isize;
                    let at = match reflect {
                        true => mirrored(at, frames),
                        false if (0..frames).contains(&at) => at,
                        false => return None,
                    };
                    Some(weight * counts[at as usize])
                })
                .sum();
            sum as f32
        })
        .collect()
}

/// Frame `at` where the recording is mirrored at its ends.
fn mirrored(at: isize, frames: isize) -> isize {
    let place = at.rem_euclid(2 * frames);
    place.min(2 * frames - 1 - place)
}

/// Gaussian of `sigma` frames over four standard deviations on either side, of sum 1.
fn gaussian(sigma: f64) -> Vec<f64> {
    let radius = (4.0 * sigma + 0.5) as isize;
    let tap = |frame: isize| match sigma > 0.0 {
        true => (-0.5 * (frame as f64 / sigma).powi(2)).exp(),
        false => 1.0,
    };
    normalised((-radius..=radius).map(tap).collect())
}

/// CASCADE's causal kernel: an inverse Gaussian density with mean `2 · smoothing`, moved so that a third of the way to its
/// peak is left.
fn causal(config: &ModelConfig) -> Vec<f64> {
    const TAPS: usize = 199;
    let mean = 2.0 * config.smoothing;
    let density = |tap: usize| {
        let x = (tap as f64 - 101.0) / config.sampling_rate;
        match x > 0.0 {
            true => {
                (-(x - mean).powi(2) / (2.0 * x * mean * mean)).exp()
                    / (std::f64::consts::TAU * x.powi(3)).sqrt()
            }
            false => 0.0,
        }
    };
    let mut kernel: Vec<f64> = (0..TAPS).map(density).collect();
    let peak = (0..TAPS)
        .max_by(|&a, &b| kernel[a].total_cmp(&kernel[b]).then(b.cmp(&a)))
        .unwrap_or_default();
    let back = ((peak as f64 - 99.0) / 1.5) as usize;
    kernel.rotate_left(back);
    normalised(kernel)
}

/// The kernel with sum 1; all of it in one frame if it is too narrow for any.
fn normalised(mut kernel: Vec<f64>) -> Vec<f64> {
    let sum: f64 = kernel.iter().sum();
    if sum > 0.0 {
        kernel.iter_mut().for_each(|tap| *tap /= sum);
    } else {
        let centre = kernel.len() / 2;
        kernel.fill(0.0);
        kernel[centre] = 1.0;
    }
    kernel
}
