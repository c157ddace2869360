//! What a rank computes with: a pipeline for each model of the run that it has.

use std::collections::HashMap;
use std::sync::Arc;

use spikegrid_core::cascade::{Model, PostProcess};
use spikegrid_inference::ensembles::Ensembles;
use spikegrid_inference::pipeline::Pipeline;

/// Pipelines by the number of their model, and what they have in common.
pub struct Pipelines {
    post: PostProcess,
    seed: u64,
    of_models: HashMap<usize, Arc<Pipeline>>,
}

impl Pipelines {
    /// No pipeline yet, of a run with these settings.
    pub fn new(post: PostProcess, seed: u64) -> Self {
        Self {
            post,
            seed,
            of_models: HashMap::new(),
        }
    }

    /// Adds the pipeline of a model, which has this number in the run.
    ///
    /// # Panics
    /// If the weights are not those of the model's configuration, against which they were checked as they were read.
    pub fn add(&mut self, number: usize, model: Model) {
        let ensembles = Ensembles::new(model);
        let pipeline = Pipeline {
            model: number,
            ensembles: ensembles.expect("a model that was checked when it was read"),
            post: self.post,
            seed: self.seed,
        };
        self.of_models.insert(number, Arc::new(pipeline));
    }

    /// The pipeline of a model.
    ///
    /// # Panics
    /// If rank 0 has sent the plan of a subject before the model of this number.
    pub(super) fn of(&self, number: usize) -> Arc<Pipeline> {
        let pipeline = self.of_models.get(&number);
        pipeline
            .expect("models come before the subjects that need them")
            .clone()
    }
}
