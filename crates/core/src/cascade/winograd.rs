//! Convolutions from channels to channels with half the multiplications: Winograd's minimal filtering F(4, 3).
//!
//! Four neighbouring outputs of a filter of three taps need six multiplications rather than twelve. They are coefficients of a product
//! of polynomials, which is found by evaluating the factors at six points, multiplying there, and interpolating (Toom and Cook).
//! With `k` three taps, `d` six frames of input and `y` four frames of output,
//!
//! ```text
//! y = Aᵀ [(G k) ⊙ (Bᵀ d)]        points 0, a, -a, 2a, -2a, ∞
//! ```
//!
//! `G k` is found when a model is loaded, `Bᵀ d` once for all outputs, and `Aᵀ` once for the sum over all inputs. Between the two, each
//! point is a product of matrices, (outputs, inputs) by (inputs, fours), for which there is the [kernel](Convolution). A filter of
//! more taps is groups of three, which count as further inputs; the last is filled up with taps of 0.
//!
//! **Rounding.** The constants of `Aᵀ` and `Bᵀ` are exact, `G` is applied in double precision. Against double precision, the rates of
//! CASCADE's models are off by 1.2 to 1.3 times as much as those by the definition (root mean square); with the usual a = 1 by 1.3 to
//! 1.5 times. A four is rounded together, to the last bits of its largest number: an artefact shows in windows that begin or end up to
//! six frames beside it, by up to 1e-8 of its size.
//!
//! **The same bits.** Fours are counted from the trace's first frame. A frame's number is the same chain of operations wherever it lies
//! in a vector or tile, and depends on no frame before the trace.
//!
//! After S. Winograd, *Arithmetic Complexity of Computations*, SIAM, 1980, and Lavin and Gray, "Fast algorithms for convolutional
//! neural networks", CVPR 2016.

use pulp::{Arch, Simd, WithSimd};

use super::convolution::Convolution;
use super::features::{Features, PHASES};
use super::weights::Layer;

/// Outputs of a four, taps of a group, and points.
const FRAMES: usize = 4;
const TAPS: usize = 3;
const POINTS: usize = FRAMES + TAPS - 1;

/// a.
const A: f32 = 0.75;

/// A layer whose kernel is transformed.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// `G k` at each point: a layer without bias and with one tap, whose inputs are (groups, inputs).
    pub points: [Layer; POINTS],
    /// (outputs).
    pub bias: Vec<f32>,
}

impl Filter {
    /// Transforms the kernel of a layer with this many inputs.
    pub fn new(layer: &Layer, inputs: usize) -> Self {
        let a = f64::from(A);
        let finite = [0.0, a, -a, 2.0 * a, -2.0 * a];
        let outputs = layer.bias.len();
        let tap = inputs * outputs;
        let groups = (layer.kernel.len() / tap).div_ceil(TAPS);
        let point = |point: usize| {
            // The value of k₀ + k₁ x + k₂ x² there, over what interpolation divides by.
            let factors = match finite.get(point) {
                Some(x) => {
                    let others = finite.iter().filter(|other| *other != x);
                    let scale: f64 = others.map(|other| x - other).product();
                    [1.0, *x, x * x].map(|power| power / scale)
                }
                None => [0.0, 0.0, 1.0],
            };
            let mut sums = vec![0.0; groups * tap];
            for (group, taps) in layer.kernel.chunks(TAPS * tap).enumerate() {
                for (weights, factor) in taps.chunks_exact(tap).zip(factors) {
                    for (sum, &weight) in sums[group * tap..].iter_mut().zip(weights) {
                        *sum += factor * f64::from(weight);
                    }
                }
            }
            Layer {
                kernel: sums.into_iter().map(|sum| sum as f32).collect(),
                bias: vec![0.0; outputs],
            }
        };
        Self {
            points: std::array::from_fn(point),
            bias: layer.bias.clone(),
        }
    }

    /// Rows of each point's kernel: (groups, inputs).
    fn depth(&self) -> usize {
        self.points[0].kernel.len() / self.bias.len()
    }

    /// The last frame of input that a layer with this many taps sees of the eight whose outputs begin at frame `delay`.
    pub fn last_frame(taps: usize, dilation: usize, delay: usize) -> usize {
        let [_, second] = starts(dilation);
        delay + second + (taps.next_multiple_of(TAPS) - TAPS + POINTS - 1) * dilation
    }
}

/// Where in eight frames their two fours begin: one after the other, or even and odd frames.
const fn starts(dilation: usize) -> [usize; 2] {
    if dilation == 1 { [0, FRAMES] } else { [0, 1] }
}

