//! The network for every frame of a trace at once (rules 4.2 and 4.4).
//!
//! Windows of neighbouring frames share all but one sample, so each layer is evaluated once per frame `p` of the trace
//! rather than once per window. With `x` the trace, `R` the rectifier and `*` a convolution of stride 1:
//!
//! ```text
//! a1[p] = R(x * k1)[p]          m1[p] = max(a2[p], a2[p+1])
//! a2[p] = R(a1 * k2)[p]         a3[p] = R(m1 * k3)[p], taps 2 apart       m2[p] = max(a3[p], a3[p+2])
//!                               d[p] = R(dense(m2[p]))                    rate of window p = Σ_j v_j · d[p+4j]
//! ```
//!
//! **Polyphase.** A window sees every second `m1` and every fourth `m2`. Each pooling therefore stores what it returns as two
//! sequences (even and odd frames), of which there are then two and four: within a sequence all taps are neighbours, and all
//! layers, the dense ones too, are convolutions of stride 1 by one [kernel](Convolution).
//!
//! **Tiles.** A trace passes through the layers in tiles of [`TILE`] frames, so that what lies between two layers stays in
//! the second-level cache. Each layer keeps the few frames that its next tile still needs (`history`), nothing is computed
//! twice: a tile goes in, and the rates of as many windows, some frames earlier, come out.

use pulp::Arch;

use super::config::ModelConfig;
use super::convolution::{Convolution, FRAME_STEP, Pooling};
use super::weights::{Layer, Weights};

/// Frames that pass through the network together: with 30 to 50 channels, 256 frames of all layers take about 250 KB.
pub const TILE: usize = 256;

/// Sequences after the second pooling.
const PHASES: usize = 4;

/// Working memory for one thread; grows to what the longest trace and the largest network so far needed.
#[derive(Default)]
pub struct Scratch {
    /// The instruction set, the best that the processor has unless it is changed.
    pub arch: Arch,
    /// The trace without NaN, with zeros after its end.
    padded: Vec<f32>,
    layers: Layers,
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
    let Some(span) = Span::of(config, dff) else {
        return;
    };
    let sums = span.rates(config, rate);
    sums.fill(0.0);

    let plan = Plan::new(config, scratch.arch, sums.len(), tile);
    let padded = &mut scratch.padded;
    padded.clear();
    padded.resize(plan.total + plan.taps1 - 1, 0.0);
    span.samples(config, dff, padded);
    scratch.layers.resize(&plan);
    for member in members {
        for (start, frames) in plan.tiles() {
            scratch
                .layers
                .advance(&plan, member, &scratch.padded[start..], frames);
            scratch.layers.add_rates(&plan, start, frames, sums);
        }
    }
    span.mean(config, members.len(), dff, sums);
}

/// Sets `rate` (T) as [`ensemble_rate`] does, from the sums over `members` networks for the windows of the trace's [`Span`],
/// which were evaluated elsewhere.
///
/// # Panics
/// If `dff` and `rate` differ in length, or `sums` has fewer values than the span windows.
pub fn rate_from_sums(
    config: &ModelConfig,
    members: usize,
    dff: &[f32],
    sums: &[f32],
    rate: &mut [f32],
) {
    assert_eq!(dff.len(), rate.len(), "a rate for every frame");
    rate.fill(f32::NAN);
    if let Some(span) = Span::of(config, dff) {
        let rates = span.rates(config, rate);
        rates.copy_from_slice(&sums[..span.windows]);
        span.mean(config, members, dff, rates);
    }
}

/// The windows of a trace that are evaluated: from the first to the last without a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First frame of the first window.
    start: usize,
    /// At least 1.
    windows: usize,
}

impl Span {
    /// None if every window of `dff` has a missing value.
    pub fn of(config: &ModelConfig, dff: &[f32]) -> Option<Self> {
        let mut run = 0;
        let mut span: Option<Self> = None;
        for (frame, value) in dff.iter().enumerate() {
            run = if value.is_finite() { run + 1 } else { 0 };
            if run >= config.windowsize {
                let window = frame + 1 - config.windowsize;
                let start = span.map_or(window, |span| span.start);
                let windows = window - start + 1;
                span = Some(Self { start, windows });
            }
        }
        span
    }

