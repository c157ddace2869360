//! `config.yaml` of a CASCADE model folder and the network that it describes (rule 4.1).

use serde::{Deserialize, Serialize};

/// Largest accepted `windowsize`, in frames; CASCADE's own models use 64.
pub const MAX_WINDOW: usize = 4096;
/// Most channels of a layer; CASCADE's own have 50.
pub const MAX_CHANNELS: usize = 1024;
/// Highest accepted frame rate, in Hz.
pub const MAX_SAMPLING_RATE: f64 = 10_000.0;
/// Most members that an ensemble may have; CASCADE's own have 5.
pub const MAX_MEMBERS: usize = 1000;
/// Most weights that one member of an ensemble may have; CASCADE's own have fewer than 40,000.
pub const MAX_WEIGHTS: usize = 4_000_000;

/// Frames from a tap of each layer to the next, along a trace: every pooling by 2 before the layer doubles them.
pub const DILATIONS: [usize; 5] = [1, 1, 2, 1, 4];
/// Frames between the two outputs of each layer of which the pooling after it keeps the larger; 0 where no pooling follows.
pub const POOLINGS: [usize; 5] = [0, 1, 2, 0, 0];

/// The part of `config.yaml` that inference and training need. Other keys are passed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Name of the model; empty if the file has none.
    #[serde(default)]
    pub model_name: String,
    /// Frame rate for which the model was trained, in Hz.
    pub sampling_rate: f64,
    /// Noise levels with an ensemble each, in the file's order (see [`noise_level`](super::noise::noise_level)).
    pub noise_levels: Vec<i32>,
    /// Standard deviation of the Gaussian that smoothed the ground-truth spikes, in seconds.
    pub smoothing: f64,
    /// 1 if the spikes were smoothed forwards in time only, 0 for the symmetric Gaussian.
    #[serde(default)]
    pub causal_kernel: i32,
    /// Length of the network's input in frames.
    pub windowsize: usize,
    /// Fraction of the window that lies before the frame to which its rate belongs.
    pub before_frac: f64,
    /// Taps of the three convolutions.
    pub filter_sizes: [usize; 3],
    /// Output channels of the three convolutions.
    pub filter_numbers: [usize; 3],
    /// Outputs of the dense layer at each position.
    pub dense_expansion: usize,
    /// Members of each ensemble; 0 if the file does not say.
    #[serde(default)]
    pub ensemble_size: usize,
}

/// A value of a configuration that makes no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: expected {expected}, found {found}")]
pub struct ConfigProblem {
    /// Key of `config.yaml`.
    pub key: &'static str,
    /// What it may be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

/// Kernel of one layer as a matrix product: `taps` positions of `inputs` channels to `outputs` channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Name in PyTorch and safetensors files.
    pub name: &'static str,
    /// Whether files store it as a convolution (three axes) or as a dense layer (two).
    pub convolution: bool,
    /// Positions that each output sees.
    pub taps: usize,
    /// Channels that go in.
    pub inputs: usize,
    /// Channels that come out.
    pub outputs: usize,
    /// Frames from a tap to the next ([`DILATIONS`]).
    pub dilation: usize,
    /// Frames between the two outputs whose larger one is kept; 0 for no pooling ([`POOLINGS`]).
    pub pooling: usize,
    /// Whether negative outputs become 0.
    pub rectified: bool,
}

impl LayerShape {
    /// Rows of the kernel matrix: inputs at all taps, tap by tap.
    pub fn depth(&self) -> usize {
        self.taps * self.inputs
    }
}

impl ModelConfig {
    /// Whether these values make a network.
    ///
    /// # Errors
    /// A window shorter than its filters, `before_frac * windowsize < 1`, nothing or far too much to allocate.
    pub fn check(&self) -> Result<(), ConfigProblem> {
        match self.problem() {
            None => Ok(()),
            Some((key, expected, found)) => Err(ConfigProblem {
                key,
                expected,
                found,
            }),
        }
    }

