//! The network for every frame of a trace at once (rules 4.2 and 4.4).
//!
//! Windows of neighbouring frames share all but one sample, so each layer is evaluated once per frame `p` of the trace
//! rather than once per window. With `x` the trace, `R` the rectifier and `*` a convolution of stride 1:
//!
//! ```text
//! a1[p] = R(x * k1)[p]          m1[p] = max(a2[p], a2[p+1])                                  pooled, stride 1
//! a2[p] = R(a1 * k2)[p]         a3[p] = R(m1 * k3)[p], taps 2 apart       m2[p] = max(a3[p], a3[p+2])
//!                               d[p] = R(dense(m2[p]))                    rate of window p = Σ_j v_j · d[p+4j]
//! ```
//!
//! **Polyphase.** A window sees every second `m1` and every fourth `m2`. `m1` is therefore stored as two sequences (even and
//! odd frames) and `m2` as four (frames modulo 4): within a sequence all taps are neighbours.
//!
//! **Products.** Frames are rows, channels last. Row `p` of the matrix that a convolution multiplies with its kernel is the
//! stretch `a[p..p+taps]` of the previous layer: a view of row stride `channels`, so every layer is one matrix product
//! without a copy. Bias and rectifier commute with the maximum and are applied after pooling, to half the numbers.
//!
//! **Tiles.** A trace passes through the layers in tiles of [`TILE`] frames, so that what lies between two layers stays in
//! the second-level cache. Each layer keeps the few rows that its next tile still needs (`history`), nothing is computed
//! twice: a tile goes in, and the rates of as many windows, some frames earlier, come out. A row's value does not depend on
//! its place in a tile.

use super::config::ModelConfig;
use super::weights::{Layer, Weights};

/// Frames that pass through the network together: with 30 to 50 channels, 256 frames of all layers take about 250 KB.
pub const TILE: usize = 256;

/// Tiles are cut at multiples of this, so that each holds whole steps of all four phases.
const PHASES: usize = 4;

/// Working memory for one thread; grows to what the longest trace and the largest network so far needed.
#[derive(Default)]
pub struct Scratch {
    /// The trace without NaN, with zeros after its end.
    padded: Vec<f32>,
    layers: LayerBuffers,
    /// Differences of neighbouring frames.
    pub(super) differences: Vec<f32>,
    /// Frames near a spike.
    pub(super) near_spike: Vec<bool>,
}

impl Scratch {
    pub fn new() -> Self {
        Self::default()
    }
}

/// Sets `rate` (T) to the mean rate of `members` for the windows of `dff` (T), in spikes per frame; NaN where a frame's
/// window leaves the recording or holds a value that is not finite (rule 4.4).
///
/// # Panics
/// If `dff` and `rate` differ in length.
pub fn ensemble_rate(
    config: &ModelConfig,
    members: &[Weights],
    dff: &[f32],
    scratch: &mut Scratch,
    rate: &mut [f32],
) {
    ensemble_rate_in_tiles(config, members, dff, scratch, rate, TILE);
}

fn ensemble_rate_in_tiles(
    config: &ModelConfig,
    members: &[Weights],
    dff: &[f32],
    scratch: &mut Scratch,
    rate: &mut [f32],
    tile: usize,
) {
    assert_eq!(dff.len(), rate.len(), "a rate for every frame");
    rate.fill(f32::NAN);
    let Some((first, last)) = valid_span(dff, config.windowsize) else {
        return;
    };
    let frame_of_window = config.frames_before() - 1;
    let windows = last - first + 1;
    let sums = &mut rate[first + frame_of_window..][..windows];
    sums.fill(0.0);

    let plan = Plan::new(config, windows, tile);
    plan.pad(&dff[first..last + config.windowsize], &mut scratch.padded);
    for member in members {
        scratch.layers.clear(&plan);
        for tile in 0..plan.tiles {
            scratch
                .layers
                .advance(&plan, member, &scratch.padded[tile * plan.frames..]);
            scratch.layers.add_rates(&plan, member, tile, sums);
        }
    }
    let count = members.len() as f32;
    sums.iter_mut().for_each(|sum| *sum /= count);
    blank_invalid(
        &dff[first..last + config.windowsize],
        config.windowsize,
        sums,
    );
}

/// First and last window, by their first frame, without a missing value; None if every window has one.
fn valid_span(dff: &[f32], windowsize: usize) -> Option<(usize, usize)> {
    let mut run = 0;
    let mut span: Option<(usize, usize)> = None;
    for (frame, value) in dff.iter().enumerate() {
        run = if value.is_finite() { run + 1 } else { 0 };
        if run >= windowsize {
            let window = frame + 1 - windowsize;
            span = Some((span.map_or(window, |(first, _)| first), window));
        }
    }
    span
}