    fn of_trace<'a>(&self, config: &ModelConfig, dff: &'a [f32]) -> &'a [f32] {
        &dff[self.start..][..self.windows + config.windowsize - 1]
    }

    /// Copies the samples of its windows to the front of `samples`, with 0 for what is missing.
    ///
    /// # Panics
    /// If `samples` is shorter than that; as long as the trace is enough.
    pub fn samples(&self, config: &ModelConfig, dff: &[f32], samples: &mut [f32]) {
        let dff = self.of_trace(config, dff);
        for (sample, &value) in samples[..dff.len()].iter_mut().zip(dff) {
            *sample = if value.is_finite() { value } else { 0.0 };
        }
    }

    /// Where the rates of its windows stand in `rate` (T).
    fn rates<'a>(&self, config: &ModelConfig, rate: &'a mut [f32]) -> &'a mut [f32] {
        &mut rate[self.start + config.frames_before() - 1..][..self.windows]
    }

    /// Sums over members to means, NaN for every window that holds a missing value.
    fn mean(&self, config: &ModelConfig, members: usize, dff: &[f32], sums: &mut [f32]) {
        let count = members as f32;
        for sum in &mut *sums {
            let mean = *sum / count;
            // Networks that overflow return NaN, whose bits would depend on the processor.
            *sum = if mean.is_nan() { f32::NAN } else { mean };
        }
        let mut blanked = 0;
        let values = self.of_trace(config, dff).iter().enumerate();
        for (frame, _) in values.filter(|(_, value)| !value.is_finite()) {
            let end = (frame + 1).min(sums.len());
            let start = (frame + 1).saturating_sub(config.windowsize);
            let start = start.max(blanked).min(end);
            sums[start..end].fill(f32::NAN);
            blanked = end;
        }
    }
}

/// Sizes that follow from the network and the length of a trace.
struct Plan {
    arch: Arch,
    /// Frames of a tile but the last, and of all together.
    tile: usize,
    total: usize,
    /// Frames by which the windows that come out lag behind the samples that go in.
    lag: usize,
    history: History,
    taps1: usize,
    /// Outputs of the layers.
    channels: [usize; 4],
}

/// Frames that are kept of each sequence for the next tile: the taps of the layer that reads it but one, rounded up so that
/// every tile begins with the first phase.
struct History {
    a1: usize,
    a2: usize,
    m1: usize,
    a3: usize,
    dense: usize,
}

impl Plan {
    fn new(config: &ModelConfig, arch: Arch, windows: usize, tile: usize) -> Self {
        let [taps1, taps2, taps3] = config.filter_sizes;
        let [channels1, channels2, channels3] = config.filter_numbers;
        let history = History {
            a1: (taps2 - 1).next_multiple_of(PHASES),
            a2: PHASES,
            m1: (taps3 - 1).next_multiple_of(PHASES / 2),
            a3: PHASES / 2,
            dense: config.positions() - 1,
        };
        let lag = history.a1 + history.a2 + 2 * (history.m1 + history.a3) + 4 * history.dense;
        let total = (windows + lag).next_multiple_of(PHASES * FRAME_STEP);
        let channels = [channels1, channels2, channels3, config.dense_expansion];
        Self {
            arch,
            tile,
            total,
            lag,
            history,
            taps1,
            channels,
        }
    }

    /// First frame and number of frames of each tile.
    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.total)
            .step_by(self.tile)
            .map(|start| (start, self.tile.min(self.total - start)))
    }
}

/// A sequence of feature vectors between two layers: of each channel the history, then the frames of this tile.
#[derive(Default)]
struct Features {
    /// (channels, stride).
    values: Vec<f32>,
    stride: usize,
    history: usize,
}

impl Features {
    fn resize(&mut self, channels: usize, history: usize, frames: usize) {
        (self.stride, self.history) = (history + frames, history);
        self.values.clear();
        self.values.resize(channels * self.stride, 0.0);
    }

    /// Moves the last frames of the tile before, which was a whole one, to the front; returns what this tile overwrites.
    ///
    /// Before the first tile they are another trace's. They only reach windows before the first, which are not used.
    fn next_tile(&mut self) -> &mut [f32] {
        for channel in self.values.chunks_exact_mut(self.stride) {
            channel.copy_within(self.stride - self.history.., 0);
        }
        &mut self.values[self.history..]
    }
}