    /// The first value that makes no network: key, what was expected, what was found.
    fn problem(&self) -> Option<(&'static str, String, String)> {
        let refuse = |key, expected: &str, found: String| Some((key, expected.to_owned(), found));
        if !(self.sampling_rate > 0.0 && self.sampling_rate <= MAX_SAMPLING_RATE) {
            let expected = format!("a frequency above 0, up to {MAX_SAMPLING_RATE} Hz");
            return refuse("sampling_rate", &expected, self.sampling_rate.to_string());
        }
        if self.ensemble_size > MAX_MEMBERS {
            let expected = format!("at most {MAX_MEMBERS} members");
            return refuse("ensemble_size", &expected, self.ensemble_size.to_string());
        }
        if !(self.smoothing >= 0.0 && self.smoothing * self.sampling_rate <= MAX_WINDOW as f64) {
            let expected = format!("0 to {MAX_WINDOW} frames, in seconds");
            return refuse("smoothing", &expected, self.smoothing.to_string());
        }
        let mut sorted = self.noise_levels.clone();
        sorted.sort_unstable();
        if sorted.is_empty() || sorted[0] < 0 || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return refuse(
                "noise_levels",
                "distinct levels from 0 up, at least one",
                format!("{sorted:?}"),
            );
        }
        if !(1..=MAX_WINDOW).contains(&self.windowsize) {
            let expected = format!("1 to {MAX_WINDOW} frames");
            return refuse("windowsize", &expected, self.windowsize.to_string());
        }
        if !(self.before_frac <= 1.0 && self.before_frac * self.windowsize as f64 >= 1.0) {
            let expected = format!(
                "1/{} to 1, at least one frame of the window",
                self.windowsize
            );
            return refuse("before_frac", &expected, self.before_frac.to_string());
        }
        self.network_problem()
    }

    fn network_problem(&self) -> Option<(&'static str, String, String)> {
        if !self
            .filter_sizes
            .iter()
            .all(|size| (1..=self.windowsize).contains(size))
        {
            let expected = format!("three sizes of 1 to {} frames", self.windowsize);
            return Some(("filter_sizes", expected, format!("{:?}", self.filter_sizes)));
        }
        let bounded = |count: &usize| (1..=MAX_CHANNELS).contains(count);
        if !self.filter_numbers.iter().all(bounded) {
            let expected = format!("three counts of 1 to {MAX_CHANNELS} channels");
            return Some((
                "filter_numbers",
                expected,
                format!("{:?}", self.filter_numbers),
            ));
        }
        if !bounded(&self.dense_expansion) {
            let expected = format!("1 to {MAX_CHANNELS} outputs");
            return Some((
                "dense_expansion",
                expected,
                self.dense_expansion.to_string(),
            ));
        }
        if self.positions() == 0 {
            let expected = format!(
                "a window longer than the filters {:?} and two poolings by 2 use up",
                self.filter_sizes
            );
            return Some(("windowsize", expected, self.windowsize.to_string()));
        }
        let weights = self.layers().iter().fold(0usize, |sum, layer| {
            sum.saturating_add(
                layer
                    .taps
                    .saturating_mul(layer.inputs)
                    .saturating_mul(layer.outputs),
            )
        });
        if weights > MAX_WEIGHTS {
            let expected = format!("a network of at most {MAX_WEIGHTS} weights");
            return Some(("filter_numbers", expected, weights.to_string()));
        }
        None
    }

    /// Positions that remain of a window after the last pooling; 0 if the window is too short for the filters.
    pub fn positions(&self) -> usize {
        let [first, second, third] = self.filter_sizes;
        let valid = |length: usize, taps: usize| (length + 1).saturating_sub(taps);
        valid(valid(valid(self.windowsize, first), second) / 2, third) / 2
    }

    /// The layers with weights, in order: three convolutions, the dense layer of each position, the output.
    pub fn layers(&self) -> [LayerShape; 5] {
        let [taps1, taps2, taps3] = self.filter_sizes;
        let [channels1, channels2, channels3] = self.filter_numbers;
        let dense = self.dense_expansion;
        let layers = [
            ("conv1", taps1, 1, channels1),
            ("conv2", taps2, channels1, channels2),
            ("conv3", taps3, channels2, channels3),
            ("dense1", 1, channels3, dense),
            ("dense2", self.positions(), dense, 1),
        ];
        std::array::from_fn(|index| {
            let (name, taps, inputs, outputs) = layers[index];
            LayerShape {
                name,
                convolution: index < 3,
                taps,
                inputs,
                outputs,
                dilation: DILATIONS[index],
                pooling: POOLINGS[index],
                rectified: index < 4,
            }
        })
    }

    /// Windows of a trace of this many frames: one begins at each frame but the last `windowsize - 1`.
    pub fn windows(&self, frames: usize) -> usize {
        (frames + 1).saturating_sub(self.windowsize)
    }

    /// The least and the greatest noise level that has an ensemble.
    #[must_use]
    pub fn noise_level_range(&self) -> (i32, i32) {
        let levels = self.noise_levels.iter().copied();
        let (least, greatest) = (levels.clone().min(), levels.max());
        (least.unwrap_or_default(), greatest.unwrap_or_default())
    }

    /// Frames at the start of a recording that never have a rate, `int(before_frac * windowsize)` (rule 4.6).
    pub fn frames_before(&self) -> usize {
        (self.before_frac * self.windowsize as f64) as usize
    }

    /// Frames at the end of a recording that never have a rate, `int((1 - before_frac) * windowsize)` (rule 4.6).
    pub fn frames_after(&self) -> usize {
        ((1.0 - self.before_frac) * self.windowsize as f64) as usize
    }

    /// How many frames at the start and at the end of a recording of so many `frames` have no rate in any neuron, because their windows
    /// leave it or by rule 4.6, where rates are moved `shift_frames` later (rule 4.8).
    pub fn padding(&self, frames: usize, shift_frames: i64) -> [usize; 2] {
        if self.windows(frames) == 0 {
            return [frames, 0];
        }
        let (before, after) = (self.frames_before() as i64, self.frames_after() as i64);
        let without_window = [before - 1, self.windowsize as i64 - before];
        let start = before.max(without_window[0].saturating_add(shift_frames));
        let end = after.max(without_window[1].saturating_sub(shift_frames));
        let start = (start as usize).min(frames);
        [start, (end as usize).min(frames - start)]
    }
}
