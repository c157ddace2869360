//! What stands for a GPU in a build without the feature `cuda`: there never is one.

use spikegrid_core::cascade::Model;
use thiserror::Error;

/// Why there is no GPU.
#[derive(Debug, Error)]
pub enum GpuError {
    #[error("this program was built without GPU support")]
    NotBuilt,
}

/// No GPU.
pub enum Gpu {}

impl Gpu {
    /// # Errors
    /// Always [`GpuError::NotBuilt`].
    pub fn count() -> Result<usize, GpuError> {
        Err(GpuError::NotBuilt)
    }

    /// # Errors
    /// Always [`GpuError::NotBuilt`].
    pub fn open(_: usize, _: usize) -> Result<Self, GpuError> {
        Err(GpuError::NotBuilt)
    }

    pub fn name(&self) -> &str {
        match *self {}
    }

    /// # Errors
    /// Never called.
    pub fn load(&mut self, _: usize, _: &Model) -> Result<(), GpuError> {
        match *self {}
    }

    /// # Errors
    /// Never called.
    pub fn sum_rates(
        &mut self,
        _: usize,
        _: &mut [f32],
        _: usize,
        _: &[usize],
    ) -> Result<(), GpuError> {
        match *self {}
    }
}
