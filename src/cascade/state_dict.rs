//! Weights from PyTorch state dictionaries (`.pth`) and safetensors files.
//!
//! Both name their tensors `conv1.weight` (outputs, inputs, taps), `conv1.bias` (outputs), the same for `conv2` and
//! `conv3`, `dense1.weight` (outputs, inputs), `dense1.bias`, `dense2.weight` (1, positions · inputs, position by
//! position), `dense2.bias`: the names of CASCADE's PyTorch port.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use candle_core::pickle::PthTensors;
use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};

use super::config::ModelConfig;
use super::error::ModelError;
use super::weights::{self, Layer, Weights};

/// Reads one member of an ensemble from a file of `torch.save(network.state_dict())`.
///
/// # Errors
/// The file is no state dictionary, or its tensors are not those of `config`.
pub(super) fn read_torch(path: &Path, config: &ModelConfig) -> Result<Weights, ModelError> {
    let file = PthTensors::new(path, None).map_err(|error| ModelError::Format {
        path: path.into(),
        expected: "a PyTorch state dictionary",
        found: one_line(&error),
    })?;
    read(&file, path, config)
}

/// Reads one member of an ensemble from a safetensors file.
///
/// # Errors
/// The file is no safetensors file, or its tensors are not those of `config`.
pub(super) fn read_safetensors(path: &Path, config: &ModelConfig) -> Result<Weights, ModelError> {
    let bytes = fs::read(path).map_err(|source| ModelError::Io {
        path: path.into(),
        source,
    })?;
    let file = SliceSafetensors::new(&bytes).map_err(|error| ModelError::Format {
        path: path.into(),
        expected: "a safetensors file",
        found: one_line(&error),
    })?;
    read(&file, path, config)
}

/// A file of named tensors.
trait TensorFile {
    /// Shape and element type of a tensor, from the file's header; None if there is none of this name.
    fn header(&self, name: &str) -> Option<(Vec<usize>, String)>;
    fn load(&self, name: &str) -> candle_core::Result<Tensor>;
}

impl TensorFile for PthTensors {
    fn header(&self, name: &str) -> Option<(Vec<usize>, String)> {
        let info = self.tensor_infos().get(name)?;
        Some((info.layout.dims().to_vec(), info.dtype.as_str().to_owned()))
    }

    fn load(&self, name: &str) -> candle_core::Result<Tensor> {
        self.get(name)?
            .ok_or_else(|| candle_core::Error::Msg("no data".into()))
    }
}

impl TensorFile for SliceSafetensors<'_> {
    fn header(&self, name: &str) -> Option<(Vec<usize>, String)> {
        let view = self.get(name).ok()?;
        Some((
            view.shape().to_vec(),
            view.dtype().to_string().to_lowercase(),
        ))
    }

    fn load(&self, name: &str) -> candle_core::Result<Tensor> {
        SliceSafetensors::load(self, name, &Device::Cpu)
    }
}

/// Reads the layers that `config` implies.
fn read(file: &impl TensorFile, path: &Path, config: &ModelConfig) -> Result<Weights, ModelError> {
    Weights::try_from_layers(config, |_, shape| {
        let kernel = read_tensor(
            file,
            path,
            format!("{}.weight", shape.name),
            shape.state_dict_axes(),
        )?;
        let bias = read_tensor(
            file,
            path,
            format!("{}.bias", shape.name),
            vec![shape.outputs],
        )?;
        Ok(Layer {
            kernel: weights::transpose_from_outputs_first(&kernel, shape),
            bias,
        })
    })
}

/// Reads a tensor once its header is known to be right.
fn read_tensor(
    file: &impl TensorFile,
    path: &Path,
    tensor: String,
    expected: Vec<usize>,
) -> Result<Vec<f32>, ModelError> {
    let Some((shape, dtype)) = file.header(&tensor) else {
        return Err(ModelError::Missing {
            path: path.into(),
            tensor,
            expected,
        });
    };
    weights::check_shape(path, &tensor, &expected, &shape)?;
    if dtype != DType::F32.as_str() {
        return Err(ModelError::Dtype {
            path: path.into(),
            tensor,
            found: dtype,
        });
    }
    let values = file
        .load(&tensor)
        .and_then(|values| values.flatten_all()?.to_vec1::<f32>());
    let values = values.map_err(|error| ModelError::Format {
        path: path.into(),
        expected: "readable weights",
        found: format!("{tensor}: {}", one_line(&error)),
    })?;
    weights::check_finite(path, &tensor, &values)?;
    Ok(values)
}

/// Key of a file's metadata that tells what its weights come from.
const RECIPE: &str = "recipe";

/// Writes one member of an ensemble as a safetensors file, by the names above; `recipe` identifies what the weights come
/// from. The file has its name only once it is complete.
///
/// # Errors
/// The file can't be written.
pub(crate) fn write_safetensors(
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
    let partial = path.with_extension("safetensors.partial");
    views
        .collect::<Result<Vec<_>, SafeTensorError>>()
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(io::Error::other)
        .and_then(|bytes| {
            let mut file = File::create(&partial)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&partial, path)
        })
        .map_err(|source| ModelError::Io {
            path: path.into(),
            source,
        })
}

/// What a safetensors file's weights come from; None if it does not say.
///
/// # Errors
/// The file can't be read or is no safetensors file.
pub(crate) fn recipe_of(path: &Path) -> Result<Option<String>, ModelError> {
    let bytes = fs::read(path).map_err(|source| ModelError::Io {
        path: path.into(),
        source,
    })?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| ModelError::Format {
        path: path.into(),
        expected: "a safetensors file",
        found: error.to_string(),
    })?;
    let metadata = header.metadata().as_ref();
    Ok(metadata.and_then(|metadata| metadata.get(RECIPE)).cloned())
}

fn one_line(error: &candle_core::Error) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
