//! CASCADE models on disk (rule 4.1).
//!
//! ```text
//! model folder ─ folder ─▶ config.yaml, members ─ keras, state_dict (with torch) ─▶ Model
//! ```
//!
//! - [`folder`]: a model folder to a [`Model`](spikegrid_core::cascade::Model); [`verify`]: all that is wrong with one
//! - [`benchmark`]: how good the model is, where that was measured
//! - `keras`: weights in `.h5`; `state_dict` with `torch`: weights in `.pth` and `.safetensors`
//! - [`untrained`]: a stand-in model for demonstrations

pub mod benchmark;
mod error;
pub mod folder;
mod keras;
pub mod state_dict;
mod tensor;
mod torch;
pub mod untrained;
pub mod verify;

pub use error::ModelError;
pub use folder::load;

#[cfg(test)]
mod tests;
