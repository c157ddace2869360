//! One member's training.

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::Optimizer;

use super::material::{Batch, Level};
use super::network::TraceNetwork;
use super::recipe::Recipe;
use crate::cascade::ModelConfig;
use crate::cascade::weights::Weights;
use crate::random::Random;

/// Steps from one report to the next.
const REPORT_STEPS: usize = 100;

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

/// Trains a network on `material`, from the random numbers of `random`. `progress` hears of windows seen and the loss now
/// and then; the training ends without a result once it returns false.
///
/// # Errors
/// What candle can't compute.
pub fn fit(
    config: &ModelConfig,
    recipe: &Recipe,
    material: &Level,
    random: &mut Random,
    mut progress: impl FnMut(u64, f32) -> bool,
) -> Result<Option<Fitted>> {
    for _ in 0..BEGINNINGS {
        let network = TraceNetwork::new(config, random)?;
        let outcome = descend(&network, config, recipe, material, random, &mut progress)?;
        let Some(Outcome { loss, of_constant }) = outcome else {
            return Ok(None);
        };
        if loss < LEARNT * of_constant {
            let weights = network.weights()?;
            return Ok(Some(Fitted { weights, loss }));
        }
    }
    candle_core::bail!(
        "{BEGINNINGS} networks learnt no more than the mean rate; try a smaller learning_rate or more training_frames"
    )
}

/// How a training ended.
struct Outcome {
    loss: f32,
    /// What the loss of a network would be that always says the mean rate.
    of_constant: f32,
}

/// Goes down the gradient; None if `progress` ended it.
fn descend(
    network: &TraceNetwork,
    config: &ModelConfig,
    recipe: &Recipe,
    material: &Level,
    random: &mut Random,
    progress: &mut impl FnMut(u64, f32) -> bool,
) -> Result<Option<Outcome>> {
    let mut optimizer = Adagrad::new(network.variables(), recipe.learning_rate)?;
    let mut batch = Batch::default();
    let mut seen = 0;
    let mut recent = Mean::default();
    let (mut last, mut of_constant) = (Mean::default(), Mean::default());
    while seen < recipe.training_frames {
        material.draw(random, &mut batch);
        let input = Tensor::from_slice(&batch.trace, batch.trace.len(), &Device::Cpu)?;
        let truth = Tensor::from_slice(&batch.rate, batch.rate.len(), &Device::Cpu)?;
        let weight = Tensor::from_slice(&batch.weight, batch.weight.len(), &Device::Cpu)?;
        let squares = network.forward(&input, config)?.sub(&truth)?.sqr()?;
        let loss = (squares.mul(&weight)?.sum_all()? / batch.windows as f64)?;
        optimizer.backward_step(&loss)?;
        let loss = loss.to_scalar::<f32>()?;
        if !loss.is_finite() {
            candle_core::bail!(
                "the loss became {loss} after {seen} frames; try a smaller learning_rate"
            );
        }
        seen += batch.windows as u64;
        recent.add(loss);
        if seen * 10 >= recipe.training_frames * 9 {
            last.add(loss);
            of_constant.add(batch.loss_of_constant());
        }
        if recent.count == REPORT_STEPS {
            if !progress(seen, recent.value()) {
                return Ok(None);
            }
            recent = Mean::default();
        }
    }
    Ok(Some(Outcome {
        loss: last.value(),
        of_constant: of_constant.value(),
    }))
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += f64::from(value);
        self.count += 1;
    }

    fn value(&self) -> f32 {
        (self.sum / self.count.max(1) as f64) as f32
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

    fn new(variables: Vec<Var>, learning_rate: f64) -> Result<Self> {
        let pairs = variables.into_iter().map(|variable| {
            let squares = (variable.zeros_like()? + 0.1)?;
            Ok((variable, squares))
        });
        Ok(Self {
            variables: pairs.collect::<Result<_>>()?,
            learning_rate,
        })
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
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
