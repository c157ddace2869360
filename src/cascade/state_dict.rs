//! Weights from PyTorch state dictionaries (`.pth`) and safetensors files.
//!
//! Both name their tensors `conv1.weight` (outputs, inputs, taps), `conv1.bias` (outputs), the same for `conv2` and
//! `conv3`, `dense1.weight` (outputs, inputs), `dense1.bias`, `dense2.weight` (1, positions · inputs, position by
//! position), `dense2.bias`: the names of CASCADE's PyTorch port and of our [`Network`](super::network::Network).

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Tensor};

use super::config::ModelConfig;
use super::error::ModelError;
use super::torch::StateDict;
use super::weights::{self, Header, Layer, Weights};

/// Reads one member of an ensemble from a file of `torch.save(network.state_dict())`.
///
/// # Errors
/// The file is no state dictionary, or its tensors are not those of `config`.
pub(super) fn read_torch(path: &Path, config: &ModelConfig) -> Result<Weights, ModelError> {
    let bytes = read_file(path)?;
    let file = StateDict::parse(&bytes).map_err(|found| ModelError::Format {
        path: path.into(),
        expected: "a PyTorch state dictionary",
        found,
    })?;
    read(&file, path, config)
}

/// Reads one member of an ensemble from a safetensors file.
///
/// # Errors
/// The file is no safetensors file, or its tensors are not those of `config`.
pub(super) fn read_safetensors(path: &Path, config: &ModelConfig) -> Result<Weights, ModelError> {
    let bytes = read_file(path)?;
    let file = SliceSafetensors::new(&bytes).map_err(|error| ModelError::Format {
        path: path.into(),
        expected: "a safetensors file",
        found: one_line(&error),
    })?;
    read(&file, path, config)
}

fn read_file(path: &Path) -> Result<Vec<u8>, ModelError> {
    fs::read(path).map_err(|source| ModelError::Io {
        path: path.into(),
        source,
    })
}

/// A file of named tensors.
trait TensorFile {
    /// What the file says of a tensor; none if it has none of this name.
    fn header(&self, name: &str) -> Option<Header>;
    fn load(&self, name: &str) -> Result<Vec<f32>, String>;
}

impl TensorFile for StateDict<'_> {
    fn header(&self, name: &str) -> Option<Header> {
        Some(Header {
            shape: self.shape(name)?.to_vec(),
            other_type: None,
        })
    }

    fn load(&self, name: &str) -> Result<Vec<f32>, String> {
        StateDict::load(self, name)
    }
}

impl TensorFile for SliceSafetensors<'_> {
    fn header(&self, name: &str) -> Option<Header> {
        let view = self.get(name).ok()?;
        let found = view.dtype().to_string().to_lowercase();
        Some(Header {
            shape: view.shape().to_vec(),
            other_type: (found != DType::F32.as_str()).then_some(found),
        })
    }

    fn load(&self, name: &str) -> Result<Vec<f32>, String> {
        let values = SliceSafetensors::load(self, name, &Device::Cpu)
            .and_then(|values| values.flatten_all()?.to_vec1::<f32>());
        values.map_err(|error| one_line(&error))
    }
}

/// Reads the layers that `config` implies.
fn read(file: &impl TensorFile, path: &Path, config: &ModelConfig) -> Result<Weights, ModelError> {
    let tensor = |name: String, expected| {
        let header = file.header(&name);
        weights::read_tensor(path, name.clone(), expected, header, || file.load(&name))
    };
    Weights::try_from_layers(config, |_, shape| {
        let kernel = tensor(format!("{}.weight", shape.name), shape.state_dict_axes())?;
        let bias = tensor(format!("{}.bias", shape.name), vec![shape.outputs])?;
        Ok(Layer {
            kernel: weights::transpose_from_outputs_first(&kernel, shape),
            bias,
        })
    })
}

/// Writes one member of an ensemble as a safetensors file, by the names above.
///
/// # Errors
/// The file can't be written.
pub(super) fn write_safetensors(
    path: &Path,
    config: &ModelConfig,
    weights: &Weights,
) -> Result<(), ModelError> {
    let tensors = weights
        .state_dict(config)
        .into_iter()
        .map(|(name, shape, values)| Ok((name, Tensor::from_vec(values, shape, &Device::Cpu)?)));
    tensors
        .collect::<candle_core::Result<HashMap<String, Tensor>>>()
        .and_then(|tensors| candle_core::safetensors::save(&tensors, path))
        .map_err(|error| ModelError::Io {
            path: path.into(),
            source: std::io::Error::other(error.to_string()),
        })
}

fn one_line(error: &candle_core::Error) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
