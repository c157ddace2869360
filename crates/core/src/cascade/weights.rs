//! One member's weights in one layout, whatever file they come from.

use serde::{Deserialize, Serialize, Serializer};

use super::config::{LayerShape, ModelConfig};
use super::winograd::Filter;

/// An affine layer: `outputs = inputs · kernel + bias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Row-major (taps, inputs, outputs): Keras' order, and that of a product with channels-last frames.
    pub kernel: Vec<f32>,
    /// (outputs).
    pub bias: Vec<f32>,
}

/// The weights of one network: `conv1`, `conv2`, `conv3`, `dense1`, `dense2` of [`ModelConfig::layers`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "[Layer; 5]")]
pub struct Weights {
    layers: [Layer; 5],
    filters: [Filter; 2],
}

impl From<[Layer; 5]> for Weights {
    fn from(layers: [Layer; 5]) -> Self {
        let [conv1, conv2, conv3, ..] = &layers;
        let filters = [
            Filter::new(conv2, conv1.bias.len()),
            Filter::new(conv3, conv2.bias.len()),
        ];
        Self { layers, filters }
    }
}

impl Serialize for Weights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.layers.serialize(serializer)
    }
}

impl Weights {
    /// The layers in order, as files have them.
    pub fn layers(&self) -> &[Layer; 5] {
        &self.layers
    }

    /// `conv2` and `conv3` as they are evaluated.
    pub fn filters(&self) -> &[Filter; 2] {
        &self.filters
    }

    /// Bytes that they take, as files have them and as they are evaluated.
    pub fn bytes(&self) -> usize {
        let numbers = |layer: &Layer| layer.kernel.len() + layer.bias.len();
        let filters = self.filters.iter().flat_map(|filter| &filter.points);
        let layers = self.layers.iter().chain(filters);
        layers.map(numbers).sum::<usize>() * size_of::<f32>()
    }

    /// The weights as PyTorch and candle name and lay them out: `conv1.weight` (outputs, inputs, taps), `conv1.bias`
    /// (outputs), …, `dense2.weight` (1, positions · dense outputs), `dense2.bias` (1).
    pub fn state_dict(&self, config: &ModelConfig) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let shapes = config.layers();
        let pairs = shapes.iter().zip(&self.layers);
        pairs
            .flat_map(|(shape, layer)| {
                let kernel = transpose_to_outputs_first(&layer.kernel, *shape);
                [
                    (
                        format!("{}.weight", shape.name),
                        shape.state_dict_axes(),
                        kernel,
                    ),
                    (
                        format!("{}.bias", shape.name),
                        vec![shape.outputs],
                        layer.bias.clone(),
                    ),
                ]
            })
            .collect()
    }
}

impl LayerShape {
    /// Axes of the kernel in a Keras file: (taps, inputs, outputs) or (inputs, outputs).
    pub fn keras_axes(&self) -> Vec<usize> {
        match self.convolution {
            true => vec![self.taps, self.inputs, self.outputs],
            false => vec![self.depth(), self.outputs],
        }
    }

    /// Axes of the kernel in a PyTorch or safetensors file: (outputs, inputs, taps) or (outputs, inputs).
    pub fn state_dict_axes(&self) -> Vec<usize> {
        match self.convolution {
            true => vec![self.outputs, self.inputs, self.taps],
            false => vec![self.outputs, self.depth()],
        }
    }
}

/// Kernel (outputs, inputs, taps) of a convolution, or (outputs, inputs) of a dense layer, to (taps, inputs, outputs).
///
/// # Panics
/// If `kernel` is not of this shape.
pub fn transpose_from_outputs_first(kernel: &[f32], shape: LayerShape) -> Vec<f32> {
    let mut ours = Vec::with_capacity(kernel.len());
    for first in outputs_first_rows(shape) {
        ours.extend(kernel[first..].iter().step_by(shape.depth()));
    }
    ours
}

/// The inverse of [`transpose_from_outputs_first`].
///
/// # Panics
/// If `kernel` is not of this shape.
pub fn transpose_to_outputs_first(kernel: &[f32], shape: LayerShape) -> Vec<f32> {
    let mut theirs = vec![0.0; kernel.len()];
    let rows = kernel.chunks_exact(shape.outputs);
    for (first, row) in outputs_first_rows(shape).zip(rows) {
        let weights = theirs[first..].iter_mut().step_by(shape.depth());
        weights.zip(row).for_each(|(theirs, ours)| *theirs = *ours);
    }
    theirs
}

/// Where the first output's weight of each row (taps, inputs) of ours stands in an outputs-first kernel.
fn outputs_first_rows(shape: LayerShape) -> impl Iterator<Item = usize> {
    (0..shape.depth()).map(move |row| match shape.convolution {
        true => row % shape.inputs * shape.taps + row / shape.inputs,
        false => row,
    })
}