/// A 'valid' convolution whose taps lie `DILATION` frames apart, 1 or 2, the rectifier, and the maximum of each two frames of what comes
/// out that lie as far apart.
pub struct FilterAndPool<'a, const DILATION: usize> {
    /// Kernel and bias.
    pub filter: &'a Filter,
    /// Inputs, of which frame `p` stands at `p + delay`.
    pub input: &'a Features,
    /// How many frames later than the outputs the inputs stand.
    pub delay: usize,
    /// The maxima of `p` and `p + DILATION`, at `p + DILATION`.
    pub output: &'a mut Features,
    /// The last `DILATION` of every eight frames before the maximum; each tile's first maxima need those of the tile before.
    pub late: &'a mut Late,
    /// Frames of the tile.
    pub frames: usize,
}

/// (outputs, dilation, 1 + octets of the longest tile), the first of each row from the tile before.
#[derive(Default)]
pub struct Late(Vec<f32>);

/// Working memory; grows to what the largest layer so far needed. An octet has two fours, which stand apart.
#[derive(Default)]
pub struct Fours {
    /// (points, groups, inputs, 2, octets).
    inputs: Vec<f32>,
    /// (points, outputs, 2, octets).
    products: Vec<f32>,
    /// Where a point's rows of `inputs` begin.
    rows: Vec<usize>,
}

impl Fours {
    /// Numbers that it holds for layers of these (taps, inputs) and outputs.
    pub fn floats(inputs: [(usize, usize); 2], outputs: [usize; 2], frames: usize) -> usize {
        let [one, other] = inputs.map(|(taps, inputs)| taps.div_ceil(TAPS) * inputs);
        POINTS * (one.max(other) + outputs[0].max(outputs[1])) * frames / FRAMES
    }

    /// Evaluates a layer for a tile.
    pub fn run<const DILATION: usize>(&mut self, arch: Arch, layer: FilterAndPool<DILATION>) {
        let FilterAndPool { filter, frames, .. } = layer;
        let (depth, outputs) = (filter.depth(), filter.bias.len());
        let octets = frames / PHASES;
        let fours = 2 * octets;
        let inputs = room(&mut self.inputs, POINTS * depth * fours);
        let products = room(&mut self.products, POINTS * outputs * fours);
        let late_row = 1 + layer.output.length - layer.output.history;
        layer.late.0.resize(outputs * DILATION * late_row, 0.0);
        self.rows.clear();
        self.rows.extend((0..depth).map(|row| row * fours));
        arch.dispatch(Evaluate::<DILATION> {
            input: layer.input,
            delay: layer.delay,
            depth,
            octets,
            points: inputs,
        });
        let points = inputs.chunks_exact(depth * fours);
        let points = points.zip(products.chunks_exact_mut(outputs * fours));
        for ((input, output), layer) in points.zip(&filter.points) {
            arch.dispatch(Convolution {
                input,
                rows: &self.rows,
                layer,
                output,
                output_stride: fours,
                entries: fours,
                rectified: false,
            });
        }
        arch.dispatch(Interpolate::<DILATION> {
            points: products,
            octets,
            bias: &filter.bias,
            output: layer.output,
            late: &mut layer.late.0,
        });
    }
}

/// Room that begins with a cache line, so that whole vectors do too.
fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const LINE: usize = 64;
    let most = len + LINE / size_of::<f32>();
    if buffer.len() < most {
        buffer.resize(most, 0.0);
    }
    let start = buffer.as_ptr().align_offset(LINE);
    &mut buffer[start..][..len]
}

#[inline(always)]
fn load<S: Simd>(from: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&from[at..][..S::F32_LANES]).0[0]
}

#[inline(always)]
fn store<S: Simd>(to: &mut [f32], at: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut to[at..][..S::F32_LANES]).0[0] = value;
}

/// `Bᵀ d` of all inputs.
struct Evaluate<'a, const DILATION: usize> {
    input: &'a Features,
    delay: usize,
    depth: usize,
    octets: usize,
    points: &'a mut [f32],
}

