//! CASCADE: ΔF/F to spike rates by an ensemble of small convnets (rules 4.2 to 4.6 and 4.8).
//!
//! ```text
//! ΔF/F ─ noise ─▶ noise level ─▶ ensemble ─ trace ─▶ raw rate ─ threshold ─▶ spike rate
//! ```
//!
//! - [`config`]: what `config.yaml` says and what follows from it; [`weights`]: one member's weights in one layout
//! - [`trace`]: the kernels of the network, for every frame of a trace at once (rules 4.2 and 4.4): [`convolution`] and
//!   [`winograd`], on [`features`]; [`span`] says which windows. The network itself, a module of candle around them, is in
//!   `spikegrid-inference`
//! - [`noise`]: the noise level of a neuron (rule 4.3); [`threshold`]: from raw to final rates (rules 4.5, 4.6, 4.8)
//! - [`model`]: a model folder as plain data; [`benchmark`]: how good it is; [`choice`]: which one suits a recording (rule 4.9)
//!
//! After Rupprecht et al., "A database and deep learning toolbox for noise-optimized, generalized spike inference from
//! calcium imaging", Nature Neuroscience 24, 1324–1337 (2021).

pub mod benchmark;
pub mod choice;
pub mod config;
pub mod convolution;
pub mod features;
pub mod model;
pub mod noise;
pub mod span;
pub mod threshold;
pub mod trace;
pub mod weights;
pub mod winograd;

pub use benchmark::Benchmark;
pub use config::ModelConfig;
pub use model::{Level, Model};
pub use threshold::{PostProcess, Threshold};
pub use trace::Scratch;
