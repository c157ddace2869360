//! Vectors in and out of tensors without a copy.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Tensor};

/// A tensor (rows, columns) that takes `values` over, without a copy.
///
/// # Errors
/// If there are more or fewer values.
pub(crate) fn into_tensor(values: Vec<f32>, shape: (usize, usize)) -> Result<Tensor> {
    if values.len() != shape.0 * shape.1 {
        candle_core::bail!("{} values for {shape:?}", values.len())
    }
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// The values of a tensor that nobody else uses, without a copy: candle's own way out of a tensor copies them. Clones and views of the
/// tensor are empty afterwards.
///
/// # Errors
/// If it is not a whole tensor of f32 on the CPU.
pub(crate) fn into_vec(tensor: Tensor) -> Result<Vec<f32>> {
    let take = Take::default();
    tensor.inplace_op1(&take)?;
    Ok(take.0.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Takes the vector out of a storage.
#[derive(Default)]
struct Take(Mutex<Vec<f32>>);

impl InplaceOp1 for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let CpuStorage::F32(values) = storage else {
            candle_core::bail!("expected f32 values")
        };
        let whole = Some((0, values.len()));
        if layout.contiguous_offsets() != whole {
            candle_core::bail!("expected a whole tensor, found {layout:?}")
        }
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = std::mem::take(values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_goes_in_and_out_without_a_copy() {
        let values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let (address, expected) = (values.as_ptr(), values.clone());
        let tensor = into_tensor(values, (2, 3)).unwrap();
        let values = into_vec(tensor).unwrap();
        assert_eq!(values.as_ptr(), address);
        assert_eq!(values, expected);
    }

    #[test]
    fn values_that_do_not_fill_a_shape_are_refused() {
        assert!(into_tensor(vec![0.0; 5], (2, 3)).is_err());
    }

    #[test]
    fn a_view_cannot_be_taken() {
        let tensor = into_tensor(vec![0.0; 6], (2, 3)).unwrap();
        assert!(into_vec(tensor.get(1).unwrap()).is_err());
        assert!(into_vec(tensor.t().unwrap()).is_err());
    }
}
