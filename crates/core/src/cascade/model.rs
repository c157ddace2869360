//! A CASCADE model in memory, and what it makes of one neuron's ΔF/F.

use serde::{Deserialize, Serialize};

use super::config::ModelConfig;
use super::noise;
use super::threshold::PostProcess;
use super::trace::{self, Scratch};
use super::weights::Weights;

/// A model folder in memory: configuration and an ensemble for each noise level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub config: ModelConfig,
    /// In the order of the configuration's `noise_levels`; never empty.
    pub levels: Vec<Level>,
    /// Hexadecimal SHA-256 over `config.yaml` and the weight files: of the lines `name NUL sha256-of-the-file LF`, sorted by
    /// name.
    pub sha256: String,
    /// What the user should know about the folder, one line each.
    pub warnings: Vec<String>,
}

/// The ensemble for one noise level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    pub noise_level: i32,
    /// In the order of their numbers; never empty.
    pub members: Vec<Weights>,
}

/// What inference says about a neuron beside its rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inference {
    /// Noise level of the neuron (rule 4.3); NaN if no two neighbouring frames have values.
    pub noise_level: f32,
    /// Noise level of the ensemble that was used.
    pub model_noise_level: i32,
    /// Frames beside the padded ends have no rate, because their windows hold missing values (rule 4.5).
    pub gaps: bool,
}

/// A neuron's noise level and the ensemble that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// NaN if no two neighbouring frames have values.
    pub noise_level: f32,
    /// Index of the ensemble in [`Model::levels`].
    pub level: usize,
}

impl Model {
    /// Index of the level for a neuron of noise level `noise`: the nearest, of two the lower, for NaN the first (rule 4.3).
    pub fn nearest_level(&self, noise: f32) -> usize {
        noise::nearest_level(self.levels.iter().map(|level| level.noise_level), noise)
    }

    /// Infers the spike rate of one neuron (rules 4.3 to 4.6 and 4.8).
    ///
    /// `dff` is ΔF/F (T), `rate` receives spikes per frame (T), NaN where there is no rate. The rates depend on `dff`, its
    /// length and the model alone: not on other neurons, earlier uses of `scratch`, or threads. A recording shorter than the
    /// window has no rate at all.
    ///
    /// # Panics
    /// If `dff` and `rate` differ in length.
    pub fn infer(
        &self,
        dff: &[f32],
        post: &PostProcess,
        scratch: &mut Scratch,
        rate: &mut [f32],
    ) -> Inference {
        let chosen = self.choose(dff, scratch);
        let members = &self.levels[chosen.level].members;
        trace::ensemble_rate(&self.config, members, dff, scratch, rate);
        self.finish(chosen, post, scratch, rate)
    }

    /// The ensemble for a neuron of ΔF/F `dff` (T) (rule 4.3).
    pub fn choose(&self, dff: &[f32], scratch: &mut Scratch) -> Chosen {
        let noise_level =
            noise::noise_level(dff, self.config.sampling_rate, &mut scratch.differences);
        Chosen {
            noise_level,
            level: self.nearest_level(noise_level),
        }
    }

    /// From the mean rates of the chosen ensemble to final ones, in `rate` (T) (rules 4.5, 4.6 and 4.8).
    pub fn finish(
        &self,
        chosen: Chosen,
        post: &PostProcess,
        scratch: &mut Scratch,
        rate: &mut [f32],
    ) -> Inference {
        let gaps = rate.len() >= self.config.windowsize
            && post.apply(&self.config, rate, &mut scratch.near_spike);
        Inference {
            noise_level: chosen.noise_level,
            model_noise_level: self.levels[chosen.level].noise_level,
            gaps,
        }
    }
}
