//! What the readers of weight files share: tensors are checked before their numbers are taken.

use std::path::Path;

use spikegrid_core::cascade::config::{LayerShape, ModelConfig};
use spikegrid_core::cascade::weights::{Layer, Weights};

use super::error::ModelError;

/// Collects the five layers that `read` finds for their shapes, in order.
///
/// # Errors
/// The first error of `read`.
pub(super) fn weights_from_layers(
    config: &ModelConfig,
    mut read: impl FnMut(usize, LayerShape) -> Result<Layer, ModelError>,
) -> Result<Weights, ModelError> {
    let [conv1, conv2, conv3, dense1, dense2] = config.layers();
    let layers = [
        read(0, conv1)?,
        read(1, conv2)?,
        read(2, conv3)?,
        read(3, dense1)?,
        read(4, dense2)?,
    ];
    Ok(Weights::from(layers))
}

/// What a file says of a tensor before its numbers are read.
pub(super) struct Header {
    pub shape: Vec<usize>,
    /// The type of its numbers, where it is not 32-bit floats.
    pub other_type: Option<String>,
}

/// Takes the numbers of a tensor by `load`, once its header is known to be right.
///
/// # Errors
/// No header, a shape that is not the one that `config.yaml` implies, another type, NaN or infinite weights, or what `load`
/// found instead.
pub(super) fn read_tensor(
    path: &Path,
    tensor: String,
    expected: Vec<usize>,
    header: Option<Header>,
    load: impl FnOnce() -> Result<Vec<f32>, String>,
) -> Result<Vec<f32>, ModelError> {
    let path = path.to_path_buf();
    let Some(Header { shape, other_type }) = header else {
        return Err(ModelError::Missing {
            path,
            tensor,
            expected,
        });
    };
    if shape != expected {
        return Err(ModelError::Shape {
            path,
            tensor,
            expected,
            found: shape,
        });
    }
    if let Some(found) = other_type {
        return Err(ModelError::Dtype {
            path,
            tensor,
            found,
        });
    }
    let weights = match load() {
        Ok(weights) => weights,
        Err(found) => {
            return Err(ModelError::Format {
                path,
                expected: "readable weights",
                found: format!("{tensor}: {found}"),
            });
        }
    };
    match weights.iter().position(|weight| !weight.is_finite()) {
        None => Ok(weights),
        Some(index) => Err(ModelError::NotFinite {
            path,
            tensor,
            found: weights[index],
            index,
        }),
    }
}