/// Sets the rate of every window of `dff` that holds a missing value to NaN.
fn blank_invalid(dff: &[f32], windowsize: usize, rate: &mut [f32]) {
    let mut blanked = 0;
    for (frame, _) in dff
        .iter()
        .enumerate()
        .filter(|(_, value)| !value.is_finite())
    {
        let end = (frame + 1).min(rate.len());
        let start = (frame + 1).saturating_sub(windowsize).max(blanked).min(end);
        rate[start..end].fill(f32::NAN);
        blanked = end;
    }
}

/// Sizes that follow from the network and the length of a trace.
struct Plan {
    /// Frames of a tile, and tiles.
    frames: usize,
    tiles: usize,
    /// Rows that each layer keeps for the next tile, per phase. Rounded up so that every tile begins at phase 0.
    history: History,
    /// Frames by which the windows that come out lag behind the samples that go in.
    lag: usize,
    taps: [usize; 3],
    channels: [usize; 4],
    positions: usize,
}

struct History {
    a1: usize,
    a2: usize,
    m1: usize,
    a3: usize,
    dense: usize,
}

impl Plan {
    fn new(config: &ModelConfig, windows: usize, tile: usize) -> Self {
        let [taps1, taps2, taps3] = config.filter_sizes;
        let [channels1, channels2, channels3] = config.filter_numbers;
        let positions = config.positions();
        let history = History {
            a1: (taps2 - 1).next_multiple_of(PHASES),
            a2: PHASES,
            m1: (taps3 - 1).next_multiple_of(PHASES / 2),
            a3: PHASES / 2,
            dense: positions - 1,
        };
        let lag = history.a1 + history.a2 + 2 * (history.m1 + history.a3) + 4 * history.dense;
        let tiles = (windows + lag).div_ceil(tile);
        let frames = (windows + lag).div_ceil(tiles).next_multiple_of(PHASES);
        let taps = [taps1, taps2, taps3];
        let channels = [channels1, channels2, channels3, config.dense_expansion];
        Self {
            frames,
            tiles,
            history,
            lag,
            taps,
            channels,
            positions,
        }
    }

    /// Copies the trace, with 0 for what is missing and after its end.
    fn pad(&self, dff: &[f32], padded: &mut Vec<f32>) {
        padded.clear();
        padded.extend(
            dff.iter()
                .map(|&value| if value.is_finite() { value } else { 0.0 }),
        );
        padded.resize(self.tiles * self.frames + self.taps[0] - 1, 0.0);
    }
}

/// What lies between the layers: for each phase `history` rows of the tile before, then those of this tile.
#[derive(Default)]
struct LayerBuffers {
    a1: Vec<f32>,
    a2: Vec<f32>,
    m1: [Vec<f32>; 2],
    a3: [Vec<f32>; 2],
    m2: Vec<f32>,
    dense: [Vec<f32>; 4],
}

impl LayerBuffers {
    /// Empties the history; what then comes out before the first window is never used.
    fn clear(&mut self, plan: &Plan) {
        let [channels1, channels2, channels3, dense] = plan.channels;
        let (history, frames) = (&plan.history, plan.frames);
        let reset = |buffer: &mut Vec<f32>, rows: usize, channels: usize| {
            buffer.clear();
            buffer.resize(rows * channels, 0.0);
        };
        reset(&mut self.a1, history.a1 + frames, channels1);
        reset(&mut self.a2, history.a2 + frames, channels2);
        for phase in 0..2 {
            reset(&mut self.m1[phase], history.m1 + frames / 2, channels2);
            reset(&mut self.a3[phase], history.a3 + frames / 2, channels3);
        }
        reset(&mut self.m2, frames / 4, channels3);
        self.dense
            .iter_mut()
            .for_each(|dense_phase| reset(dense_phase, history.dense + frames / 4, dense));
    }

