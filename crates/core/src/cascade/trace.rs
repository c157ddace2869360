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
//! `k2` and `k3`, nine tenths of the arithmetic, are evaluated with half of it ([`winograd`](super::winograd)).
//!
//! **Polyphase.** A window sees every second `m1` and every fourth `m2`, and `winograd` takes four neighbours of either together: frames
//! that are computed alike are eight apart. These lie next to each other ([`Features`]), so that vectors hold them, and all layers,
//! the dense ones too, are sums over rows by one [kernel](Convolution).
//!
//! **Tiles.** A trace passes through the layers in tiles of [`TILE`] frames, so that what lies between two layers stays in
//! the second-level cache. Each layer keeps the few frames that its next tile still needs (`history`), nothing is computed
//! twice: a tile goes in, and the rates of as many windows, some frames earlier, come out.

use pulp::Arch;

use super::config::{DILATIONS, ModelConfig, POOLINGS};
use super::convolution::{Convolution, STEP};
use super::features::{Features, PHASES, row_length};
use super::span::Span;
use super::weights::{Layer, Weights};
use super::winograd::{Filter, FilterAndPool, Fours, Late};

/// Frames that pass through the network together: with 30 to 50 channels, 256 frames of all layers take about 400 KB, and a member's
/// weights 150 KB.
pub const TILE: usize = 256;

/// Working memory for one thread; grows to what the longest trace and the largest network so far needed.
#[derive(Default)]
pub struct Scratch {
    /// The instruction set, the best that the processor has unless it is changed.
    pub arch: Arch,
    /// The trace without NaN, with zeros after its end.
    samples: Features,
    layers: Layers,
}

impl Scratch {
    /// Memory that nothing used yet.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Bytes that a network's [`Scratch`] takes, apart from those for each frame of a trace.
pub fn working_memory(config: &ModelConfig) -> usize {
    let plan = Plan::new(config, Arch::default(), 0, TILE);
    let [channels1, channels2, channels3, dense] = plan.channels;
    let [_, taps2, taps3] = config.filter_sizes;
    let history = &plan.history;
    let features = [
        (channels1, history.a1),
        (channels2, history.m1),
        (channels3, 0),
        (dense, history.dense),
    ];
    let features = features.map(|(channels, history)| channels * (TILE + PHASES * history));
    let fours = Fours::floats(
        [(taps2, channels1), (taps3, channels2)],
        [channels2, channels3],
        TILE,
    );
    let late = TILE / PHASES * (channels2 + 2 * channels3);
    let rows = PHASES * (plan.taps1 + channels3 + plan.positions * dense);
    let floats = features.iter().sum::<usize>() + fours + late;
    floats * size_of::<f32>() + rows * size_of::<usize>()
}

/// Sets `rate` (T) to the mean rate of `members` for the windows of `dff` (T), in spikes per frame; NaN where a frame's
/// window leaves the recording or holds a value that is not finite (rule 4.4).
///
/// # Panics
/// If `dff` and `rate` differ in length.
pub fn ensemble_rate<'a>(
    config: &ModelConfig,
    members: impl IntoIterator<Item = &'a Weights, IntoIter: ExactSizeIterator>,
    dff: &[f32],
    scratch: &mut Scratch,
    rate: &mut [f32],
) {
    assert_eq!(dff.len(), rate.len(), "a rate for every frame");
    let rates = place_windows(config, rate);
    window_rates(config, members, dff, scratch, rates);
}

/// Sets `rate` (T) as [`ensemble_rate`] does, from the sums over `members` networks for the windows of the trace's [`Span`],
/// which were evaluated elsewhere: one channel of [`Features`].
///
/// # Panics
/// If `dff` and `rate` differ in length, or `sums` is not (8, n).
pub fn rate_from_sums(
    config: &ModelConfig,
    members: usize,
    dff: &[f32],
    sums: &[f32],
    rate: &mut [f32],
) {
    assert_eq!(dff.len(), rate.len(), "a rate for every frame");
    let length = row_length(sums);
    let rates = place_windows(config, rate);
    if let Some(span) = Span::of(config, dff) {
        let rates = span.rates(rates);
        for (phase, row) in sums.chunks_exact(length).enumerate() {
            let rates = rates.iter_mut().skip(phase).step_by(PHASES);
            rates.zip(row).for_each(|(rate, sum)| *rate = *sum);
        }
        span.mean(config, members, dff, rates);
    }
}