impl<const DILATION: usize> WithSimd for Evaluate<'_, DILATION> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let fma = |a: f32, b, c| simd.mul_add_e_f32s(simd.splat_f32s(a), b, c);
        let Self { input, octets, .. } = self;
        let channels = input.values.chunks_exact(input.stride());
        let inputs = channels.len();
        for (channel, values) in channels.enumerate() {
            for group in 0..self.depth / inputs {
                for (four, start) in starts(DILATION).into_iter().enumerate() {
                    let mut from = [0; POINTS];
                    for (frame, from) in from.iter_mut().enumerate() {
                        let frame = start + (group * TAPS + frame) * DILATION;
                        *from = input.row(self.delay + frame);
                    }
                    let row = group * inputs + channel;
                    let to = (2 * row + four) * octets;
                    for octet in (0..octets).step_by(S::F32_LANES) {
                        let mut frames = [simd.splat_f32s(0.0); POINTS];
                        for (frame, from) in frames.iter_mut().zip(from) {
                            *frame = load::<S>(values, from + octet);
                        }
                        let [d0, d1, d2, d3, d4, d5] = frames;
                        let ends =
                            |d0, d2, d4| fma(4.0 * A * A * A * A, d0, fma(-5.0 * A * A, d2, d4));
                        let (even, odd) = (fma(-4.0 * A * A, d2, d4), fma(-4.0 * A * A, d1, d3));
                        let (even2, odd2) = (fma(-A * A, d2, d4), fma(-A * A, d1, d3));
                        let points = [
                            ends(d0, d2, d4),
                            fma(A, odd, even),
                            fma(-A, odd, even),
                            fma(2.0 * A, odd2, even2),
                            fma(-2.0 * A, odd2, even2),
                            ends(d1, d3, d5),
                        ];
                        for (point, value) in points.into_iter().enumerate() {
                            let to = point * self.depth * 2 * octets + to;
                            store::<S>(self.points, to + octet, value);
                        }
                    }
                }
            }
        }
    }
}

/// `Aᵀ` of all outputs, bias, rectifier and maxima.
struct Interpolate<'a, const DILATION: usize> {
    points: &'a [f32],
    octets: usize,
    bias: &'a [f32],
    output: &'a mut Features,
    late: &'a mut [f32],
}

