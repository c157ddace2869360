//! The network along a whole trace, with gradients: training's forward pass.
//!
//! Windows of neighbouring frames share all but one sample. So each layer is evaluated once per frame, as inference does
//! (see [`trace`](spikegrid_core::cascade::trace)), on features with one row per frame, (rows, channels):
//!
//! ```text
//! a1 = R(x * k1)    a2 = R(a1 * k2)    m1[p] = max(a2[p], a2[p+1])
//! a3 = R(m1 * k3), taps 2 apart        m2[p] = max(a3[p], a3[p+2])
//! d = R(dense(m2))                     rate[p] = Σ_j v_j · d[p+4j]
//! ```
//!
//! Every layer with weights is a convolution: the patches of a row are a strided view of the features, so that it
//! and its gradients are matrix products without copies.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Storage, Tensor, Var};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, s};
use spikegrid_core::cascade::ModelConfig;
use spikegrid_core::cascade::config::LayerShape;
use spikegrid_core::cascade::weights::{Layer, Weights};

use crate::random::Random;

/// Distance of the taps of each layer, in frames: two poolings by 2 lie before the last ones.
const DILATIONS: [usize; 5] = [1, 1, 2, 1, 4];

/// One member in training: its variables.
pub struct TraceNetwork {
    layers: [(LayerShape, Var, Var); 5],
}

impl TraceNetwork {
    /// A network with random weights: Glorot and Bengio's uniform kernels (AISTATS 2010), which CASCADE starts with too,
    /// and no bias.
    ///
    /// # Errors
    /// If candle can't make its variables.
    pub fn new(config: &ModelConfig, random: &mut Random) -> Result<Self> {
        let mut layers = Vec::with_capacity(5);
        for shape in config.layers() {
            let (fan_in, fan_out) = match shape.convolution {
                true => (shape.depth(), shape.taps * shape.outputs),
                false => (shape.depth(), shape.outputs),
            };
            let limit = (6.0 / (fan_in + fan_out) as f32).sqrt();
            let kernel = (0..shape.depth() * shape.outputs)
                .map(|_| random.between(-limit, limit))
                .collect();
            layers.push(variables(shape, kernel, vec![0.0; shape.outputs])?);
        }
        Ok(Self {
            layers: five(layers),
        })
    }

    /// A network that has `weights`.
    ///
    /// # Errors
    /// If they are not those of `config`.
    pub fn from_weights(config: &ModelConfig, weights: &Weights) -> Result<Self> {
        let pairs = config.layers().into_iter().zip(weights.layers());
        let layers = pairs
            .map(|(shape, layer)| variables(shape, layer.kernel.clone(), layer.bias.clone()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            layers: five(layers),
        })
    }

    /// What the optimiser changes.
    pub fn variables(&self) -> Vec<Var> {
        let pairs = self.layers.iter();
        pairs
            .flat_map(|(_, kernel, bias)| [kernel.clone(), bias.clone()])
            .collect()
    }

    /// The weights as they stand.
    ///
    /// # Errors
    /// If candle can't read its variables.
    pub fn weights(&self) -> Result<Weights> {
        let layers = self.layers.iter().map(|(_, kernel, bias)| {
            Ok(Layer {
                kernel: kernel.flatten_all()?.to_vec1()?,
                bias: bias.to_vec1()?,
            })
        });
        Ok(Weights::from(five(layers.collect::<Result<Vec<_>>>()?)))
    }

    /// Rates (T - windowsize + 1), in spikes per frame, of all windows of `trace` (T): entry `p` of the window that begins
    /// at frame `p`.
    ///
    /// # Errors
    /// If `trace` is shorter than a window.
    pub fn forward(&self, trace: &Tensor, config: &ModelConfig) -> Result<Tensor> {
        let mut features = trace.unsqueeze(1)?;
        for (index, (shape, kernel, bias)) in self.layers.iter().enumerate() {
            let convolution = Convolution {
                taps: shape.taps,
                dilation: DILATIONS[index],
                rectified: index < 4,
                first: index == 0,
            };
            features = features.contiguous()?.apply_op3(
                kernel.as_tensor(),
                bias.as_tensor(),
                convolution,
            )?;
            match index {
                1 => features = features.apply_op1(Maximum { distance: 1 })?,
                2 => features = features.apply_op1(Maximum { distance: 2 })?,
                _ => {}
            }
        }
        let windows = trace.dim(0)? + 1 - config.windowsize;
        features.squeeze(1)?.narrow(0, 0, windows)
    }
}

