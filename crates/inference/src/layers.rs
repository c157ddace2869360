//! The layers of the network along a trace, with gradients: how [`Network`](crate::network::Network) is evaluated in training.
//!
//! Features have one row per frame, (rows, channels). The patches of a row are a strided view of them, so that a layer and its
//! gradients are matrix products without copies. Kernels stay as files have them, (outputs, inputs, taps), and are brought to
//! (taps · inputs, outputs) for each product: a network has few weights for the frames of a training step.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor};
use candle_nn::{Module, VarBuilder};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, s};
use spikegrid_core::cascade::config::LayerShape;
use spikegrid_core::cascade::weights::{
    self, transpose_from_outputs_first, transpose_to_outputs_first,
};

/// A layer with its variables: a convolution along the trace, the rectifier, a pooling.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    shape: LayerShape,
    /// [`LayerShape::state_dict_axes`].
    weight: Tensor,
    /// (outputs).
    bias: Tensor,
}

impl Layer {
    /// The layer of this shape with the variables `weight` and `bias` of `variables`.
    ///
    /// # Errors
    /// A variable is missing or has another shape.
    pub(crate) fn new(shape: LayerShape, variables: VarBuilder) -> Result<Self> {
        Ok(Self {
            shape,
            weight: variables.get(shape.state_dict_axes(), "weight")?,
            bias: variables.get(shape.outputs, "bias")?,
        })
    }

    /// Whether its variables have gradients.
    pub(crate) fn is_trained(&self) -> bool {
        self.weight.track_op() || self.bias.track_op()
    }

    /// The variables as they stand, in the layout of the kernels.
    ///
    /// # Errors
    /// If candle can't read them.
    pub(crate) fn values(&self) -> Result<weights::Layer> {
        let weight: Vec<f32> = self.weight.flatten_all()?.to_vec1()?;
        Ok(weights::Layer {
            kernel: transpose_from_outputs_first(&weight, self.shape),
            bias: self.bias.to_vec1()?,
        })
    }
}

impl Module for Layer {
    /// Features (rows, inputs) to (fewer rows, outputs).
    fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let layer = Operation {
            shape: self.shape,
            gradient: features.track_op(),
            unpooled: OnceLock::new(),
        };
        let features = features.contiguous()?;
        features.apply_op3(&self.weight, &self.bias, layer)
    }
}

/// A layer as one operation, because candle adds up a gradient for whatever lies between two: 'valid' convolution of features (rows,
/// inputs) with a kernel ([`LayerShape::state_dict_axes`]) and a bias (outputs), the rectifier, and the larger of each two rows
/// [`LayerShape::pooling`] apart.
struct Operation {
    shape: LayerShape,
    /// Whether a gradient of the features is wanted.
    gradient: bool,
    /// What is pooled, (rows, outputs), which the gradient needs.
    unpooled: OnceLock<Array2<f32>>,
}

impl Operation {
    /// Rows from the first tap to the last.
    fn reach(&self) -> usize {
        (self.shape.taps - 1) * self.shape.dilation
    }

    /// The kernel as a matrix (taps · inputs, outputs).
    fn matrix(&self, kernel: &[f32]) -> Array2<f32> {
        let ours = transpose_from_outputs_first(kernel, self.shape);
        let shape = (self.shape.depth(), self.shape.outputs);
        Array2::from_shape_vec(shape, ours).expect("a kernel has the layer's shape")
    }

