//! From the fluorescence of a work unit to its spikes: CASCADE's network on a CPU or a GPU.
//!
//! - [`pipeline`]: the compute stages in a row, neuron by neuron, on the threads of a rank
//! - [`gpu`]: the network on an NVIDIA GPU, in a build with the feature `cuda`

pub mod gpu;
pub mod pipeline;
