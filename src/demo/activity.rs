//! Spikes and fluorescence of made-up neurons, a block of frames at a time.

use super::brain::REGION_COUNT;
use crate::random::Random;

/// Number of shared signals: one for each brain region, then the stimulus.
const SIGNALS: usize = REGION_COUNT + 1;
const STIMULUS: usize = REGION_COUNT;

/// Time constant of the shared signals, in seconds.
const SIGNAL_SEC: f32 = 12.0;
/// A stimulus of this length, every period, in seconds.
const STIMULUS_SEC: f32 = 8.0;
const STIMULUS_PERIOD_SEC: f32 = 60.0;
/// GCaMP6s-like calcium transient, in seconds.
const RISE_SEC: f32 = 0.2;
const DECAY_SEC: f32 = 1.6;
/// Transients of this many spikes at once reach half of the indicator's range.
const SATURATION_SPIKES: f32 = 15.0;
/// Highest firing rate, in Hz.
const HIGHEST_HZ: f32 = 15.0;
/// Mean length of a burst, in seconds.
const BURST_SEC: f32 = 1.5;

/// Log-rate modulation that neurons share: signal `s` of frame `t` at `drive[t][s]`.
pub(super) type Drive = Vec<[f32; SIGNALS]>;

/// The shared activity of all neurons of a subject.
pub(super) struct Population {
    random: Random,
    signals: [f32; SIGNALS],
    frame: usize,
    rate_hz: f32,
}

impl Population {
    pub(super) fn new(seed: u64, rate_hz: f64) -> Population {
        let mut random = Random::stream(seed, u64::MAX - 1);
        let signals = std::array::from_fn(|_| random.normal());
        Population {
            random,
            signals,
            frame: 0,
            rate_hz: rate_hz as f32,
        }
    }

    /// The next `frames` frames: slow noise of unit variance for each region, a periodic stimulus last.
    pub(super) fn drive(&mut self, frames: usize) -> Drive {
        let keep = (-1.0 / (SIGNAL_SEC * self.rate_hz)).exp();
        let kick = (1.0 - keep * keep).sqrt();
        let step = |population: &mut Population| {
            for signal in &mut population.signals[..REGION_COUNT] {
                *signal = keep * *signal + kick * population.random.normal();
            }
            let seconds = population.frame as f32 / population.rate_hz;
            let shown = seconds % STIMULUS_PERIOD_SEC >= STIMULUS_PERIOD_SEC - STIMULUS_SEC;
            population.signals[STIMULUS] = if shown { 1.5 } else { -0.25 };
            population.frame += 1;
            population.signals
        };
        (0..frames).map(|_| step(self)).collect()
    }
}

/// A neuron: what it is like, and where it is in its simulation.
pub(super) struct Neuron {
    random: Random,
    traits: Traits,
    /// Decaying and rising part of the calcium transient.
    calcium: [f32; 2],
    bursting: bool,
}

struct Traits {
    /// Spikes per frame outside and inside of bursts.
    lambda: f32,
    burst_lambda: f32,
    /// However strong the shared activity.
    highest_lambda: f32,
    /// Probability that a burst begins, ends, in a frame.
    burst_begins: f32,
    burst_ends: f32,
    /// The shared signal followed, and how strongly.
    signal: usize,
    gain: f32,
    /// What is left of the two calcium parts after a frame, and what a spike adds to them by the end of its frame.
    keep: [f32; 2],
    add: [f32; 2],
    /// ΔF/F of one spike.
    amplitude: f32,
    /// Resting fluorescence, in camera counts.
    f0: f32,
    /// Noise relative to `f0`, at rest.
    noise: f32,
    /// Fraction bleached away at last, and the part of it that remains after a frame.
    bleached: f32,
    bleaching_per_frame: f32,
    /// Slow drift: fraction of the fluorescence, radians per frame, phase.
    drift: [f32; 3],
}

impl Neuron {
    pub(super) fn new(seed: u64, number: u64, region: usize, rate_hz: f64) -> Neuron {
        let mut random = Random::stream(seed, number);
        let traits = Traits::random(&mut random, region, rate_hz as f32);
        Neuron {
            random,
            traits,
            calcium: [0.0; 2],
            bursting: false,
        }
    }

