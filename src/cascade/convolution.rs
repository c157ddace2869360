//! The one kernel of the evaluation along the trace: a convolution with vectors of neighbouring frames.
//!
//! Channels lie one after the other, each a row of frames. A register holds neighbouring frames of one channel, so a tap is
//! the same load one frame further on, and no frame or channel is padded or copied for the sake of the vectors:
//!
//! ```text
//! output[o][f .. f+2L] = bias[o] + Σ_tap Σ_i kernel[tap][i][o] · input[i][f+tap .. f+tap+2L]        L lanes per vector
//! ```
//!
//! For a strip of `N` outputs and two vectors of frames, `2N` sums stay in registers through the whole sum, which takes two
//! loads and `N` broadcast weights for `2N` multiply-adds. N is 10 where there are 32 registers and 5 where there are 16;
//! CASCADE's layers have multiples of 10 outputs, others end in strips of 5 and 1. The kernel is read in the order in which
//! files hold it.
//!
//! Every output is one chain of fused multiply-adds in the order (tap, input): the same number wherever its frame lies in a
//! vector or tile, and on every processor that has them.

use pulp::{Simd, WithSimd};

use super::weights::Layer;

/// Convolutions run over multiples of this many frames: two of the longest vectors.
pub const FRAME_STEP: usize = 32;

/// A 'valid' convolution of stride 1 over a stretch of frames.
pub struct Convolution<'a> {
    /// Input channels, `input_stride` apart and as long, each from the first frame of the stretch.
    pub input: &'a [f32],
    pub input_stride: usize,
    /// Kernel (taps, inputs, outputs) and bias (outputs).
    pub layer: &'a Layer,
    /// Output channels, `output_stride` apart, each from the first frame of the stretch.
    pub output: &'a mut [f32],
    pub output_stride: usize,
    /// Frames of output, a multiple of [`FRAME_STEP`]; the input has `taps - 1` more.
    pub frames: usize,
    /// Whether negative outputs become 0.
    pub rectified: bool,
}

impl WithSimd for Convolution<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        assert!(
            self.frames.is_multiple_of(FRAME_STEP) && FRAME_STEP.is_multiple_of(2 * S::F32_LANES)
        );
        let outputs = self.layer.bias.len();
        let mut output = 0;
        while output < outputs {
            output += match outputs - output {
                10.. if S::REGISTER_COUNT >= 32 => self.strip::<S, 10, 2>(simd, output),
                5.. => self.strip::<S, 5, 2>(simd, output),
                _ if self.frames.is_multiple_of(4 * S::F32_LANES) => {
                    self.strip::<S, 1, 4>(simd, output)
                }
                _ => self.strip::<S, 1, 2>(simd, output),
            };
        }
    }
}

impl Convolution<'_> {
    /// Computes `OUTPUTS` channels from `first` on, `VECTORS` vectors of frames at a time; returns `OUTPUTS`.
    #[inline(always)]
    fn strip<S: Simd, const OUTPUTS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        first: usize,
    ) -> usize {
        let (inputs, outputs) = (self.input.len() / self.input_stride, self.layer.bias.len());
        let width = VECTORS * S::F32_LANES;
        let bias = &self.layer.bias[first..first + OUTPUTS];
        for frame in (0..self.frames).step_by(width) {
            let mut sums = [[simd.splat_f32s(0.0); VECTORS]; OUTPUTS];
            for (sums, &bias) in sums.iter_mut().zip(bias) {
                *sums = [simd.splat_f32s(bias); VECTORS];
            }
            for (tap, kernel) in self.layer.kernel.chunks_exact(inputs * outputs).enumerate() {
                let frames = self.input[frame + tap..].chunks(self.input_stride);
                for (frames, weights) in frames.zip(kernel.chunks_exact(outputs)) {
                    let (frames, _) = S::as_simd_f32s(&frames[..width]);
                    let weights = &weights[first..first + OUTPUTS];
                    for (sums, &weight) in sums.iter_mut().zip(weights) {
                        let weight = simd.splat_f32s(weight);
                        for (sum, &frames) in sums.iter_mut().zip(frames) {
                            *sum = simd.mul_add_e_f32s(weight, frames, *sum);
                        }
                    }
                }
            }
            let rows =
                self.output[first * self.output_stride + frame..].chunks_mut(self.output_stride);
            for (row, sums) in rows.zip(&sums) {
                let (row, _) = S::as_mut_simd_f32s(&mut row[..width]);
                for (out, &sum) in row.iter_mut().zip(sums) {
                    *out = if self.rectified {
                        simd.max_f32s(sum, simd.splat_f32s(0.0))
                    } else {
                        sum
                    };
                }
            }
        }
        OUTPUTS
    }
}

/// The maximum of each two neighbouring frames, even and odd ones apart (polyphase, see [`trace`](super::trace)).
pub struct Pooling<'a> {
    /// Channels, `input_stride` apart, each `2 · pairs + 1` frames or more.
    pub input: &'a [f32],
    pub input_stride: usize,
    /// `even[q] = max(input[2q], input[2q+1])`, `odd[q] = max(input[2q+1], input[2q+2])`: channels, `output_stride` apart.
    pub even: &'a mut [f32],
    pub odd: &'a mut [f32],
    pub output_stride: usize,
    pub pairs: usize,
}

impl WithSimd for Pooling<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let larger = |one: f32, other: f32| if one > other { one } else { other };
        let outputs = self
            .even
            .chunks_mut(self.output_stride)
            .zip(self.odd.chunks_mut(self.output_stride));
        for (input, (even, odd)) in self.input.chunks(self.input_stride).zip(outputs) {
            let (even, odd) = (&mut even[..self.pairs], &mut odd[..self.pairs]);
            let (pairs, next) = (&input[..2 * self.pairs], &input[1..][..2 * self.pairs]);
            for (maximum, pair) in even.iter_mut().zip(pairs.chunks_exact(2)) {
                *maximum = larger(pair[0], pair[1]);
            }
            for (maximum, pair) in odd.iter_mut().zip(next.chunks_exact(2)) {
                *maximum = larger(pair[0], pair[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features and weights with all their bits in use.
    fn values(count: usize, seed: u32) -> Vec<f32> {
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
        ] {
            let stride = frames + taps - 1;
            let input = values(inputs * stride, 1);
            let layer = Layer {
                kernel: values(taps * inputs * outputs, 2),
                bias: values(outputs, 3),
            };
            let expected = naive(&input, stride, &layer, frames);
            let mut output = vec![0.0; outputs * frames];
            let run = |output: &mut Vec<f32>, vectorize: &dyn Fn(Convolution)| {
                output.fill(0.0);
                vectorize(Convolution {
                    input: &input,
                    input_stride: stride,
                    layer: &layer,
                    output,
                    output_stride: frames,
                    frames,
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

    #[test]
    fn pooling_separates_even_and_odd_frames() {
        let input = [
            1.0, 3.0, 2.0, 5.0, 4.0, 9.0, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0,
        ];
        let (mut even, mut odd) = ([0.0; 4], [0.0; 4]);
        pulp::Arch::new().dispatch(Pooling {
            input: &input,
            input_stride: 6,
            even: &mut even,
            odd: &mut odd,
            output_stride: 2,
            pairs: 2,
        });
        assert_eq!(
            (even, odd),
            ([3.0, 5.0, -1.0, -3.0], [3.0, 5.0, -2.0, -4.0])
        );
    }
}
