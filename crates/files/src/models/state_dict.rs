//! Weights from PyTorch state dictionaries (`.pth`) and safetensors files.
//!
//! Both name their tensors `conv1.weight` (outputs, inputs, taps), `conv1.bias` (outputs), the same for `conv2` and
//! `conv3`, `dense1.weight` (outputs, inputs), `dense1.bias`, `dense2.weight` (1, positions · inputs, position by
//! position), `dense2.bias`: the names of CASCADE's PyTorch port.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use spikegrid_core::cascade::config::ModelConfig;
use spikegrid_core::cascade::weights::{self, Layer, Weights};

use super::error::ModelError;
use super::folder::write_whole;
use super::tensor::{self, Header};
use super::torch::StateDict;
use crate::regular;

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
    let file = SafeTensors::deserialize(&bytes).map_err(not_safetensors(path))?;
    read(&file, path, config)
}

fn read_file(path: &Path) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    let read = regular::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|source| ModelError::Io {
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

impl TensorFile for SafeTensors<'_> {
    fn header(&self, name: &str) -> Option<Header> {
        let view = self.tensor(name).ok()?;
        let other = view.dtype() != Dtype::F32;
        Some(Header {
            shape: view.shape().to_vec(),
            other_type: other.then(|| view.dtype().to_string().to_lowercase()),
        })
    }

    fn load(&self, name: &str) -> Result<Vec<f32>, String> {
        let view = self.tensor(name).map_err(|error| error.to_string())?;
        let (floats, _) = view.data().as_chunks();
        Ok(floats.iter().copied().map(f32::from_le_bytes).collect())
    }
}

/// Reads the layers that `config` implies.
fn read(file: &impl TensorFile, path: &Path, config: &ModelConfig) -> Result<Weights, ModelError> {
    let tensor = |name: String, expected| {
        let header = file.header(&name);
        tensor::read_tensor(path, name.clone(), expected, header, || file.load(&name))
    };
    tensor::weights_from_layers(config, |_, shape| {
        let kernel = tensor(format!("{}.weight", shape.name), shape.state_dict_axes())?;
        let bias = tensor(format!("{}.bias", shape.name), vec![shape.outputs])?;
        Ok(Layer {
            kernel: weights::transpose_from_outputs_first(&kernel, shape),
            bias,
        })
    })
}

/// Key of a file's metadata that tells what its weights come from.
const RECIPE: &str = "recipe";

/// Writes one member of an ensemble as a safetensors file, by the names above; `recipe` identifies what the weights come
/// from.
///
/// # Errors
/// The file can't be written.
pub fn write_safetensors(
    path: &Path,
    config: &ModelConfig,
    weights: &Weights,
    recipe: &str,
) -> Result<(), ModelError> {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = weights
        .state_dict(config)
        .into_iter()
        .map(|(name, shape, values)| {
            let bytes = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            (name, shape, bytes)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    let metadata = HashMap::from([(RECIPE.to_owned(), recipe.to_owned())]);
    let bytes = views
        .collect::<Result<Vec<_>, SafeTensorError>>()
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(not_safetensors(path))?;
    write_whole(path, &bytes)
}

/// What a safetensors file's weights come from; None if it does not say.
///
/// # Errors
/// The file can't be read or is no safetensors file.
pub fn recipe_of(path: &Path) -> Result<Option<String>, ModelError> {
    let bytes = read_file(path)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(not_safetensors(path))?;
    let metadata = header.metadata().as_ref();
    Ok(metadata.and_then(|metadata| metadata.get(RECIPE)).cloned())
}

fn not_safetensors(path: &Path) -> impl FnOnce(SafeTensorError) -> ModelError {
    move |error| ModelError::Format {
        path: path.into(),
        expected: "a safetensors file",
        found: error.to_string(),
    }
}