    /// Simulates the frames from `start` on: raw fluorescence in camera counts, spikes in each frame.
    pub(super) fn simulate(
        &mut self,
        start: usize,
        drive: &Drive,
        trace: &mut [f32],
        spikes: &mut [u8],
    ) {
        for (place, ((value, spikes), drive)) in trace.iter_mut().zip(spikes).zip(drive).enumerate()
        {
            *spikes = self.spike(drive);
            *value = self.fluorescence((start + place) as f32, *spikes);
        }
    }

    /// Spikes of the next frame: Poisson, with a rate that bursts and follows a shared signal.
    fn spike(&mut self, drive: &[f32; SIGNALS]) -> u8 {
        let traits = &self.traits;
        let change = if self.bursting {
            traits.burst_ends
        } else {
            traits.burst_begins
        };
        if self.random.uniform() < change {
            self.bursting = !self.bursting;
        }
        let lambda = if self.bursting {
            traits.burst_lambda
        } else {
            traits.lambda
        };
        let shared = (traits.gain * drive[traits.signal]).exp();
        self.random
            .poisson((lambda * shared).min(traits.highest_lambda))
    }

    /// Fluorescence of the next frame: transients, bleaching and drift, shot noise.
    fn fluorescence(&mut self, frame: f32, spikes: u8) -> f32 {
        let traits = &self.traits;
        for part in 0..2 {
            self.calcium[part] =
                traits.keep[part] * self.calcium[part] + traits.add[part] * f32::from(spikes);
        }
        let transients = (self.calcium[0] - self.calcium[1]).max(0.0);
        let dff = traits.amplitude * transients / (1.0 + transients / SATURATION_SPIKES);
        let bleaching = 1.0 - traits.bleached * (1.0 - (-traits.bleaching_per_frame * frame).exp());
        let [fraction, speed, phase] = traits.drift;
        let drift = 1.0 + fraction * (speed * frame + phase).sin();
        let relative = bleaching * drift * (1.0 + dff);
        // The variance of photon counts is their number.
        let noise = traits.noise * relative.sqrt() * self.random.normal();
        (traits.f0 * (relative + noise)).max(1.0)
    }
}

impl Traits {
    fn random(random: &mut Random, region: usize, rate_hz: f32) -> Traits {
        let frame_sec = 1.0 / rate_hz;
        // Time to and height of the peak of a difference of exponentials, so that a spike's transient peaks at 1.
        let peak_sec = (DECAY_SEC / RISE_SEC).ln() * RISE_SEC * DECAY_SEC / (DECAY_SEC - RISE_SEC);
        let peak = (-peak_sec / DECAY_SEC).exp() - (-peak_sec / RISE_SEC).exp();
        let left_after = |sec: f32| [(-sec / DECAY_SEC).exp(), (-sec / RISE_SEC).exp()];
        // CASCADE's noise level is 100 median|ΔF/F[t+1] - ΔF/F[t]| / sqrt(rate); of white noise, 95.4 sd / sqrt(rate).
        let noise_level = random.log_normal(3.5, 0.35).clamp(1.8, 9.0);
        let silent = random.uniform() < 0.15;
        let follows_stimulus = random.uniform() < 0.2;
        let per_sec = if silent {
            0.002
        } else {
            random.log_normal(0.04, 0.9).clamp(0.003, 1.0)
        };
        let burst_interval_sec = random.log_normal(60.0, 0.6);
        Traits {
            lambda: per_sec * frame_sec,
            burst_lambda: random.log_normal(4.0, 0.4) * frame_sec,
            highest_lambda: (HIGHEST_HZ * frame_sec).min(60.0),
            burst_begins: if silent {
                0.0
            } else {
                (frame_sec / burst_interval_sec).min(1.0)
            },
            burst_ends: (frame_sec / BURST_SEC).min(1.0),
            signal: if follows_stimulus { STIMULUS } else { region },
            gain: random.between(0.2, 1.2),
            keep: left_after(frame_sec),
            // In the middle of its frame, on average.
            add: left_after(frame_sec / 2.0).map(|left| left / peak),
            amplitude: random.log_normal(0.18, 0.35),
            f0: random.log_normal(300.0, 0.4).clamp(80.0, 2000.0),
            noise: noise_level * rate_hz.sqrt() / 95.4,
            bleached: random.between(0.03, 0.25),
            bleaching_per_frame: frame_sec / random.between(400.0, 1500.0),
            drift: [
                random.between(0.005, 0.04),
                std::f32::consts::TAU * frame_sec / random.between(240.0, 900.0),
                random.between(0.0, std::f32::consts::TAU),
            ],
        }
    }
}
