//! The network on an NVIDIA GPU: the same operations in the same order as on a CPU, so the same bits.
//!
//! [`launches`] says what the GPU is given to do, [`SharedGpu`] lets work units take turns; `driver` talks to NVIDIA's driver, `network.cu` holds the kernels. In a build
//! without the feature `cuda` there is no GPU.

#[cfg(not(feature = "cuda"))]
mod absent;
#[cfg(feature = "cuda")]
mod driver;
pub mod launches;
mod shared;

#[cfg(not(feature = "cuda"))]
pub use absent::{Gpu, GpuError};
#[cfg(feature = "cuda")]
pub use driver::{Gpu, GpuError};
pub use shared::SharedGpu;
