//! From the fluorescence of a work unit to its spikes: CASCADE's network on a CPU or a GPU.
//!
//! - [`network`]: the network, defined once for inference, training and tests; `layers` has its gradients
//! - [`ensembles`]: the networks of a model, from ΔF/F to spike rates
//! - [`gpu`]: the same on an NVIDIA GPU, in a build with the feature `cuda`
//! - [`pipeline`]: the compute stages in a row, neuron by neuron, on the threads of a rank

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod buffer;
pub mod ensembles;
pub mod gpu;
mod layers;
pub mod network;
pub mod pipeline;
