//! CASCADE's network (rules 4.2 and 4.4), defined once for inference, training and tests.
//!
//! With `x` a window of `windowsize` frames, `R` the rectifier, `*` a 'valid' convolution and `max 2` the maximum of each two neighbouring
//! positions, without a last odd one:
//!
//! ```text
//! x (windowsize) ─ R(* conv1) ─ R(* conv2) ─ max 2 ─ R(* conv3) ─ max 2 ─ R(dense1) at each position ─ dense2 of all ─▶ rate
//! ```
//!
//! Windows of neighbouring frames share all but one sample. So a [`Network`] is evaluated along a trace, each layer once per frame `p`
//! rather than once per window:
//!
//! ```text
//! a1 = R(x * k1)    a2 = R(a1 * k2)                m1[p] = max(a2[p], a2[p+1])
//!                   a3 = R(m1 * k3), taps 2 apart  m2[p] = max(a3[p], a3[p+2])
//! d = R(dense1(m2))                                rate of the window from p on = Σ_j v_j · d[p+4j]
//! ```
//!
//! Shapes, distances and rectifiers are those of [`ModelConfig::layers`]; variables are named and shaped as in PyTorch and safetensors
//! files: `conv1.weight` (outputs, inputs, taps), `conv1.bias` (outputs), …, `dense1.weight` (outputs, inputs), …, `dense2.bias` (1).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor};
use candle_nn::{Module, VarBuilder};
use pulp::Arch;
use spikegrid_core::cascade::trace;
use spikegrid_core::cascade::weights::{self, Weights};
use spikegrid_core::cascade::{ModelConfig, Scratch};

use crate::layers::{Layer, contiguous};

/// One member of an ensemble.
#[derive(Clone, Debug)]
pub struct Network {
    config: ModelConfig,
    evaluation: Evaluation,
}

#[derive(Clone, Debug)]
enum Evaluation {
    /// The variables are being trained: layer by layer, with gradients.
    Layered(Box<[Layer; 5]>),
    /// They stay as they are: all layers in one operation.
    Fused(Arc<Weights>),
}

impl Network {
    /// A network of `config`'s architecture with the variables of `variables`. If these have gradients, as those of a
    /// [`VarMap`](candle_nn::VarMap), the network has them too, and follows the variables; else it keeps their values.
    ///
    /// # Errors
    /// A variable is missing or has another shape.
    pub fn new(config: &ModelConfig, variables: VarBuilder) -> Result<Self> {
        let mut layers = Vec::with_capacity(5);
        for shape in config.layers() {
            layers.push(Layer::new(shape, variables.pp(shape.name))?);
        }
        let layers = five(layers);
        let evaluation = match layers.iter().any(Layer::is_trained) {
            true => Evaluation::Layered(Box::new(layers)),
            false => Evaluation::Fused(Arc::new(values(&layers)?)),
        };
        Ok(Self {
            config: config.clone(),
            evaluation,
        })
    }

    /// A network that keeps these weights.
    ///
    /// # Errors
    /// If they are not those of `config`.
    pub fn from_weights(config: &ModelConfig, weights: &Weights) -> Result<Self> {
        let tensors = variables(config, weights)?;
        Self::new(
            config,
            VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu),
        )
    }

    /// The weights as they stand.
    ///
    /// # Errors
    /// If candle can't read the variables.
    pub fn weights(&self) -> Result<Weights> {
        match &self.evaluation {
            Evaluation::Layered(layers) => values(layers),
            Evaluation::Fused(weights) => Ok(Weights::clone(weights)),
        }
    }

    /// The weights as the kernels take them; None while they are trained.
    pub(crate) fn fixed_weights(&self) -> Option<&Weights> {
        match &self.evaluation {
            Evaluation::Layered(_) => None,
            Evaluation::Fused(weights) => Some(weights),
        }
    }

    fn layered(&self, layers: &[Layer; 5], trace: &Tensor) -> Result<Tensor> {
        let windows = windows(&self.config, trace.dim(0)?)?;
        let mut features = trace.unsqueeze(1)?;
        for layer in layers {
            features = layer.forward(&features)?;
        }
        features.squeeze(1)?.narrow(0, 0, windows)
    }
}

