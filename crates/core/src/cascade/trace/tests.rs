//! What the evaluation along the trace may not depend on. `spikegrid-inference` compares it with the network window by window.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;

fn config(
    windowsize: usize,
    filter_sizes: [usize; 3],
    filter_numbers: [usize; 3],
    dense: usize,
) -> ModelConfig {
    ModelConfig {
        model_name: "test".into(),
        sampling_rate: 2.0,
        noise_levels: vec![2],
        smoothing: 0.5,
        causal_kernel: 0,
        windowsize,
        before_frac: 0.5,
        filter_sizes,
        filter_numbers,
        dense_expansion: dense,
        ensemble_size: 2,
    }
}

fn architectures() -> Vec<ModelConfig> {
    vec![
        config(64, [13, 9, 3], [30, 40, 50], 10),
        config(64, [31, 19, 5], [30, 40, 50], 30),
        config(31, [5, 3, 2], [3, 4, 5], 2),
        config(32, [1, 1, 1], [1, 1, 1], 1),
        config(33, [2, 6, 4], [5, 17, 2], 3),
        config(4, [1, 1, 1], [2, 2, 2], 2),
        config(37, [1, 9, 12], [2, 3, 2], 2),
    ]
}

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Uniform in [-1, 1).
    fn next(&mut self) -> f32 {
        (self.0.next_u64() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }

    fn weights(&mut self, config: &ModelConfig) -> Weights {
        let layers = config.layers().map(|shape| {
            let scale = (3.0 / shape.depth() as f32).sqrt();
            let kernel = self
                .values(shape.depth() * shape.outputs)
                .iter()
                .map(|weight| weight * scale)
                .collect();
            Layer {
                kernel,
                bias: self
                    .values(shape.outputs)
                    .iter()
                    .map(|bias| bias * 0.2)
                    .collect(),
            }
        });
        Weights::from(layers)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn rule_4_4_a_recording_without_a_whole_window_has_no_rate() {
    let mut random = Random::new(3);
    let config = config(31, [5, 3, 2], [3, 4, 5], 2);
    let members = [random.weights(&config)];
    for frames in [0, 1, 2, 30] {
        let mut rate = vec![0.0; frames];
        ensemble_rate(
            &config,
            &members,
            &random.values(frames),
            &mut Scratch::new(),
            &mut rate,
        );
        assert!(rate.iter().all(|rate| rate.is_nan()), "{frames} frames");
    }
    let mut dff = random.values(200);
    dff.iter_mut()
        .step_by(31)
        .for_each(|value| *value = f32::NAN);
    let mut rate = vec![0.0; 200];
    ensemble_rate(&config, &members, &dff, &mut Scratch::new(), &mut rate);
    assert!(rate.iter().all(|rate| rate.is_nan()));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_rate_has_the_same_bits_with_avx2_and_avx_512() {
    use pulp::x86::{V3, V4};

    let (Some(avx2), Some(avx512)) = (V3::try_new(), V4::try_new()) else {
        return;
    };
    let mut random = Random::new(6);
    for config in architectures() {
        let members = [random.weights(&config), random.weights(&config)];
        let dff = random.values(700);
        let rates = [Arch::V3(avx2), Arch::V4(avx512)].map(|arch| {
            let mut scratch = Scratch::new();
            scratch.arch = arch;
            let mut rate = vec![0.0; 700];
            ensemble_rate(&config, &members, &dff, &mut scratch, &mut rate);
            bits(&rate)
        });
        assert!(rates[0] == rates[1], "{:?}", config.filter_sizes);
    }
}

#[test]
fn a_rate_does_not_depend_on_where_tiles_end() {
    let mut random = Random::new(4);
    for config in architectures() {
        let members = [random.weights(&config), random.weights(&config)];
        let dff = random.values(900);
        let mut expected = vec![0.0; 900];
        ensemble_rate(&config, &members, &dff, &mut Scratch::new(), &mut expected);
        for tile in [128, 384, 512, 4096] {
            let mut rate = vec![f32::NAN; 900];
            window_rates_in_tiles(
                &config,
                &members,
                &dff,
                &mut Scratch::new(),
                place_windows(&config, &mut rate),
                tile,
            );
            assert_eq!(
                bits(&rate),
                bits(&expected),
                "{:?}, tiles of {tile}",
                config.filter_sizes
            );
        }
    }
}

#[test]
fn a_rate_does_not_depend_on_other_neurons_or_models() {
    let mut random = Random::new(5);
    let configs = architectures();
    let members: Vec<_> = configs
        .iter()
        .map(|config| [random.weights(config), random.weights(config)])
        .collect();
    let traces: Vec<_> = [300, 64, 2000, 700]
        .map(|frames| random.values(frames))
        .into();
    let overflowing = random.weights(&configs[1]);
    let overflowing = [overflowing.layers().clone().map(|mut layer| {
        layer.kernel.iter_mut().for_each(|weight| *weight *= 1e30);
        layer
    })]
    .map(Weights::from);
    let mut shared = Scratch::new();
    for (config, members) in configs.iter().zip(&members).rev() {
        for dff in traces.iter().chain(traces.iter().rev()) {
            let (mut first, mut second) = (vec![0.0; dff.len()], vec![1.0; dff.len()]);
            ensemble_rate(&configs[1], &overflowing, dff, &mut shared, &mut first);
            ensemble_rate(config, members, dff, &mut shared, &mut first);
            ensemble_rate(config, members, dff, &mut Scratch::new(), &mut second);
            assert_eq!(bits(&first), bits(&second));
        }
    }
}
