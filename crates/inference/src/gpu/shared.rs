//! A GPU that work units take turns at.

use std::sync::{Mutex, MutexGuard, PoisonError};

use spikegrid_core::cascade::Model;

use super::{Gpu, GpuError};

/// A GPU that evaluates one unit at a time while threads do what is theirs in others; it is given up when it fails.
pub struct SharedGpu(Mutex<Option<Gpu>>);

impl SharedGpu {
    /// Shares this GPU.
    pub fn new(gpu: Gpu) -> Self {
        Self(Mutex::new(Some(gpu)))
    }

    /// Gives the GPU back, once it has done what it is at.
    pub fn release(&self) {
        *self.lock() = None;
    }

    /// Whether it is given up; does not wait for it.
    pub(crate) fn failed(&self) -> bool {
        self.0.try_lock().is_ok_and(|held| held.is_none())
    }

    /// See [`Gpu::load`]; the GPU is given up if it fails.
    pub(crate) fn load(&self, number: usize, model: &Model) {
        self.try_to(|gpu| gpu.load(number, model));
    }

    /// See [`Gpu::sum_rates`]; false if the GPU failed, now or before, in which case it is given up.
    pub(crate) fn sum_rates(
        &self,
        model: usize,
        rows: &mut [f32],
        stride: usize,
        levels: &[usize],
    ) -> bool {
        self.try_to(|gpu| gpu.sum_rates(model, rows, stride, levels))
    }

    fn try_to(&self, job: impl FnOnce(&mut Gpu) -> Result<(), GpuError>) -> bool {
        let mut held = self.lock();
        let Some(gpu) = held.as_mut() else {
            return false;
        };
        let Err(error) = job(gpu) else {
            return true;
        };
        eprintln!(
            "warning: {} failed: {error}; this rank goes on with the CPU, which gives the same results",
            gpu.name()
        );
        *held = None;
        false
    }

    fn lock(&self) -> MutexGuard<'_, Option<Gpu>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