fn variables(
    shape: LayerShape,
    kernel: Vec<f32>,
    bias: Vec<f32>,
) -> Result<(LayerShape, Var, Var)> {
    let device = &candle_core::Device::Cpu;
    Ok((
        shape,
        Var::from_vec(kernel, (shape.depth(), shape.outputs), device)?,
        Var::from_vec(bias, shape.outputs, device)?,
    ))
}

fn five<T>(layers: Vec<T>) -> [T; 5] {
    layers
        .try_into()
        .unwrap_or_else(|_| unreachable!("a network has five layers"))
}

/// 'Valid' convolution of features (rows, inputs) with a kernel (taps · inputs, outputs) and a bias (outputs).
#[derive(Clone, Copy)]
struct Convolution {
    taps: usize,
    /// Rows from a tap to the next.
    dilation: usize,
    /// Whether negative outputs become 0.
    rectified: bool,
    /// Whether the features are data, for which nobody asks a gradient.
    first: bool,
}

impl Convolution {
    fn reach(&self) -> usize {
        (self.taps - 1) * self.dilation
    }

    /// Adds to `out` (rows, outputs) the products of the patches of `features` with `kernel`.
    fn add_products(
        &self,
        features: ArrayView2<f32>,
        kernel: ArrayView2<f32>,
        out: &mut Array2<f32>,
    ) {
        let mut first_row = 0;
        for (patches, kernel_rows) in self.patches(&features, out.nrows()) {
            let kernel = kernel.slice(s![first_row..first_row + kernel_rows, ..]);
            general_mat_mul(1.0, &patches, &kernel, 1.0, out);
            first_row += kernel_rows;
        }
    }

    /// The patches of `rows` rows as matrices with one row each: one matrix where neighbouring taps are neighbouring
    /// rows, one per tap otherwise; each with its number of columns.
    fn patches<'a>(
        &self,
        features: &ArrayView2<'a, f32>,
        rows: usize,
    ) -> impl Iterator<Item = (ArrayView2<'a, f32>, usize)> {
        let inputs = features.ncols();
        let (groups, width) = match self.dilation {
            1 => (1, self.taps * inputs),
            _ => (self.taps, inputs),
        };
        let values = features.to_slice().expect("features are contiguous");
        (0..groups).map(move |group| {
            let values = &values[group * self.dilation * inputs..];
            let shape = (rows, width).strides((inputs, 1));
            let patches =
                ArrayView2::from_shape(shape, values).expect("patches lie within the features");
            (patches, width)
        })
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution along a trace"
    }

    fn cpu_fwd(
        &self,
        features: &CpuStorage,
        features_layout: &Layout,
        kernel: &CpuStorage,
        kernel_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let features = matrix(features, features_layout)?;
        let kernel = matrix(kernel, kernel_layout)?;
        let bias = ArrayView1::from(contiguous(bias, bias_layout)?);
        let Some(rows) = features.nrows().checked_sub(self.reach()) else {
            candle_core::bail!(
                "{} frames for taps over {}",
                features.nrows(),
                self.reach() + 1
            )
        };
        let mut out = Array2::zeros((rows, kernel.ncols()));
        out += &bias;
        self.add_products(features, kernel, &mut out);
        if self.rectified {
            out.mapv_inplace(|value| value.max(0.0));
        }
        Ok(stored(out))
    }

    fn bwd(
        &self,
        features: &Tensor,
        kernel: &Tensor,
        _bias: &Tensor,
        out: &Tensor,
        out_gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, inputs) = features.dims2()?;
        let outputs = out.dim(1)?;
        // zero rows on either side, so that the gradient of the features is a convolution too
        let reach = self.reach();
        let mut padded = Array2::zeros((rows + reach, outputs));
        {
            let mut gradient = padded.slice_mut(s![reach..rows, ..]);
            with_matrix(out_gradient, |values| gradient.assign(&values))?;
            if self.rectified {
                with_matrix(out, |out| {
                    gradient.zip_mut_with(&out, |gradient, &out| *gradient *= f32::from(out > 0.0))
                })?;
            }
        }
        let gradient = padded.slice(s![reach..rows, ..]);
        let bias_gradient = gradient.sum_axis(Axis(0));

        let mut kernel_gradient = Array2::zeros(kernel.dims2()?);
        with_matrix(features, |features| {
            let mut first_row = 0;
            for (patches, kernel_rows) in self.patches(&features, gradient.nrows()) {
                let mut part: ArrayViewMut2<f32> =
                    kernel_gradient.slice_mut(s![first_row..first_row + kernel_rows, ..]);
                general_mat_mul(1.0, &patches.t(), &gradient, 0.0, &mut part);
                first_row += kernel_rows;
            }
        })?;

        let features_gradient = match self.first {
            true => None,
            false => {
                let mut reversed = Array2::zeros((self.taps * outputs, inputs));
                with_matrix(kernel, |kernel| {
                    for tap in 0..self.taps {
                        let from = kernel.slice(s![tap * inputs..(tap + 1) * inputs, ..]);
                        let mirrored = self.taps - 1 - tap;
                        reversed
                            .slice_mut(s![mirrored * outputs..(mirrored + 1) * outputs, ..])
                            .assign(&from.t());
                    }
                })?;
                let mut gradient = Array2::zeros((rows, inputs));
                self.add_products(padded.view(), reversed.view(), &mut gradient);
                Some(tensor(gradient)?)
            }
        };
        let bias_gradient = Tensor::from_vec(bias_gradient.to_vec(), outputs, features.device())?;
        Ok((
            features_gradient,
            Some(tensor(kernel_gradient)?),
            Some(bias_gradient),
        ))
    }
}