    /// Takes the next tile of samples (at least `frames + taps[0] - 1`) through all layers but the last.
    fn advance(&mut self, plan: &Plan, member: &Weights, samples: &[f32]) {
        let [channels1, channels2, channels3, dense] = plan.channels;
        let (history, frames) = (&plan.history, plan.frames);
        let [conv1, conv2, conv3, dense1, _] = &member.layers;

        let a1 = next_rows(&mut self.a1, history.a1, channels1);
        product(samples, 1, &conv1.kernel, a1, channels1);
        add_bias_and_rectify(a1, &conv1.bias);

        let a2 = next_rows(&mut self.a2, history.a2, channels2);
        product(&self.a1, channels1, &conv2.kernel, a2, channels2);
        let pairs = &self.a2[(history.a2 - PHASES) * channels2..];
        for phase in 0..2 {
            let m1 = next_rows(&mut self.m1[phase], history.m1, channels2);
            pool(pairs, 1, phase, 2, &conv2.bias, m1);
        }

        for phase in 0..2 {
            let a3 = next_rows(&mut self.a3[phase], history.a3, channels3);
            product(&self.m1[phase], channels2, &conv3.kernel, a3, channels3);
        }
        for phase in 0..4 {
            pool(
                &self.a3[phase % 2],
                1,
                phase / 2,
                2,
                &conv3.bias,
                &mut self.m2,
            );
            let rows = next_rows(&mut self.dense[phase], history.dense, dense);
            product(&self.m2, channels3, &dense1.kernel, rows, dense);
            add_bias_and_rectify(rows, &dense1.bias);
        }
        debug_assert_eq!(self.m2.len(), frames / 4 * channels3);
    }

    /// Adds the last layer's output for the windows that are complete after `tile` to `sums`.
    fn add_rates(&self, plan: &Plan, member: &Weights, tile: usize, sums: &mut [f32]) {
        let Layer { kernel, bias } = &member.layers[4];
        let channels = plan.channels[3];
        for step in 0..plan.frames / 4 {
            for phase in 0..4 {
                let Some(window) = (tile * plan.frames + 4 * step + phase).checked_sub(plan.lag)
                else {
                    continue;
                };
                let Some(sum) = sums.get_mut(window) else {
                    return;
                };
                let rows = &self.dense[phase][step * channels..][..plan.positions * channels];
                *sum += dot(rows, kernel) + bias[0];
            }
        }
    }
}

/// Moves the last `history` rows to the front and returns the rows after them, to be overwritten.
fn next_rows(buffer: &mut [f32], history: usize, channels: usize) -> &mut [f32] {
    let kept = history * channels;
    buffer.copy_within(buffer.len() - kept.., 0);
    &mut buffer[kept..]
}

/// `values = max(0, values + bias)`, row by row.
fn add_bias_and_rectify(values: &mut [f32], bias: &[f32]) {
    for row in values.chunks_exact_mut(bias.len()) {
        for (value, &bias) in row.iter_mut().zip(bias) {
            *value = (*value + bias).max(0.0);
        }
    }
}

/// `pooled[q] = max(0, max(rows[p], rows[p + apart]) + bias)` with `p = first + q · step`, channel by channel.
fn pool(rows: &[f32], apart: usize, first: usize, step: usize, bias: &[f32], pooled: &mut [f32]) {
    let channels = bias.len();
    for (q, pooled) in pooled.chunks_exact_mut(channels).enumerate() {
        let p = first + q * step;
        let (one, other) = (
            &rows[p * channels..][..channels],
            &rows[(p + apart) * channels..][..channels],
        );
        for (((pooled, &one), &other), &bias) in pooled.iter_mut().zip(one).zip(other).zip(bias) {
            *pooled = (one.max(other) + bias).max(0.0);
        }
    }
}

/// Scalar product in eight independent sums, the same whatever the processor.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (left, right) = (left.chunks_exact(8), right.chunks_exact(8));
    let tail: f32 = left
        .remainder()
        .iter()
        .zip(right.remainder())
        .map(|(l, r)| l * r)
        .sum();
    for (left, right) in left.zip(right) {
        for lane in 0..8 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// `out = views · kernel`, where row `p` of `views` is `samples[p · stride..][..depth]`.
///
/// `kernel` is (depth, outputs), `out` (rows, outputs), both row-major.
fn product(samples: &[f32], stride: usize, kernel: &[f32], out: &mut [f32], outputs: usize) {
    let (rows, depth) = (out.len() / outputs, kernel.len() / outputs);
    assert!(rows > 0 && out.len() == rows * outputs && kernel.len() == depth * outputs);
    assert!((rows - 1) * stride + depth <= samples.len());
    let (stride, width) = (stride as isize, outputs as isize);
    // SAFETY: by the assertions above, row `rows - 1` and column `depth - 1` of the view, and the last elements of
    // `kernel` and `out`, lie inside their slices; `out` is borrowed exclusively and so overlaps neither.
    unsafe {
        gemm::gemm(
            rows,
            outputs,
            depth,
            out.as_mut_ptr(),
            1,
            width,
            false,
            samples.as_ptr(),
            1,
            stride,
            kernel.as_ptr(),
            1,
            width,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