/// Sets `rates` (T - windowsize + 1, or none of a shorter trace) to the mean rates of `members` for all windows of `trace` (T), in spikes
/// per frame, in the order of the windows' first frames; NaN for a window that holds a value that is not finite.
///
/// # Panics
/// If there are more or fewer `rates` than windows.
pub fn window_rates<'a>(
    config: &ModelConfig,
    members: impl IntoIterator<Item = &'a Weights, IntoIter: ExactSizeIterator>,
    trace: &[f32],
    scratch: &mut Scratch,
    rates: &mut [f32],
) {
    window_rates_in_tiles(config, members, trace, scratch, rates, TILE);
}

fn window_rates_in_tiles<'a>(
    config: &ModelConfig,
    members: impl IntoIterator<Item = &'a Weights, IntoIter: ExactSizeIterator>,
    trace: &[f32],
    scratch: &mut Scratch,
    rates: &mut [f32],
    tile: usize,
) {
    assert_eq!(rates.len(), config.windows(trace.len()), "a rate a window");
    rates.fill(f32::NAN);
    let Some(span) = Span::of(config, trace) else {
        return;
    };
    let sums = span.rates(rates);
    sums.fill(0.0);

    let plan = Plan::new(config, scratch.arch, sums.len(), tile);
    let samples = &mut scratch.samples;
    // All of it is there at once: what the last taps see beyond a tile comes after it, and nothing before.
    samples.resize(1, (plan.taps1 - 1).div_ceil(PHASES), plan.total);
    span.samples(config, trace, &mut samples.values);
    scratch.layers.resize(&plan, samples);
    let members = members.into_iter();
    let count = members.len();
    for member in members {
        for (start, frames) in plan.tiles() {
            scratch
                .layers
                .advance(&plan, member, &samples.values[start / PHASES..], frames);
            scratch.layers.add_rates(&plan, start, frames, sums);
        }
    }
    span.mean(config, count, trace, sums);
}

/// The frames of `rate` (T) to which the windows of a trace belong, in the order of the windows; sets all others to NaN.
fn place_windows<'a>(config: &ModelConfig, rate: &'a mut [f32]) -> &'a mut [f32] {
    rate.fill(f32::NAN);
    let windows = config.windows(rate.len());
    let first = if windows == 0 {
        0
    } else {
        config.frames_before() - 1
    };
    &mut rate[first..][..windows]
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
    positions: usize,
    /// Outputs of the layers.
    channels: [usize; 4],
}

/// Octets, frames `8u` to `8u + 7`, that are kept of each layer for the next tile: how far the layer after it sees beyond its own.
struct History {
    a1: usize,
    m1: usize,
    dense: usize,
}

