//! Made-up recordings for the tests of findings.

use super::Excerpt;

/// A recording of ΔF/F: jumps that decay by half per second at 2 Hz, and noise.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) frames: usize,
    pub(super) neurons: usize,
    /// Standard deviation of the noise.
    pub(super) noise: f64,
    /// Spikes per frame.
    pub(super) spikes: f64,
    /// What a spike adds.
    pub(super) jump: f64,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            frames: 600,
            neurons: 50,
            noise: 0.05,
            spikes: 0.05,
            jump: 0.4,
        }
    }
}

impl Made {
    /// ΔF/F of a neuron, (T,).
    fn trace(&self, neuron: usize) -> Vec<f64> {
        let mut random = Random(neuron as u64 + 1);
        let mut calcium = 0.0;
        (0..self.frames)
            .map(|_| {
                calcium *= 0.7;
                if random.uniform() < self.spikes {
                    calcium += self.jump;
                }
                calcium + self.noise * random.normal()
            })
            .collect()
    }

    /// Samples by frame and neuron, made of the neuron and its ΔF/F.
    pub(super) fn samples(
        self,
        sample: impl Fn(usize, f64) -> f64,
    ) -> impl Fn(usize, usize) -> f32 {
        let traces: Vec<_> = (0..self.neurons).map(|neuron| self.trace(neuron)).collect();
        move |frame, neuron| sample(neuron, traces[neuron][frame]) as f32
    }

    /// z-scores by frame and neuron.
    pub(super) fn z_scores(self) -> impl Fn(usize, usize) -> f32 {
        let score = |mut trace: Vec<f64>| {
            let count = trace.len() as f64;
            let mean = trace.iter().sum::<f64>() / count;
            let squares = trace.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
            let deviation = (squares / count).sqrt();
            trace.iter_mut().for_each(|x| *x = (*x - mean) / deviation);
            trace
        };
        let traces: Vec<_> = (0..self.neurons).map(|n| score(self.trace(n))).collect();
        move |frame, neuron| traces[neuron][frame] as f32
    }
}

/// The excerpt of a recording with these samples by frame and neuron.
pub(super) fn excerpt_of(
    frames: usize,
    neurons: usize,
    sample: impl Fn(usize, usize) -> f32,
) -> Excerpt {
    let mut excerpt = Excerpt::of_size(frames, neurons);
    let times: Vec<_> = excerpt.runs.iter().cloned().flatten().collect();
    let places: Vec<_> = excerpt.places().collect();
    excerpt.samples = places
        .iter()
        .flat_map(|&neuron| times.iter().map(move |&frame| (frame, neuron)))
        .map(|(frame, neuron)| sample(frame, neuron))
        .collect();
    excerpt
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The sum of twelve uniform numbers, less its mean: nearly normal, standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}
