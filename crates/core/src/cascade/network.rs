//! The CASCADE network on one window, by its definition (rule 4.2).
//!
//! ```text
//! window (windowsize) ─ conv1, R ─ conv2, R ─ max 2 ─ conv3, R ─ max 2 ─ dense1 at each position, R ─ flatten ─ dense2 ─▶ rate
//! ```
//!
//! `R` is the rectifier; convolutions are 'valid', a pooling drops a last odd position, flattening goes position by position.
//! Inference runs [`trace`](super::trace) instead, which gives the same numbers; this is what it is tested against.

use candle_core::{Result, Tensor};
use candle_nn::{Conv1d, Linear, Module, VarBuilder, conv1d, linear};

use super::config::ModelConfig;

/// One member of an ensemble, its variables named as in our safetensors files.
#[derive(Clone, Debug)]
pub(super) struct Network {
    convolutions: [Conv1d; 3],
    dense: Linear,
    output: Linear,
}

impl Network {
    /// A network of `config`'s architecture with the variables of `variables`.
    ///
    /// # Errors
    /// A variable is missing or has another shape.
    pub(super) fn new(config: &ModelConfig, variables: VarBuilder) -> Result<Self> {
        let [conv1, conv2, conv3, dense1, dense2] = config.layers();
        let convolution = |layer: super::config::LayerShape| {
            conv1d(
                layer.inputs,
                layer.outputs,
                layer.taps,
                Default::default(),
                variables.pp(layer.name),
            )
        };
        let dense = |layer: super::config::LayerShape| {
            linear(layer.depth(), layer.outputs, variables.pp(layer.name))
        };
        Ok(Self {
            convolutions: [
                convolution(conv1)?,
                convolution(conv2)?,
                convolution(conv3)?,
            ],
            dense: dense(dense1)?,
            output: dense(dense2)?,
        })
    }
}

impl Module for Network {
    /// Windows (batch, windowsize) to rates (batch), in spikes per frame.
    fn forward(&self, windows: &Tensor) -> Result<Tensor> {
        let [conv1, conv2, conv3] = &self.convolutions;
        let channels_first = windows.unsqueeze(1)?.apply(conv1)?.relu()?;
        let pooled = max_pool(&channels_first.apply(conv2)?.relu()?)?;
        let pooled = max_pool(&pooled.apply(conv3)?.relu()?)?;
        let positions = pooled
            .transpose(1, 2)?
            .contiguous()?
            .apply(&self.dense)?
            .relu()?;
        positions.flatten_from(1)?.apply(&self.output)?.squeeze(1)
    }
}

/// Maximum of each two neighbouring positions of (batch, channels, positions).
fn max_pool(features: &Tensor) -> Result<Tensor> {
    let (batch, channels, positions) = features.dims3()?;
    let pairs = features.narrow(2, 0, positions / 2 * 2)?.contiguous()?;
    pairs.reshape((batch, channels, positions / 2, 2))?.max(3)
}