impl Module for Network {
    /// Traces (T) or (n, T) to the rates of all their windows, in spikes per frame, (T - windowsize + 1) or (n, T - windowsize + 1): the
    /// rate of the window that begins at frame `p` at `p`. A window that holds a value that is not finite has the rate NaN; a network in
    /// training takes finite traces only.
    fn forward(&self, traces: &Tensor) -> Result<Tensor> {
        let layers = match &self.evaluation {
            Evaluation::Layered(layers) => layers,
            Evaluation::Fused(weights) => {
                let config = &self.config;
                return traces
                    .contiguous()?
                    .apply_op1_no_bwd(&WindowRates { config, weights });
            }
        };
        match traces.dims() {
            [_] => self.layered(layers, traces),
            _ => {
                let rows = (0..traces.dim(0)?).map(|row| self.layered(layers, &traces.get(row)?));
                Tensor::stack(&rows.collect::<Result<Vec<_>>>()?, 0)
            }
        }
    }
}

/// The variables of `weights` by name, as [`Network`] expects them.
///
/// # Errors
/// If they are not those of `config`.
pub fn variables(config: &ModelConfig, weights: &Weights) -> Result<HashMap<String, Tensor>> {
    for (shape, layer) in config.layers().iter().zip(weights.layers()) {
        let (kernel, bias) = (layer.kernel.len(), layer.bias.len());
        if (kernel, bias) != (shape.depth() * shape.outputs, shape.outputs) {
            candle_core::bail!("{kernel} weights and {bias} biases for {shape:?}")
        }
    }
    let variables = weights.state_dict(config).into_iter();
    variables
        .map(|(name, shape, values)| Ok((name, Tensor::from_vec(values, shape, &Device::Cpu)?)))
        .collect()
}

fn values(layers: &[Layer; 5]) -> Result<Weights> {
    let layers: Result<Vec<weights::Layer>> = layers.iter().map(Layer::values).collect();
    Ok(Weights::from(five(layers?)))
}

fn five<T>(layers: Vec<T>) -> [T; 5] {
    layers
        .try_into()
        .unwrap_or_else(|_| unreachable!("a network has five layers"))
}

/// # Errors
/// A trace that is shorter than a window.
fn windows(config: &ModelConfig, frames: usize) -> Result<usize> {
    match config.windows(frames) {
        0 => candle_core::bail!("{frames} frames for windows of {}", config.windowsize),
        windows => Ok(windows),
    }
}

/// All layers of a network with fixed weights, by the kernels of [`trace`].
struct WindowRates<'a> {
    config: &'a ModelConfig,
    weights: &'a Weights,
}

impl CustomOp1 for WindowRates<'_> {
    fn name(&self) -> &'static str {
        "network along a trace"
    }

    fn cpu_fwd(&self, traces: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let traces = contiguous(traces, layout)?;
        let mut shape = layout.dims().to_vec();
        let Some(frames) = shape.last_mut() else {
            candle_core::bail!("expected traces, found a number")
        };
        let traces = traces.chunks_exact(*frames);
        *frames = windows(self.config, *frames)?;
        let windows = *frames;
        let shape = Shape::from(shape);
        let mut rates = vec![0.0; shape.elem_count()];
        with_scratch(Arch::default(), |scratch| {
            for (trace, rates) in traces.zip(rates.chunks_exact_mut(windows)) {
                trace::window_rates(self.config, [self.weights], trace, scratch, rates);
            }
        });
        Ok((CpuStorage::F32(rates), shape))
    }
}

/// Lends the working memory that each thread keeps for the kernels, so that no trace needs an allocation of its own.
pub(crate) fn with_scratch<T>(arch: Arch, then: impl FnOnce(&mut Scratch) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.arch = arch;
        then(scratch)
    })
}
