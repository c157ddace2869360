//! CASCADE: ΔF/F to spike rates by an ensemble of small convnets (rules 4.1 to 4.8).
//!
//! ```text
//! model folder ─ config, folder, keras, state_dict, torch ─▶ Model     (the only part that touches files)
//! ΔF/F ─ noise ─▶ noise level ─▶ ensemble ─ trace ─▶ raw rate ─ threshold ─▶ spike rate
//! ```
//!
//! - [`config`]: `config.yaml` and what follows from it; `folder`: a model folder to a [`Model`] (rule 4.1)
//! - [`weights`]: one member's weights in one layout; `keras` and `state_dict` (with `torch`) read it from files
//! - [`trace`]: the same network for every frame of a trace at once (rules 4.2 and 4.4), which is what inference runs;
//!   [`convolution`]: its kernel
//! - [`gpu`]: the same on a GPU, in a build with the feature `cuda`; [`launches`]: what it is given to do
//! - [`noise`]: the noise level of a neuron (rule 4.3); [`threshold`]: from raw to final rates (rules 4.5, 4.6, 4.8)
//! - [`model`]: all of it for one neuron; [`untrained`]: a stand-in model for demonstrations
//!
//! After Rupprecht et al., "A database and deep learning toolbox for noise-optimized, generalized spike inference from
//! calcium imaging", Nature Neuroscience 24, 1324–1337 (2021).

pub mod config;
pub mod convolution;
pub mod error;
pub mod features;
pub(crate) mod folder;
#[cfg_attr(not(feature = "cuda"), path = "gpu_absent.rs")]
pub mod gpu;
mod keras;
pub mod launches;
pub mod model;
#[cfg(test)]
mod network;
pub mod noise;
pub(crate) mod state_dict;
pub mod threshold;
mod torch;
pub mod trace;
pub mod untrained;
pub mod verify;
pub mod weights;
pub mod winograd;

pub use config::ModelConfig;
pub use error::ModelError;
pub use model::{Chosen, Inference, Level, Model};
pub use threshold::{PostProcess, Threshold};
pub use trace::Scratch;

#[cfg(test)]
mod golden_tests;
