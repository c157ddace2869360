//! A stand-in model for demonstrations, made of hand-set weights: **untrained, not for science**.
//!
//! One channel carries a matched filter through an otherwise empty network of the default architecture: `conv1` undoes an
//! exponential decay and smooths, its bias cuts off what noise alone would give, and the other layers hand the value on to
//! the rate. Two poolings spread it over four frames.

use std::fs;
use std::path::Path;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use spikegrid_core::cascade::config::ModelConfig;
use spikegrid_core::cascade::weights::{Layer, Weights};

use super::error::ModelError;
use super::folder::{member_name, parse_config};
use super::state_dict;

/// Name of the model; also a good name for its folder.
pub const NAME: &str = "Untrained_2Hz_smoothing500ms";

const CONFIG: &str = "\
## UNTRAINED: hand-set weights for demonstrations. Not for science.

model_name: Untrained_2Hz_smoothing500ms
sampling_rate: 2                 # Sampling rate in Hz
training_datasets: []
noise_levels: [2, 3, 4, 5, 6, 7, 8]
smoothing: 0.5                   # Standard deviation of Gaussian smoothing in time (sec)
causal_kernel: 0
windowsize: 64                   # Windowsize in timepoints
before_frac: 0.5                 # Fraction of timepoints before prediction point (0-1)
filter_sizes: [13, 9, 3]
filter_numbers: [30, 40, 50]
dense_expansion: 10
ensemble_size: 2
training_finished: No
";

/// ΔF/F that one spike adds, and what is left of it after one frame of 0.5 s.
const AMPLITUDE: f64 = 0.25;
const DECAY: f64 = 0.6;
/// Noise that stays below the cut-off, in standard deviations.
const CUTOFF: f64 = 2.0;
/// Taps of `conv2` and `conv3`, and position, at which the value travels: frame 31 of the window, to which rates belong.
const CONV2_TAP: usize = 6;
const CONV3_TAP: usize = 1;
const POSITION: usize = 4;

/// Writes the model to the folder `dir`, which is created; the members of an ensemble differ a little, by `seed`.
///
/// # Errors
/// The folder or a file can't be written.
pub fn write(dir: &Path, seed: u64) -> Result<(), ModelError> {
    let config_path = dir.join("config.yaml");
    let config = parse_config(CONFIG, &config_path)?;
    let io_error = |source| ModelError::Io {
        path: dir.into(),
        source,
    };
    fs::create_dir_all(dir).map_err(io_error)?;
    fs::write(&config_path, CONFIG).map_err(io_error)?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    for level in &config.noise_levels {
        for member in 0..config.ensemble_size {
            let jitter = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            let weights = matched_filter(&config, *level, 0.95 + 0.1 * jitter);
            let path = dir.join(member_name(*level, member as u32));
            state_dict::write_safetensors(&path, &config, &weights, "untrained")?;
        }
    }
    Ok(())
}

/// The hand-set network for a noise level; `gain` scales its rates.
fn matched_filter(config: &ModelConfig, noise_level: i32, gain: f64) -> Weights {
    let taps = smoothed_deconvolution(config.filter_sizes[0]);
    // rule 4.3 solved for the standard deviation of white noise, whose median step is 0.954 of it
    let noise = f64::from(noise_level) / 100.0 * config.sampling_rate.sqrt() / 0.954;
    let cutoff = CUTOFF * noise * taps.iter().map(|tap| tap * tap).sum::<f64>().sqrt();
    // a spike's smoothed peak, held for four frames by the poolings, sums to 1
    let spread = 1.0 + 3.0 * taps.iter().fold(0.0f64, |peak, &tap| peak.max(tap));

    let mut layers = config.layers().map(|shape| Layer {
        kernel: vec![0.0; shape.depth() * shape.outputs],
        bias: vec![0.0; shape.outputs],
    });
    let [conv1, conv2, conv3, dense1, dense2] = &mut layers;
    let [channels1, channels2, channels3] = config.filter_numbers;
    for (tap, &value) in taps.iter().enumerate() {
        conv1.kernel[tap * channels1] = (value / AMPLITUDE) as f32;
    }
    conv1.bias[0] = -(cutoff / AMPLITUDE) as f32;
    conv2.kernel[CONV2_TAP * channels1 * channels2] = 1.0;
    conv3.kernel[CONV3_TAP * channels2 * channels3] = 1.0;
    dense1.kernel[0] = 1.0;
    dense2.kernel[POSITION * config.dense_expansion] = (gain / spread) as f32;
    Weights::from(layers)
}

/// `taps` taps of a Gaussian of one frame, applied to `x[t] - DECAY · x[t-1]`.
fn smoothed_deconvolution(taps: usize) -> Vec<f64> {
    let centre = (taps / 2) as f64;
    let gaussian =
        |frame: f64| (-0.5 * (frame - centre).powi(2)).exp() / std::f64::consts::TAU.sqrt();
    (0..taps)
        .map(|frame| gaussian(frame as f64) - DECAY * gaussian(frame as f64 + 1.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use spikegrid_core::cascade::PostProcess;
    use spikegrid_inference::ensembles::Ensembles;

    use super::*;
    use crate::models::load;

    #[test]
    fn the_untrained_model_finds_a_spike_at_its_frame() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1).unwrap();
        let model = load(dir.path()).unwrap();
        assert_eq!(
            (model.config.model_name.as_str(), model.warnings.len()),
            (NAME, 0)
        );
        let mut dff = vec![0.0f32; 300];
        for (later, value) in dff[150..].iter_mut().enumerate() {
            *value = (AMPLITUDE * DECAY.powi(later as i32)) as f32;
        }
        let ensembles = Ensembles::new(model).unwrap();
        let (rate, _) = ensembles.infer(dff, 300, &PostProcess::default()).unwrap();
        let sum: f32 = rate.iter().filter(|rate| !rate.is_nan()).sum();
        let centre = rate
            .iter()
            .enumerate()
            .filter(|(_, rate)| **rate > 0.0)
            .map(|(t, r)| t as f32 * r)
            .sum::<f32>()
            / sum;
        assert!((0.5..1.5).contains(&sum), "sum of the rate {sum}");
        assert!((centre - 150.0).abs() < 1.0, "centre of the rate {centre}");
    }

    #[test]
    fn the_untrained_model_depends_on_the_seed_alone() {
        let folders = [7, 7, 8].map(|seed| {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), seed).unwrap();
            load(dir.path()).unwrap().sha256
        });
        assert_eq!(folders[0], folders[1]);
        assert_ne!(folders[0], folders[2]);
    }
}