impl<const DILATION: usize> WithSimd for Interpolate<'_, DILATION> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let splat = |value: f32| simd.splat_f32s(value);
        let fma = |a: f32, b, c| simd.mul_add_e_f32s(splat(a), b, c);
        let add = |a, b| simd.add_f32s(a, b);
        let Self { points, octets, .. } = self;
        let outputs = self.bias.len();
        let (length, history) = (self.output.length, self.output.history);
        let stride = self.output.stride();
        let late_row = 1 + length - history;
        let channels = self.output.values.chunks_exact_mut(stride);
        let channels = channels.zip(self.late.chunks_exact_mut(DILATION * late_row));
        for ((channel, &bias), (values, late)) in self.bias.iter().enumerate().zip(channels) {
            let bias = splat(bias);
            for octet in (0..octets).step_by(S::F32_LANES) {
                let mut frames = [splat(0.0); PHASES];
                for (four, start) in starts(DILATION).into_iter().enumerate() {
                    let mut products = [splat(0.0); POINTS];
                    for (point, product) in products.iter_mut().enumerate() {
                        let row = 2 * (point * outputs + channel) + four;
                        *product = load::<S>(points, row * octets + octet);
                    }
                    let [m0, m1, m2, m3, m4, m5] = products;
                    let (sum, difference) = (add(m1, m2), simd.sub_f32s(m1, m2));
                    let (sum2, difference2) = (add(m3, m4), simd.sub_f32s(m3, m4));
                    let y = [
                        add(add(sum, sum2), add(m0, bias)),
                        fma(A, difference, fma(2.0 * A, difference2, bias)),
                        fma(A * A, sum, fma(4.0 * A * A, sum2, bias)),
                        fma(
                            A * A * A,
                            difference,
                            fma(8.0 * A * A * A, difference2, add(m5, bias)),
                        ),
                    ];
                    for (frame, y) in y.into_iter().enumerate() {
                        frames[start + frame * DILATION] = simd.max_f32s(y, splat(0.0));
                    }
                }
                for phase in 0..PHASES {
                    let mut value = frames[phase];
                    if phase >= DILATION {
                        value = simd.max_f32s(frames[phase - DILATION], value);
                    }
                    store::<S>(values, phase * length + history + octet, value);
                }
                for (phase, &value) in frames[PHASES - DILATION..].iter().enumerate() {
                    store::<S>(late, phase * late_row + 1 + octet, value);
                }
            }
        }
        // An octet's first frames with the last of the one before. Right after these were stored, reading them would wait for that.
        let channels = self.output.values.chunks_exact_mut(stride);
        for (values, late) in channels.zip(self.late.chunks_exact_mut(DILATION * late_row)) {
            for (phase, late) in late.chunks_exact_mut(late_row).enumerate() {
                let row = phase * length + history;
                for octet in (0..octets).step_by(S::F32_LANES) {
                    let (before, value) = (load::<S>(late, octet), load::<S>(values, row + octet));
                    store::<S>(values, row + octet, simd.max_f32s(before, value));
                }
                late[0] = late[octets];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::convolution::tests::values;
    use super::*;

    const TILE: usize = 128;
    const INPUTS: usize = 3;
    const OUTPUTS: usize = 7;

    /// Two tiles by the definition, in double precision.
    fn expected(
        layer: &Layer,
        taps: usize,
        dilation: usize,
        input: &[Vec<f32>; INPUTS],
    ) -> Vec<Vec<f64>> {
        let sum = |output: usize, frame: usize| {
            let mut sum = f64::from(layer.bias[output]);
            for tap in 0..taps {
                for (channel, frames) in input.iter().enumerate() {
                    let weight = layer.kernel[(tap * INPUTS + channel) * OUTPUTS + output];
                    sum += f64::from(weight) * f64::from(frames[frame + tap * dilation]);
                }
            }
            sum.max(0.0)
        };
        let pooled = |output, frame| sum(output, frame).max(sum(output, frame + dilation));
        let frames = 2 * TILE - dilation;
        (0..OUTPUTS)
            .map(|output| (0..frames).map(|frame| pooled(output, frame)).collect())
            .collect()
    }

    fn check<const DILATION: usize>(taps: usize, delay: usize) {
        let layer = Layer {
            kernel: values(taps * INPUTS * OUTPUTS, 1),
            bias: values(OUTPUTS, 2),
        };
        let octets = Filter::last_frame(taps, DILATION, delay) / PHASES;
        let frames = 2 * TILE + octets * PHASES;
        let channels = [3, 4, 5].map(|seed| values(frames, seed));
        let expected = expected(&layer, taps, DILATION, &channels);

        let filter = Filter::new(&layer, INPUTS);
        let (mut input, mut output) = (Features::default(), Features::default());
        input.resize(INPUTS, octets, TILE);
        output.resize(OUTPUTS, 0, TILE);
        // What lies before the trace and its tile.
        input.values.fill(f32::NAN);
        let (mut late, mut fours) = (Late(vec![f32::NAN; 1000]), Fours::default());
        fours.inputs.resize(1 << 16, f32::NAN);
        fours.products.resize(1 << 16, f32::NAN);
        for tile in 0..2 {
            for (channel, frames) in channels.iter().enumerate() {
                for frame in 0..TILE + octets * PHASES {
                    let place = channel * input.stride() + input.row(frame);
                    let frame = (tile * TILE + frame).checked_sub(delay);
                    input.values[place] = frame.map_or(f32::NAN, |frame| frames[frame]);
                }
            }
            let layer = FilterAndPool::<DILATION> {
                filter: &filter,
                input: &input,
                delay,
                output: &mut output,
                late: &mut late,
                frames: TILE,
            };
            fours.run(Arch::new(), layer);
            for (channel, expected) in expected.iter().enumerate() {
                for frame in 0..TILE {
                    let place = channel * output.stride() + output.row(frame);
                    let Some(frame) = (tile * TILE + frame).checked_sub(DILATION) else {
                        continue;
                    };
                    let (found, expected) = (f64::from(output.values[place]), expected[frame]);
                    assert!(
                        (found - expected).abs() <= 1e-6 * taps as f64,
                        "{taps} taps {DILATION} apart, output {channel}, frame {frame}: {found}, expected {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn working_memory_is_what_was_said() {
        let layer = Layer {
            kernel: vec![0.0; 9 * 30 * 40],
            bias: vec![0.0; 40],
        };
        let (mut input, mut output) = (Features::default(), Features::default());
        input.resize(30, 2, TILE);
        output.resize(40, 0, TILE);
        let mut fours = Fours::default();
        let layer = FilterAndPool::<1> {
            filter: &Filter::new(&layer, 30),
            input: &input,
            delay: 0,
            output: &mut output,
            late: &mut Late::default(),
            frames: TILE,
        };
        fours.run(Arch::new(), layer);
        let said = Fours::floats([(9, 30), (3, 40)], [40, 40], TILE);
        let taken = fours.inputs.len() + fours.products.len();
        assert!((said..said + 64).contains(&taken), "{said}, {taken}");
    }

    #[test]
    fn fours_are_what_the_definition_gives_whatever_lies_before_the_trace() {
        for taps in 1..=10 {
            check::<1>(taps, 0);
            check::<2>(taps, 1);
        }
    }
}