/// What lies between the layers, for one member and one tile.
#[derive(Default)]
struct Layers {
    a1: Features,
    a2: Features,
    m1: [Features; 2],
    a3: [Features; 2],
    m2: [Features; PHASES],
    dense: [Features; PHASES],
    rate: [Features; PHASES],
}

impl Layers {
    fn resize(&mut self, plan: &Plan) {
        let [channels1, channels2, channels3, dense] = plan.channels;
        let (history, tile) = (&plan.history, plan.tile);
        self.a1.resize(channels1, history.a1, tile);
        self.a2.resize(channels2, history.a2, tile);
        self.m1
            .iter_mut()
            .for_each(|m1| m1.resize(channels2, history.m1, tile / 2));
        self.a3
            .iter_mut()
            .for_each(|a3| a3.resize(channels3, history.a3, tile / 2));
        self.m2
            .iter_mut()
            .for_each(|m2| m2.resize(channels3, 0, tile / 4));
        self.dense
            .iter_mut()
            .for_each(|phase| phase.resize(dense, history.dense, tile / 4));
        self.rate
            .iter_mut()
            .for_each(|phase| phase.resize(1, 0, tile / 4));
    }

    /// Takes the next `frames` samples (and `taps1 - 1` more) through all layers.
    fn advance(&mut self, plan: &Plan, member: &Weights, samples: &[f32], frames: usize) {
        let arch = plan.arch;
        let [conv1, conv2, conv3, dense1, dense2] = &member.layers;

        convolve(
            arch,
            samples,
            samples.len(),
            conv1,
            &mut self.a1,
            frames,
            true,
        );
        convolve(
            arch,
            &self.a1.values,
            self.a1.stride,
            conv2,
            &mut self.a2,
            frames,
            true,
        );
        let [even, odd] = &mut self.m1;
        pool(arch, &self.a2, even, odd, frames / 2);

        for (m1, a3) in self.m1.iter().zip(&mut self.a3) {
            convolve(arch, &m1.values, m1.stride, conv3, a3, frames / 2, true);
        }
        let [phase0, phase1, phase2, phase3] = &mut self.m2;
        pool(arch, &self.a3[0], phase0, phase2, frames / 4);
        pool(arch, &self.a3[1], phase1, phase3, frames / 4);

        for ((m2, dense), rate) in self.m2.iter().zip(&mut self.dense).zip(&mut self.rate) {
            convolve(arch, &m2.values, m2.stride, dense1, dense, frames / 4, true);
            convolve(
                arch,
                &dense.values,
                dense.stride,
                dense2,
                rate,
                frames / 4,
                false,
            );
        }
    }

    /// Adds the rates of the windows that the tile from `start` on completed to `sums`.
    fn add_rates(&self, plan: &Plan, start: usize, frames: usize, sums: &mut [f32]) {
        for step in 0..frames / PHASES {
            for (phase, rate) in self.rate.iter().enumerate() {
                let window = (start + step * PHASES + phase).checked_sub(plan.lag);
                if let Some(sum) = window.and_then(|window| sums.get_mut(window)) {
                    *sum += rate.values[step];
                }
            }
        }
    }
}

/// Convolves (channels, stride) features with the layer's kernel to the next `frames` frames of `output`.
fn convolve(
    arch: Arch,
    input: &[f32],
    input_stride: usize,
    layer: &Layer,
    output: &mut Features,
    frames: usize,
    rectified: bool,
) {
    let output_stride = output.stride;
    let output = output.next_tile();
    arch.dispatch(Convolution {
        input,
        input_stride,
        layer,
        output,
        output_stride,
        frames,
        rectified,
    });
}

/// Pools `input` to the next `pairs` frames of the sequences of even and odd frames.
fn pool(arch: Arch, input: &Features, even: &mut Features, odd: &mut Features, pairs: usize) {
    let output_stride = even.stride;
    let (input, input_stride) = (&input.values[..], input.stride);
    let (even, odd) = (even.next_tile(), odd.next_tile());
    arch.dispatch(Pooling {
        input,
        input_stride,
        even,
        odd,
        output_stride,
        pairs,
    });
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