impl Plan {
    fn new(config: &ModelConfig, arch: Arch, windows: usize, tile: usize) -> Self {
        assert!(tile.is_multiple_of(PHASES * STEP));
        let [taps1, taps2, taps3] = config.filter_sizes;
        let [channels1, channels2, channels3] = config.filter_numbers;
        let history = History {
            a1: Filter::last_frame(taps2, DILATIONS[1], 0) / PHASES,
            m1: Filter::last_frame(taps3, DILATIONS[2], POOLINGS[1]) / PHASES,
            dense: (DILATIONS[4] * (config.positions() - 1)).div_ceil(PHASES),
        };
        // m2, and what follows from it, stands as late as the second of the frames that it pools.
        let lag = PHASES * (history.a1 + history.m1 + history.dense) + POOLINGS[2];
        let total = (windows + lag).next_multiple_of(PHASES * STEP);
        let channels = [channels1, channels2, channels3, config.dense_expansion];
        Self {
            arch,
            tile,
            total,
            lag,
            history,
            taps1,
            positions: config.positions(),
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

// `FilterAndPool` pools outputs as far apart as its taps are.
const _: () = assert!(POOLINGS[1] == DILATIONS[1] && POOLINGS[2] == DILATIONS[2]);

/// What lies between the layers, for one member and one tile.
#[derive(Default)]
struct Layers {
    a1: Features,
    m1: Features,
    m2: Features,
    dense: Features,
    rate: Features,
    a2: Late,
    a3: Late,
    fours: Fours,
    conv1: Rows,
    dense1: Rows,
    dense2: Rows,
}

impl Layers {
    fn resize(&mut self, plan: &Plan, samples: &Features) {
        let [channels1, channels2, channels3, dense] = plan.channels;
        let (history, tile) = (&plan.history, plan.tile);
        self.a1.resize(channels1, history.a1, tile);
        self.m1.resize(channels2, history.m1, tile);
        self.m2.resize(channels3, 0, tile);
        self.dense.resize(dense, history.dense, tile);
        self.rate.resize(1, 0, tile);
        self.conv1.find(samples, plan.taps1, DILATIONS[0]);
        self.dense1.find(&self.m2, 1, DILATIONS[3]);
        self.dense2.find(&self.dense, plan.positions, DILATIONS[4]);
    }

    /// Takes the next `frames` samples (and `taps1 - 1` more) through all layers.
    fn advance(&mut self, plan: &Plan, member: &Weights, samples: &[f32], frames: usize) {
        let (arch, fours) = (plan.arch, &mut self.fours);
        let [conv1, _, _, dense1, dense2] = member.layers();
        let [conv2, conv3] = member.filters();

        self.a1.next_tile();
        let rows = &self.conv1;
        rows.convolve(arch, samples, conv1, &mut self.a1, frames, true);
        self.m1.next_tile();
        let conv2_and_pool = FilterAndPool::<{ DILATIONS[1] }> {
            filter: conv2,
            input: &self.a1,
            delay: 0,
            output: &mut self.m1,
            late: &mut self.a2,
            frames,
        };
        fours.run(arch, conv2_and_pool);
        let conv3_and_pool = FilterAndPool::<{ DILATIONS[2] }> {
            filter: conv3,
            input: &self.m1,
            delay: POOLINGS[1],
            output: &mut self.m2,
            late: &mut self.a3,
            frames,
        };
        fours.run(arch, conv3_and_pool);
        self.dense.next_tile();
        let (rows, m2) = (&self.dense1, &self.m2.values);
        rows.convolve(arch, m2, dense1, &mut self.dense, frames, true);
        let (rows, dense) = (&self.dense2, &self.dense.values);
        rows.convolve(arch, dense, dense2, &mut self.rate, frames, false);
    }

    /// Adds the rates of the windows that the tile from `start` on completed to `sums`.
    fn add_rates(&self, plan: &Plan, start: usize, frames: usize, sums: &mut [f32]) {
        let rows = self.rate.values.chunks_exact(self.rate.length);
        for (frame, row) in (start..).zip(rows) {
            let early = plan.lag.saturating_sub(frame).div_ceil(PHASES);
            let rates = row[..frames / PHASES].iter().skip(early);
            let first = frame + early * PHASES - plan.lag;
            let sums = sums.iter_mut().skip(first).step_by(PHASES);
            sums.zip(rates).for_each(|(sum, rate)| *sum += rate);
        }
    }
}

/// Where the rows begin that a layer sees: (taps, inputs), for each phase of what it returns.
#[derive(Default)]
struct Rows([Vec<usize>; PHASES]);

impl Rows {
    /// Those of a layer with this many taps, `dilation` frames apart.
    fn find(&mut self, input: &Features, taps: usize, dilation: usize) {
        let stride = input.stride();
        for (phase, rows) in self.0.iter_mut().enumerate() {
            rows.clear();
            for tap in 0..taps {
                let row = input.row(phase + tap * dilation);
                rows.extend((row..input.values.len()).step_by(stride));
            }
        }
    }

    /// Convolves features to the next `frames` frames of `output`.
    fn convolve(
        &self,
        arch: Arch,
        input: &[f32],
        layer: &Layer,
        output: &mut Features,
        frames: usize,
        rectified: bool,
    ) {
        let output_stride = output.stride();
        for (phase, rows) in self.0.iter().enumerate() {
            arch.dispatch(Convolution {
                input,
                rows,
                layer,
                output: &mut output.values[phase * output.length + output.history..],
                output_stride,
                entries: frames / PHASES,
                rectified,
            });
        }
    }
}

#[cfg(test)]
mod tests;
