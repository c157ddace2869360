//! The one kernel of the evaluation along the trace: sums of rows of features, with vectors of neighbouring entries.
//!
//! A row is one input at one tap, or at one point of [`winograd`](super::winograd). A register holds neighbouring entries of one row, so
//! that no channel is padded for the sake of the vectors, and no lane moves:
//!
//! ```text
//! output[o][e .. e+2L] = bias[o] + Σ_r kernel[r][o] · input[rows[r]+e .. rows[r]+e+2L]        L lanes per vector
//! ```
//!
//! For a strip of `N` outputs and two vectors of entries, `2N` sums stay in registers through the whole sum, which takes two
//! loads and `N` broadcast weights for `2N` multiply-adds. N is 10 where there are 32 registers and 5 where there are 16;
//! CASCADE's layers have multiples of 10 outputs, others end in strips of 5 and 1. All strips take the same entries one after the other,
//! which stay in the nearest cache. A layer's kernel is read as files hold it.
//!
//! Every output is one chain of fused multiply-adds in the order of the rows: the same number wherever its entry lies in a
//! vector or tile, and on every processor that has them.

use pulp::{Simd, WithSimd};

use super::weights::Layer;

/// Rows are as long as a multiple of this: the longest vector.
pub const STEP: usize = 16;

/// A layer's sums over its rows.
pub struct Convolution<'a> {
    /// The numbers in which the rows lie.
    pub input: &'a [f32],
    /// Where in `input` each begins: (taps, inputs).
    pub rows: &'a [usize],
    /// Kernel (rows, outputs) and bias (outputs).
    pub layer: &'a Layer,
    /// Output channels, `output_stride` apart.
    pub output: &'a mut [f32],
    /// Numbers from the start of one output channel to that of the next.
    pub output_stride: usize,
    /// Entries of each row and each output, a multiple of [`STEP`].
    pub entries: usize,
    /// Whether negative outputs become 0.
    pub rectified: bool,
}

impl WithSimd for Convolution<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        assert!(self.entries.is_multiple_of(STEP) && STEP.is_multiple_of(S::F32_LANES));
        assert_eq!(
            self.rows.len() * self.layer.bias.len(),
            self.layer.kernel.len()
        );
        let mut entry = 0;
        while entry < self.entries {
            entry += match (self.entries - entry) / S::F32_LANES {
                4.. if self.layer.bias.len() < 5 => self.block::<S, 4>(simd, entry),
                2.. => self.block::<S, 2>(simd, entry),
                _ => self.block::<S, 1>(simd, entry),
            };
        }
    }
}

impl Convolution<'_> {
    /// Computes all outputs of `VECTORS` vectors from `entry` on; returns their entries.
    #[inline(always)]
    fn block<S: Simd, const VECTORS: usize>(&mut self, simd: S, entry: usize) -> usize {
        let outputs = self.layer.bias.len();
        let mut first = 0;
        while first < outputs {
            first += match outputs - first {
                10.. if S::REGISTER_COUNT >= 32 && VECTORS <= 2 => {
                    self.strip::<S, 10, VECTORS>(simd, first, entry)
                }
                5.. if VECTORS <= 2 => self.strip::<S, 5, VECTORS>(simd, first, entry),
                _ => self.strip::<S, 1, VECTORS>(simd, first, entry),
            };
        }
        VECTORS * S::F32_LANES
    }

    /// Computes `OUTPUTS` outputs from `first` on; returns their number.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "with iterators, sums are kept in memory"
    )]
    fn strip<S: Simd, const OUTPUTS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        first: usize,
        entry: usize,
    ) -> usize {
        let width = VECTORS * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; OUTPUTS];
        for output in 0..OUTPUTS {
            sums[output] = [simd.splat_f32s(self.layer.bias[first + output]); VECTORS];
        }
        let input = &self.input[entry..];
        let kernel = self.layer.kernel.chunks_exact(self.layer.bias.len());
        for (&row, weights) in self.rows.iter().zip(kernel) {
            let (values, _) = S::as_simd_f32s(&input[row..][..width]);
            let weights = &weights[first..][..OUTPUTS];
            for output in 0..OUTPUTS {
                let weight = simd.splat_f32s(weights[output]);
                for vector in 0..VECTORS {
                    let sum = sums[output][vector];
                    sums[output][vector] = simd.mul_add_e_f32s(weight, values[vector], sum);
                }
            }
        }
        for output in 0..OUTPUTS {
            let row = (first + output) * self.output_stride + entry;
            let (row, _) = S::as_mut_simd_f32s(&mut self.output[row..][..width]);
            for vector in 0..VECTORS {
                let sum = sums[output][vector];
                row[vector] = if self.rectified {
                    simd.max_f32s(sum, simd.splat_f32s(0.0))
                } else {
                    sum
                };
            }
        }
        OUTPUTS
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Features and weights with all their bits in use.
    pub(crate) fn values(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// The definition, as one chain of fused multiply-adds.
    fn naive(input: &[f32], stride: usize, layer: &Layer, frames: usize) -> Vec<f32> {
        let (inputs, outputs) = (input.len() / stride, layer.bias.len());
        let mut result = Vec::new();
        for output in 0..outputs {
            for frame in 0..frames {
                let mut sum = layer.bias[output];
                for (row, weights) in layer.kernel.chunks_exact(outputs).enumerate() {
                    let (tap, input_channel) = (row / inputs, row % inputs);
                    sum = weights[output].mul_add(input[input_channel * stride + frame + tap], sum);
                }
                result.push(sum);
            }
        }
        result
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_processor_with_fused_multiply_adds_gives_the_same_bits() {
        use pulp::x86::{V3, V4};

        for (inputs, outputs, taps, frames) in [
            (1, 30, 13, 128),
            (3, 17, 4, 32),
            (10, 1, 10, 64),
            (2, 1, 1, 32),
            (3, 17, 4, 16),
            (4, 1, 1, 48),
        ] {
            let stride = frames + taps - 1;
            let input = values(inputs * stride, 1);
            let layer = Layer {
                kernel: values(taps * inputs * outputs, 2),
                bias: values(outputs, 3),
            };
            let expected = naive(&input, stride, &layer, frames);
            let mut output = vec![0.0; outputs * frames];
            let row = |row: usize| row % inputs * stride + row / inputs;
            let rows: Vec<_> = (0..taps * inputs).map(row).collect();
            let run = |output: &mut Vec<f32>, vectorize: &dyn Fn(Convolution)| {
                output.fill(0.0);
                vectorize(Convolution {
                    input: &input,
                    rows: &rows,
                    layer: &layer,
                    output,
                    output_stride: frames,
                    entries: frames,
                    rectified: false,
                });
            };
            if let Some(avx2) = V3::try_new() {
                run(&mut output, &|convolution| {
                    Simd::vectorize(avx2, convolution)
                });
                assert!(output == expected, "AVX2, {inputs} to {outputs}");
            }
            if let Some(avx512) = V4::try_new() {
                run(&mut output, &|convolution| {
                    Simd::vectorize(avx512, convolution)
                });
                assert!(output == expected, "AVX-512, {inputs} to {outputs}");
            }
        }
    }
}