    /// The same, reversed in time and with inputs and outputs exchanged, (taps · outputs, inputs): the gradient's kernel.
    fn reversed(&self, kernel: &[f32]) -> Array2<f32> {
        let (inputs, outputs) = (self.shape.inputs, self.shape.outputs);
        let kernel = self.matrix(kernel);
        let mut reversed = Array2::zeros((self.shape.taps * outputs, inputs));
        for tap in 0..self.shape.taps {
            let from = kernel.slice(s![tap * inputs..(tap + 1) * inputs, ..]);
            let mirrored = self.shape.taps - 1 - tap;
            reversed
                .slice_mut(s![mirrored * outputs..(mirrored + 1) * outputs, ..])
                .assign(&from.t());
        }
        reversed
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

    /// The larger of each two rows of `out`, channel by channel.
    fn pool(&self, out: &Array2<f32>) -> Array2<f32> {
        let distance = self.shape.pooling;
        let mut pooled = out.slice(s![..out.nrows() - distance, ..]).to_owned();
        pooled.zip_mut_with(&out.slice(s![distance.., ..]), |larger, &later| {
            *larger = larger.max(later)
        });
        pooled
    }

    /// The gradient of what was pooled: that of each larger one goes to the row that it is of, of equal ones to the earlier.
    fn spread(
        &self,
        unpooled: &Array2<f32>,
        out_gradient: ArrayView2<f32>,
        mut gradient: ArrayViewMut2<f32>,
    ) {
        let shift = self.shape.pooling * self.shape.outputs;
        let unpooled = unpooled.as_slice().expect("a new array is contiguous");
        let out_gradient = out_gradient.to_slice().expect("gradients are contiguous");
        let gradient = gradient.as_slice_mut().expect("whole rows are contiguous");
        let pairs = unpooled.iter().zip(&unpooled[shift..]).zip(out_gradient);
        for (gradient, ((earlier, later), &value)) in gradient.iter_mut().zip(pairs.clone()) {
            *gradient = if earlier >= later { value } else { 0.0 };
        }
        for (gradient, ((earlier, later), &value)) in gradient[shift..].iter_mut().zip(pairs) {
            *gradient += if earlier >= later { 0.0 } else { value };
        }
    }

    /// Keeps of `gradient` what belongs to outputs that the rectifier let pass.
    fn rectify(&self, out: ArrayView2<f32>, mut gradient: ArrayViewMut2<f32>) {
        if self.shape.rectified {
            gradient.zip_mut_with(&out, |gradient, &out| *gradient *= f32::from(out > 0.0));
        }
    }

    /// The gradient of the kernel, as files have it, given that of the sums (rows, outputs).
    fn kernel_gradient(&self, features: &Tensor, gradient: ArrayView2<f32>) -> Result<Vec<f32>> {
        let mut sums: Array2<f32> = Array2::zeros((self.shape.depth(), self.shape.outputs));
        with_matrix(features, |features| {
            let mut first_row = 0;
            for (patches, kernel_rows) in self.patches(&features, gradient.nrows()) {
                let mut part = sums.slice_mut(s![first_row..first_row + kernel_rows, ..]);
                general_mat_mul(1.0, &patches.t(), &gradient, 0.0, &mut part);
                first_row += kernel_rows;
            }
        })?;
        let sums = sums.as_slice().expect("a new array is contiguous");
        Ok(transpose_to_outputs_first(sums, self.shape))
    }

    /// The patches of `rows` rows as matrices with one row each: one matrix where neighbouring taps are neighbouring
    /// rows, one per tap otherwise; each with its number of columns.
    fn patches<'a>(
        &self,
        features: &ArrayView2<'a, f32>,
        rows: usize,
    ) -> impl Iterator<Item = (ArrayView2<'a, f32>, usize)> {
        let inputs = features.ncols();
        let (groups, width) = match self.shape.dilation {
            1 => (1, self.shape.taps * inputs),
            _ => (self.shape.taps, inputs),
        };
        let values = features.to_slice().expect("features are contiguous");
        (0..groups).map(move |group| {
            let values = &values[group * self.shape.dilation * inputs..];
            let shape = (rows, width).strides((inputs, 1));
            let patches =
                ArrayView2::from_shape(shape, values).expect("patches lie within the features");
            (patches, width)
        })
    }
}

impl CustomOp3 for Operation {
    fn name(&self) -> &'static str {
        "layer along a trace"
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
        let kernel = self.matrix(contiguous(kernel, kernel_layout)?);
        let bias = ArrayView1::from(contiguous(bias, bias_layout)?);
        let reach = self.reach() + self.shape.pooling;
        if features.nrows() <= reach {
            candle_core::bail!("{} frames for a layer over {}", features.nrows(), reach + 1)
        }
        let rows = features.nrows() - self.reach();
        let mut out = Array2::zeros((rows, kernel.ncols()));
        out += &bias;
        self.add_products(features, kernel.view(), &mut out);
        if self.shape.rectified {
            out.mapv_inplace(|value| value.max(0.0));
        }
        if self.shape.pooling == 0 {
            return Ok(stored(out));
        }
        let pooled = self.pool(&out);
        // The only call of this operation, which `forward` made.
        let _ = self.unpooled.set(out);
        Ok(stored(pooled))
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
            match self.unpooled.get() {
                Some(unpooled) => with_matrix(out_gradient, |out_gradient| {
                    self.spread(unpooled, out_gradient, gradient.view_mut());
                    self.rectify(unpooled.view(), gradient);
                })?,
                None => {
                    with_matrix(out_gradient, |values| gradient.assign(&values))?;
                    with_matrix(out, |out| self.rectify(out, gradient))?;
                }
            }
        }
        let gradient = padded.slice(s![reach..rows, ..]);
        let bias_gradient = gradient.sum_axis(Axis(0));

        let kernel_gradient = self.kernel_gradient(features, gradient)?;
        let kernel_gradient = Tensor::from_vec(kernel_gradient, kernel.shape(), &Device::Cpu)?;

        let features_gradient = match self.gradient {
            false => None,
            true => {
                let reversed = with_values(kernel, |kernel| self.reversed(kernel))?;
                let mut gradient = Array2::zeros((rows, inputs));
                self.add_products(padded.view(), reversed.view(), &mut gradient);
                Some(tensor(gradient)?)
            }
        };
        let bias_gradient = Tensor::from_vec(bias_gradient.to_vec(), outputs, features.device())?;
        Ok((
            features_gradient,
            Some(kernel_gradient),
            Some(bias_gradient),
        ))
    }
}

/// The values of a contiguous tensor's storage.
///
/// # Errors
/// If it is not contiguous, or not of f32.
pub(crate) fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
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

fn with_values<T>(tensor: &Tensor, then: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(then(contiguous(storage, layout)?)),
        _ => candle_core::bail!("training runs on the CPU"),
    }
}

fn with_matrix<T>(tensor: &Tensor, then: impl FnOnce(ArrayView2<f32>) -> T) -> Result<T> {
    let shape = tensor.dims2()?;
    with_values(tensor, |values| {
        then(ArrayView2::from_shape(shape, values).expect("a layout fits its storage"))
    })
}

fn stored(values: Array2<f32>) -> (CpuStorage, Shape) {
    let shape = Shape::from(values.dim());
    (CpuStorage::F32(values.into_raw_vec_and_offset().0), shape)
}

fn tensor(values: Array2<f32>) -> Result<Tensor> {
    let shape = values.dim();
    Tensor::from_vec(values.into_raw_vec_and_offset().0, shape, &Device::Cpu)
}
