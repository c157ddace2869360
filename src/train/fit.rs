//! One member's training.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, Optimizer, VarBuilder, VarMap};
use spikegrid_core::cascade::ModelConfig;
use spikegrid_core::cascade::weights::{Layer, Weights};
use spikegrid_inference::network::{self, Network};

use super::TrainingError;
use super::material::{Batch, Level};
use super::recipe::Recipe;
use crate::random::Random;

/// Networks that are begun for a member, because now and then all channels of a layer fall silent and nothing is learnt.
const BEGINNINGS: usize = 5;
/// What the loss must be below, as a part of that of a network that always says the mean rate.
const LEARNT: f32 = 0.9;

/// A trained member.
pub struct Fitted {
    pub weights: Weights,
    /// Weighted mean squared error over the last tenth of the frames, in (spikes per frame)².
    pub loss: f32,
}

/// Trains a network on `material`, from the random numbers of `random`. `progress` hears of the windows seen and the loss
/// of each step; the training ends without a result once it returns false.
///
/// # Errors
/// A loss that is no number; a network that learns nothing; what candle can't compute.
pub fn fit(
    config: &ModelConfig,
    recipe: &Recipe,
    material: &Level,
    random: &mut Random,
    mut progress: impl FnMut(u64, f32) -> bool,
) -> Result<Option<Fitted>, TrainingError> {
    for _ in 0..BEGINNINGS {
        let mut variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let network = Network::new(config, builder)?;
        let start = network::variables(config, &random_weights(config, random))?;
        variables.set(start.into_iter())?;
        let optimizer = Adagrad::new(variables.all_vars(), recipe.learning_rate)?;
        let outcome = descend(&network, optimizer, recipe, material, random, &mut progress)?;
        let Some(Outcome { loss, of_constant }) = outcome else {
            return Ok(None);
        };
        if of_constant == 0.0 {
            return Err(TrainingError::NoSpikes);
        }
        if loss < LEARNT * of_constant {
            let weights = network.weights()?;
            return Ok(Some(Fitted { weights, loss }));
        }
    }
    Err(TrainingError::LearntNothing {
        networks: BEGINNINGS,
    })
}

/// Glorot and Bengio's uniform kernels (AISTATS 2010), which CASCADE starts with too, and no bias.
fn random_weights(config: &ModelConfig, random: &mut Random) -> Weights {
    Weights::from(config.layers().map(|shape| {
        let (fan_in, fan_out) = match shape.convolution {
            true => (shape.depth(), shape.taps * shape.outputs),
            false => (shape.depth(), shape.outputs),
        };
        let limit = (6.0 / (fan_in + fan_out) as f32).sqrt();
        let kernel = (0..shape.depth() * shape.outputs).map(|_| random.between(-limit, limit));
        Layer {
            kernel: kernel.collect(),
            bias: vec![0.0; shape.outputs],
        }
    }))
}

/// How a training ended.
struct Outcome {
    loss: f32,
    /// What the loss of a network would be that always says the mean rate.
    of_constant: f32,
}

/// Goes down the gradient; None if `progress` ended it.
fn descend(
    network: &Network,
    mut optimizer: Adagrad,
    recipe: &Recipe,
    material: &Level,
    random: &mut Random,
    progress: &mut impl FnMut(u64, f32) -> bool,
) -> Result<Option<Outcome>, TrainingError> {
    let mut batch = Batch::default();
    let mut seen = 0;
    let mut last = Tail::default();
    while seen < recipe.training_frames {
        material.draw(random, &mut batch);
        let input = Tensor::from_slice(&batch.trace, batch.trace.len(), &Device::Cpu)?;
        let truth = Tensor::from_slice(&batch.rate, batch.rate.len(), &Device::Cpu)?;
        let weight = Tensor::from_slice(&batch.weight, batch.weight.len(), &Device::Cpu)?;
        let errors = network.forward(&input)?.sub(&truth)?;
        let squares = (errors.sqr()?.mul(&weight)?.sum_all()? / batch.windows as f64)?;
        let mut descended = squares.clone();
        if recipe.absolute_error > 0.0 {
            let weight = &batch.absolute_weight;
            let weight = Tensor::from_slice(weight, weight.len(), &Device::Cpu)?;
            let absolute = (errors.abs()?.mul(&weight)?.sum_all()? / batch.windows as f64)?;
            descended = descended.add(&absolute)?;
        }
        optimizer.backward_step(&descended)?;
        let loss = squares.to_scalar::<f32>()?;
        if !loss.is_finite() {
            return Err(TrainingError::Diverged { loss, seen });
        }
        seen += batch.windows as u64;
        if seen * 10 >= recipe.training_frames * 9 {
            last.add(&batch, loss);
        }
        if !progress(seen, loss) {
            return Ok(None);
        }
    }
    Ok(Some(last.outcome()))
}

/// Sums over the last steps.
#[derive(Default)]
struct Tail {
    losses: f64,
    steps: f64,
    windows: f64,
    /// Weights, weighted rates, weighted squares of rates.
    moments: [f64; 3],
}

impl Tail {
    fn add(&mut self, batch: &Batch, loss: f32) {
        self.losses += f64::from(loss);
        self.steps += 1.0;
        self.windows += batch.windows as f64;
        for (&rate, &weight) in batch.rate.iter().zip(&batch.weight) {
            let (rate, weight) = (f64::from(rate), f64::from(weight));
            self.moments[0] += weight;
            self.moments[1] += weight * rate;
            self.moments[2] += weight * rate * rate;
        }
    }

    fn outcome(&self) -> Outcome {
        let [weights, first, second] = self.moments;
        Outcome {
            loss: (self.losses / self.steps) as f32,
            of_constant: ((second - first * first / weights) / self.windows).max(0.0) as f32,
        }
    }
}

/// Adagrad (Duchi, Hazan and Singer, JMLR 12, 2011) with Keras' constants.
struct Adagrad {
    /// Variables with the sums of their squared gradients.
    variables: Vec<(Var, Tensor)>,
    learning_rate: f64,
}

impl Optimizer for Adagrad {
    type Config = f64;

    fn new(variables: Vec<Var>, learning_rate: f64) -> candle_core::Result<Self> {
        let pairs = variables.into_iter().map(|variable| {
            let squares = (variable.zeros_like()? + 0.1)?;
            Ok((variable, squares))
        });
        Ok(Self {
            variables: pairs.collect::<candle_core::Result<_>>()?,
            learning_rate,
        })
    }

    fn step(&mut self, gradients: &GradStore) -> candle_core::Result<()> {
        for (variable, squares) in &mut self.variables {
            if let Some(gradient) = gradients.get(variable) {
                *squares = squares.add(&gradient.sqr()?)?.detach();
                let step = (gradient * self.learning_rate)?.div(&(squares.sqrt()? + 1e-7)?)?;
                variable.set(&variable.sub(&step)?)?;
            }
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }
}
