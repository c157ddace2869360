//! Weights from Keras files (`.h5`): those of Keras 2.1 to 2.15, and the legacy HDF5 files of Keras 3.
//!
//! The attribute `layer_names` of the group `model_weights` (of the file itself, if only weights were saved) lists the layers
//! in the network's order, `weight_names` of each layer's group its datasets: kernel, then bias. The strings are of fixed or
//! variable length, depending on the version of h5py.

use std::path::Path;

use hdf5::types::{
    FixedAscii, FixedUnicode, FloatSize, TypeDescriptor, VarLenAscii, VarLenUnicode,
};
use hdf5::{Attribute, File, Group, H5Type};
use spikegrid_core::cascade::config::{LayerShape, ModelConfig};
use spikegrid_core::cascade::weights::{Layer, Weights};

use super::error::ModelError;
use super::tensor::{self, Header};
use crate::hdf5_access::{self, elements, reason};
use crate::signature::{instead_at, is_hdf5};

/// What a file should be, for messages.
pub(super) const EXPECTED: &str = "a Keras model in HDF5";
/// Longest fixed-length name that is read, in bytes.
const MAX_NAME: usize = 512;
/// Most names that a list may have.
const MAX_NAMES: usize = 1024;

/// Reads one member of an ensemble.
///
/// # Errors
/// The file is no Keras file, or its layers are not those of `config`.
pub(super) fn read(path: &Path, config: &ModelConfig) -> Result<Weights, ModelError> {
    let not_keras = |found: String| ModelError::Format {
        path: path.into(),
        expected: EXPECTED,
        found,
    };
    let file = hdf5_access::open(path).map_err(|error| not_keras(unreadable(path, &error)))?;
    let layers = weighted_layers(&file).map_err(not_keras)?;
    if layers.len() != config.layers().len() {
        let names: Vec<_> = layers.iter().map(|layer| layer.group.name()).collect();
        let found = format!("{} ({})", layers.len(), names.join(", "));
        return Err(ModelError::Format {
            path: path.into(),
            expected: "5 layers with weights",
            found,
        });
    }
    tensor::weights_from_layers(config, |index, shape| layers[index].read(path, shape))
}

/// A layer's group and the names of its datasets, in Keras' order.
struct KerasLayer {
    group: Group,
    datasets: Vec<String>,
}

impl KerasLayer {
    fn read(&self, path: &Path, shape: LayerShape) -> Result<Layer, ModelError> {
        let kernel = self.tensor(path, 0, shape.keras_axes())?;
        let bias = self.tensor(path, 1, vec![shape.outputs])?;
        Ok(Layer { kernel, bias })
    }

    /// The dataset at `index`, after its type and shape are checked.
    fn tensor(
        &self,
        path: &Path,
        index: usize,
        expected: Vec<usize>,
    ) -> Result<Vec<f32>, ModelError> {
        let role = ["kernel", "bias"][index];
        let tensor = match self.datasets.get(index) {
            Some(name) => format!("{}/{name}", self.group.name()),
            None => format!("{} {role}", self.group.name()),
        };
        let name = self.datasets.get(index);
        let dataset = name.and_then(|name| self.group.dataset(name).ok());
        let header = dataset.as_ref().map(|dataset| Header {
            shape: dataset.shape(),
            other_type: match dataset.dtype().and_then(|dtype| dtype.to_descriptor()) {
                Ok(TypeDescriptor::Float(FloatSize::U4)) => None,
                Ok(other) => Some(other.to_string()),
                Err(error) => Some(reason(&error)),
            },
        });
        tensor::read_tensor(path, tensor, expected, header, || {
            let values = dataset.map(|dataset| dataset.read_raw::<f32>());
            let values = values.ok_or("no dataset")?;
            values.map_err(|error| reason(&error))
        })
    }
}

/// The layers that have weights, in the network's order; or what was found instead.
fn weighted_layers(file: &File) -> Result<Vec<KerasLayer>, String> {
    let nested;
    let root: &Group = if file.link_exists("model_weights") {
        nested = file
            .group("model_weights")
            .map_err(|error| reason(&error))?;
        &nested
    } else {
        file
    };
    let mut layers = Vec::new();
    for name in names(root, "layer_names")? {
        let group = root
            .group(&name)
            .map_err(|_| format!("no group for layer {name}"))?;
        let datasets = names(&group, "weight_names")?;
        if !datasets.is_empty() {
            layers.push(KerasLayer { group, datasets });
        }
    }
    Ok(layers)
}

/// The strings of a list attribute, or what was found instead.
fn names(group: &Group, attribute: &str) -> Result<Vec<String>, String> {
    let place = || format!("{}: attribute {attribute}", group.name());
    let list = group
        .attr(attribute)
        .map_err(|_| format!("no {}", place()))?;
    match elements(&list) {
        0 => Ok(Vec::new()), // Keras then writes an empty list of floats
        size if size > MAX_NAMES => Err(format!("{} with {size} names", place())),
        _ => strings(&list).map_err(|found| format!("{} of {found}", place())),
    }
}

fn strings(list: &Attribute) -> Result<Vec<String>, String> {
    fn read<T: H5Type + AsRef<str>>(list: &Attribute) -> Result<Vec<String>, String> {
        let names = list.read_raw::<T>().map_err(|error| reason(&error))?;
        Ok(names.iter().map(|name| name.as_ref().to_owned()).collect())
    }
    match list
        .dtype()
        .and_then(|dtype| dtype.to_descriptor())
        .map_err(|error| reason(&error))?
    {
        TypeDescriptor::VarLenUnicode => read::<VarLenUnicode>(list),
        TypeDescriptor::VarLenAscii => read::<VarLenAscii>(list),
        TypeDescriptor::FixedAscii(length) if length <= MAX_NAME => {
            read::<FixedAscii<MAX_NAME>>(list)
        }
        TypeDescriptor::FixedUnicode(length) if length <= MAX_NAME => {
            read::<FixedUnicode<MAX_NAME>>(list)
        }
        other => Err(format!("type {other}")),
    }
}

/// What a file is that cannot be opened as HDF5.
fn unreadable(path: &Path, error: &hdf5::Error) -> String {
    match is_hdf5(path) {
        true => format!("one that cannot be read ({})", reason(error)),
        false => instead_at(path).unwrap_or_else(|| reason(error)),
    }
}
