//! Simulated recordings: what indicators of random brightness and speed would show of the true spikes of a dataset.
//!
//! The datasets of ground truth hold few indicators. Networks that also learn from simulated ones are less wrong about the rates of
//! recordings whose indicator they do not know (docs/benchmark.md).

use std::f64::consts::TAU;

use spikegrid_core::cascade::noise::MEDIAN_STEP;

use super::ground_truth::{Dataset, Neuron, Trial};
use crate::random::Random;

/// Frames per second of a simulated recording, and steps of the simulation in a frame.
const FRAME_RATE: f64 = 30.0;
const STEPS: usize = 8;
/// Shorter trials are not simulated, in seconds.
const LEAST_SECONDS: f64 = 20.0;
/// Largest logarithm of the factor by which a spike train is slower or faster than the true one.
const STRETCH: f64 = 0.4;
/// Ranges of the indicators: time constants of rise and decay in seconds, Hill coefficient, spikes at once for half of the largest ΔF/F.
const RISE: (f64, f64) = (0.008, 0.12);
const DECAY: (f64, f64) = (0.2, 1.8);
const HILL: (f64, f64) = (1.0, 2.2);
const HALF: (f64, f64) = (4.0, 60.0);
/// Half of the ΔF/F of two spikes at once: median, and standard deviation of its logarithm over neurons and over spikes.
const AMPLITUDE: f32 = 0.15;
const AMPLITUDE_SPREAD: f32 = 0.8;
const SPIKE_SPREAD: f32 = 0.2;
/// Largest ΔF/F of a recording: brighter ones are scaled down to it.
const LARGEST: f64 = 15.0;
/// Largest standard deviation of the slow drift of ΔF/F, and periods of its parts in seconds.
const DRIFT: f64 = 0.04;
const DRIFT_PERIODS: (f64, f64) = (100.0, 600.0);
/// Noise levels of simulated recordings.
const NOISE_LEVELS: (f64, f64) = (0.3, 1.5);

/// Simulated recordings of the neurons of `dataset`, each trial with an indicator of its own: whole trials of each neuron in random order, at
/// least one, until the `part` of the neuron's length is reached. `seed` is the dataset's own.
pub fn of_dataset(dataset: &Dataset, part: f64, seed: u64) -> Dataset {
    let neurons = dataset.neurons.iter().enumerate();
    let neurons = neurons.map(|(number, neuron)| Neuron {
        name: neuron.name.clone(),
        trials: of_neuron(neuron, part, &mut Random::stream(seed, number as u64)),
    });
    Dataset {
        name: format!("{} (simulated)", dataset.name),
        neurons: neurons.filter(|neuron| !neuron.trials.is_empty()).collect(),
    }
}

fn of_neuron(neuron: &Neuron, part: f64, random: &mut Random) -> Vec<Trial> {
    let seconds = |trial: &Trial| trial.dff.len() as f64 / trial.frame_rate;
    let wanted = part * neuron.trials.iter().map(seconds).sum::<f64>();
    let mut left: Vec<&Trial> = neuron
        .trials
        .iter()
        .filter(|trial| seconds(trial) >= LEAST_SECONDS)
        .collect();
    let (mut trials, mut length) = (Vec::new(), 0.0);
    while length < wanted && !left.is_empty() {
        let trial = left.swap_remove(random.below(left.len()));
        let stretch = between(random, (-STRETCH, STRETCH)).exp();
        let spikes: Vec<f64> = trial.spikes.iter().map(|spike| spike * stretch).collect();
        let frames = (seconds(trial) * stretch * FRAME_RATE) as usize;
        length += seconds(trial) * stretch;
        trials.push(Trial {
            dff: fluorescence(&spikes, frames, random),
            frame_rate: FRAME_RATE,
            spikes,
        });
    }
    trials
}

/// ΔF/F, (frames), of a neuron with these times of spikes in seconds.
fn fluorescence(spikes: &[f64], frames: usize, random: &mut Random) -> Vec<f64> {
    let decay = log_between(random, DECAY);
    let rise = log_between(random, RISE).min(0.9 * decay);
    let hill = between(random, HILL);
    let half = log_between(random, HALF).powf(hill);
    let amplitude = f64::from(random.log_normal(AMPLITUDE, AMPLITUDE_SPREAD));

    let steps_per_second = FRAME_RATE * STEPS as f64;
    let mut calcium = vec![0.0; frames * STEPS];
    for spike in spikes {
        // A frame stands for the time half a frame before and after it.
        let step = ((spike + 0.5 / FRAME_RATE) * steps_per_second).floor();
        let size = random.log_normal(1.0, SPIKE_SPREAD);
        if step >= 0.0 && (step as usize) < calcium.len() {
            calcium[step as usize] += f64::from(size);
        }
    }
    let peak_time = (decay / rise).ln() * decay * rise / (decay - rise);
    let peak = (-peak_time / decay).exp() - (-peak_time / rise).exp();
    let keep = |constant: f64| (-1.0 / (constant * steps_per_second)).exp();
    let (keep_slow, keep_fast) = (keep(decay), keep(rise));
    let (mut slow, mut fast) = (0.0, 0.0);
    for value in &mut calcium {
        slow = slow * keep_slow + *value;
        fast = fast * keep_fast + *value;
        *value = (slow - fast).max(0.0) / peak;
    }
    let saturated = |calcium: f64| calcium.powf(hill) / (calcium.powf(hill) + half);
    let mut dff: Vec<f64> = calcium
        .chunks(STEPS)
        .map(|steps| steps.iter().map(|&calcium| saturated(calcium)).sum::<f64>() / STEPS as f64)
        .collect();
    let largest = dff
        .iter()
        .fold(f64::MIN_POSITIVE, |one, &other| one.max(other));
    let scale = (2.0 * amplitude / saturated(2.0)).min(LARGEST / largest);
    dff.iter_mut().for_each(|dff| *dff *= scale);

    let drift = between(random, (0.0, DRIFT)) * (2.0f64 / 3.0).sqrt();
    for _ in 0..3 {
        let pace = TAU / (log_between(random, DRIFT_PERIODS) * FRAME_RATE);
        let phase = between(random, (0.0, TAU));
        for (frame, dff) in dff.iter_mut().enumerate() {
            *dff += drift * (phase + pace * frame as f64).sin();
        }
    }
    let noise = between(random, NOISE_LEVELS) / 100.0 / MEDIAN_STEP * FRAME_RATE.sqrt();
    for dff in &mut dff {
        *dff += noise * (1.0 + *dff).max(0.2).sqrt() * f64::from(random.normal());
    }
    // F0 is a low percentile of fluorescence, or lies between rest and the median.
    let mut sorted = dff.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| sorted.get((part * frames as f64) as usize).copied();
    let f0 = match random.uniform() < 0.5 {
        true => at(0.1),
        false => at(0.5).map(|median| median * random.uniform_f64()),
    };
    let f0 = f0.unwrap_or_default();
    dff.iter_mut()
        .for_each(|dff| *dff = (*dff - f0) / (1.0 + f0));
    dff
}

fn between(random: &mut Random, (low, high): (f64, f64)) -> f64 {
    low + (high - low) * random.uniform_f64()
}

/// The same on a logarithmic scale.
fn log_between(random: &mut Random, (low, high): (f64, f64)) -> f64 {
    between(random, (low.ln(), high.ln())).exp()
}