/// The larger of two rows `distance` apart, channel by channel.
#[derive(Clone, Copy)]
struct Maximum {
    distance: usize,
}

impl CustomOp1 for Maximum {
    fn name(&self) -> &'static str {
        "pooling along a trace"
    }

    fn cpu_fwd(&self, features: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let features = matrix(features, layout)?;
        let Some(rows) = features.nrows().checked_sub(self.distance) else {
            candle_core::bail!(
                "{} frames for a pooling over {}",
                features.nrows(),
                self.distance + 1
            )
        };
        let mut out = features.slice(s![..rows, ..]).to_owned();
        out.zip_mut_with(&features.slice(s![self.distance.., ..]), |out, &later| {
            *out = out.max(later)
        });
        Ok(stored(out))
    }

    fn bwd(
        &self,
        features: &Tensor,
        _out: &Tensor,
        out_gradient: &Tensor,
    ) -> Result<Option<Tensor>> {
        let (rows, channels) = features.dims2()?;
        let mut gradient: Array2<f32> = Array2::zeros((rows, channels));
        let shift = self.distance * channels;
        with_matrix(features, |features| {
            with_matrix(out_gradient, |out_gradient| {
                let features = features.to_slice().expect("features are contiguous");
                let out_gradient = out_gradient.to_slice().expect("gradients are contiguous");
                let gradient = gradient.as_slice_mut().expect("a new array is contiguous");
                let pairs = features.iter().zip(&features[shift..]).zip(out_gradient);
                for (gradient, ((earlier, later), &value)) in gradient.iter_mut().zip(pairs.clone())
                {
                    *gradient = if earlier >= later { value } else { 0.0 };
                }
                for (gradient, ((earlier, later), &value)) in
                    gradient[shift..].iter_mut().zip(pairs)
                {
                    *gradient += if earlier >= later { 0.0 } else { value };
                }
            })
        })??;
        Ok(Some(tensor(gradient)?))
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("expected contiguous features, found {layout:?}"),
    }
}

fn matrix<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<ArrayView2<'a, f32>> {
    let shape = layout.shape().dims2()?;
    let values = contiguous(storage, layout)?;
    Ok(ArrayView2::from_shape(shape, values).expect("a layout fits its storage"))
}

fn with_matrix<T>(tensor: &Tensor, then: impl FnOnce(ArrayView2<f32>) -> T) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(then(matrix(storage, layout)?)),
        _ => candle_core::bail!("training runs on the CPU"),
    }
}

fn stored(values: Array2<f32>) -> (CpuStorage, Shape) {
    let shape = Shape::from(values.dim());
    (CpuStorage::F32(values.into_raw_vec_and_offset().0), shape)
}

fn tensor(values: Array2<f32>) -> Result<Tensor> {
    let shape = values.dim();
    Tensor::from_vec(
        values.into_raw_vec_and_offset().0,
        shape,
        &candle_core::Device::Cpu,
    )
}
