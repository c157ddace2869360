//! The network along traces against its definition window by window, and in one operation against layer by layer.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Module, VarBuilder, VarMap};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use spikegrid_core::cascade::config::LayerShape;
use spikegrid_core::cascade::weights::{Layer, Weights};
use spikegrid_core::cascade::{Level, Model, ModelConfig};
use spikegrid_inference::ensembles::{Ensembles, Processors};
use spikegrid_inference::network::{self, Network};

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
    fn values(&mut self, count: usize) -> Vec<f32> {
        let mut next = || (self.0.next_u64() >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        (0..count).map(|_| next()).collect()
    }

    /// Uniform, with a standard deviation of 1.
    fn noise(&mut self, count: usize) -> Vec<f32> {
        let values = self.values(count);
        values.iter().map(|value| value * 3f32.sqrt()).collect()
    }

    fn weights(&mut self, config: &ModelConfig) -> Weights {
        let scale = |shape: LayerShape| ((3.0 / shape.depth() as f32).sqrt(), 0.2);
        self.scaled_weights(config, scale)
    }

    /// As those that training begins with: small kernels and no bias.
    fn untrained_weights(&mut self, config: &ModelConfig) -> Weights {
        self.scaled_weights(config, |shape| {
            let fan_out = match shape.convolution {
                true => shape.taps * shape.outputs,
                false => shape.outputs,
            };
            ((6.0 / (shape.depth() + fan_out) as f32).sqrt(), 0.0)
        })
    }

    /// Kernels and biases up to the two numbers that `scale` gives.
    fn scaled_weights(
        &mut self,
        config: &ModelConfig,
        scale: impl Fn(LayerShape) -> (f32, f32),
    ) -> Weights {
        Weights::from(config.layers().map(|shape| {
            let (kernel, bias) = scale(shape);
            let mut scaled =
                |count, scale: f32| self.values(count).iter().map(|x| x * scale).collect();
            Layer {
                kernel: scaled(shape.depth() * shape.outputs, kernel),
                bias: scaled(shape.outputs, bias),
            }
        }))
    }
}

/// A network in training that starts with these weights, and its variables in the order of the layers.
fn trained(config: &ModelConfig, weights: &Weights) -> (Network, Vec<Var>) {
    let mut map = VarMap::new();
    let builder = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let network = Network::new(config, builder).unwrap();
    let start = network::variables(config, weights).unwrap();
    map.set(start.into_iter()).unwrap();
    let variables = map.data().lock().unwrap();
    let of = |shape: LayerShape| ["weight", "bias"].map(|name| format!("{}.{name}", shape.name));
    let names = config.layers().into_iter().flat_map(of);
    let variables = names.map(|name| variables[&name].clone()).collect();
    (network, variables)
}

fn trace(values: &[f32]) -> Tensor {
    Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
}

fn matrix(values: Vec<f32>, columns: usize) -> Tensor {
    let shape = (values.len() / columns, columns);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn model(config: &ModelConfig, members: Vec<Weights>) -> Model {
    Model {
        config: config.clone(),
        levels: vec![Level {
            noise_level: 2,
            members,
        }],
        sha256: String::new(),
        benchmark: None,
        warnings: Vec::new(),
    }
}

/// The rates of these members for a trace, by the operation that inference uses.
fn ensemble_rate(config: &ModelConfig, members: &[Weights], dff: &[f32]) -> Vec<f32> {
    let ensembles = Ensembles::new(model(config, members.to_vec())).unwrap();
    let dff = matrix(dff.to_vec(), dff.len());
    let rates = ensembles.forward(&dff, &[0], &Processors::default());
    values(&rates.unwrap())
}

/// Rule 4.2 and 4.4, literally: the network layer by layer on every window, which is a trace by itself.
fn windowed_rate(config: &ModelConfig, members: &[Weights], dff: &[f32]) -> Vec<f32> {
    let mut rate = vec![f32::NAN; dff.len()];
    let window = |start: usize| &dff[start..start + config.windowsize];
    let starts: Vec<usize> = (0..config.windows(dff.len()))
        .filter(|&start| window(start).iter().all(|value| value.is_finite()))
        .collect();
    if starts.is_empty() {
        return rate;
    }
    let windows = starts.iter().flat_map(|&start| window(start)).copied();
    let windows = matrix(windows.collect(), config.windowsize);
    let mut sums = vec![0.0; starts.len()];
    for member in members {
        let (network, _) = trained(config, member);
        let rates = network.forward(&windows).unwrap();
        assert_eq!(rates.dims(), [starts.len(), 1]);
        let pairs = sums.iter_mut().zip(values(&rates));
        pairs.for_each(|(sum, rate)| *sum += rate);
    }
    for (start, sum) in starts.iter().zip(sums) {
        rate[start + config.frames_before() - 1] = sum / members.len() as f32;
    }
    rate
}

fn assert_close(ours: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    for (frame, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        let close = (ours - expected).abs() <= tolerance || (ours.is_nan() && expected.is_nan());
        assert!(close, "{what}, frame {frame}: {ours}, expected {expected}");
    }
}

/// The same with a tolerance relative to numbers above 1.
fn assert_relatively_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(
            difference <= tolerance * expected.abs().max(1.0),
            "{what}: {found} at {index}, expected {expected}"
        );
    }
}

#[test]
fn rule_4_2_the_trace_gives_what_every_window_by_itself_gives() {
    let mut random = Random::new(1);
    for config in architectures() {
        let members = [random.weights(&config), random.weights(&config)];
        for frames in [
            config.windowsize,
            config.windowsize + 1,
            129,
            130,
            150,
            255,
            256,
            700,
        ] {
            let dff = random.values(frames);
            let rate = ensemble_rate(&config, &members, &dff);
            let what = format!("{:?}, {frames} frames", config.filter_sizes);
            assert_close(&rate, &windowed_rate(&config, &members, &dff), 2e-6, &what);
        }
    }
}

#[test]
fn rule_4_4_a_missing_sample_costs_its_windows_and_no_other() {
    let mut random = Random::new(2);
    let config = config(31, [5, 3, 2], [3, 4, 5], 2);
    let members = [random.weights(&config)];
    let gaps: [&[usize]; 6] = [
        &[0],
        &[299],
        &[100],
        &[100, 101, 110, 131, 132],
        &[0, 40, 200, 299],
        &[30, 61, 268],
    ];
    for gap in gaps {
        let mut dff = random.values(300);
        let missing = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        for (&frame, missing) in gap.iter().zip(missing.iter().cycle()) {
            dff[frame] = *missing;
        }
        let rate = ensemble_rate(&config, &members, &dff);
        let expected = windowed_rate(&config, &members, &dff);
        assert_close(&rate, &expected, 2e-6, &format!("missing {gap:?}"));
    }
}

fn trained_architectures() -> [ModelConfig; 3] {
    [
        config(64, [13, 9, 3], [7, 6, 5], 4),
        config(96, [31, 19, 5], [7, 6, 5], 4),
        config(31, [4, 3, 2], [30, 40, 50], 4),
    ]
}

#[test]
fn rule_4_4_the_forward_pass_of_training_is_that_of_inference() {
    let mut random = Random::new(3);
    for config in trained_architectures() {
        let weights = random.untrained_weights(&config);
        let (layered, _) = trained(&config, &weights);
        let fused = Network::from_weights(&config, &weights).unwrap();
        let dff = trace(&random.noise(300));
        let [ours, expected] = [layered, fused].map(|network| network.forward(&dff).unwrap());
        assert_eq!(ours.dims(), [301 - config.windowsize]);
        assert_relatively_close(&values(&ours), &values(&expected), 1e-6, "rates");
    }
}

#[test]
fn rows_are_evaluated_as_each_by_itself() {
    let mut random = Random::new(4);
    let config = config(31, [5, 3, 2], [3, 4, 5], 2);
    let weights = random.weights(&config);
    let rows = random.values(3 * 200);
    for network in [
        trained(&config, &weights).0,
        Network::from_weights(&config, &weights).unwrap(),
    ] {
        let together = network.forward(&matrix(rows.clone(), 200)).unwrap();
        assert_eq!(together.dims(), [3, 170]);
        let alone = rows.chunks(200).map(|row| network.forward(&trace(row)));
        let alone: Vec<f32> = alone.flat_map(|rates| values(&rates.unwrap())).collect();
        assert_eq!(bits(&values(&together)), bits(&alone));
        assert!(network.forward(&trace(&rows[..30])).is_err(), "no window");
    }
}

#[test]
fn an_ensemble_is_the_mean_of_its_members() {
    let mut random = Random::new(5);
    let config = config(64, [13, 9, 3], [30, 40, 50], 10);
    let members = [random.weights(&config), random.weights(&config)];
    let dff = random.values(700);
    let rates = members.each_ref().map(|weights| {
        let network = Network::from_weights(&config, weights).unwrap();
        values(&network.forward(&trace(&dff)).unwrap())
    });
    let mean = rates[0]
        .iter()
        .zip(&rates[1])
        .map(|(one, other)| (one + other) / 2.0);
    let found = ensemble_rate(&config, &members, &dff);
    let first = config.frames_before() - 1;
    let found = &found[first..][..config.windows(700)];
    assert_eq!(bits(found), bits(&mean.collect::<Vec<_>>()));
}

#[test]
fn a_network_follows_variables_that_are_trained_and_keeps_others() {
    let mut random = Random::new(6);
    let config = config(31, [5, 3, 2], [3, 4, 5], 2);
    let weights = random.weights(&config);
    let (network, variables) = trained(&config, &weights);
    let fixed = Network::from_weights(&config, &weights).unwrap();
    assert!(network.weights().unwrap() == weights && fixed.weights().unwrap() == weights);
    for variable in &variables {
        variable.set(&variable.zeros_like().unwrap()).unwrap();
    }
    let rates = values(&network.forward(&trace(&[1.0; 40])).unwrap());
    assert_eq!(rates, [0.0; 10]);
}

#[test]
fn variables_of_another_shape_are_refused() {
    let mut random = Random::new(7);
    let weights = random.weights(&config(31, [5, 3, 2], [3, 4, 5], 2));
    let other = config(31, [5, 3, 2], [3, 4, 6], 2);
    assert!(Network::from_weights(&other, &weights).is_err());
}

/// Rates of `windows` (count, windowsize) by rule 4.2, of nothing but matrix products and maxima.
fn rates_by_definition(
    config: &ModelConfig,
    variables: &[Var],
    windows: &Tensor,
) -> Result<Tensor> {
    let shapes = config.layers();
    let mut features = windows.unsqueeze(2)?;
    for (layer, pair) in variables.chunks(2).enumerate() {
        let taps = shapes[layer].taps;
        let positions = features.dim(1)? + 1 - taps;
        let shifted = (0..taps).map(|tap| features.narrow(1, tap, positions));
        let patches = Tensor::cat(&shifted.collect::<Result<Vec<_>>>()?, 2)?;
        let kernel = match pair[0].rank() {
            3 => pair[0].permute((2, 1, 0))?.flatten(0, 1)?,
            _ => pair[0].t()?.contiguous()?,
        };
        features = patches.broadcast_matmul(&kernel)?.broadcast_add(&pair[1])?;
        if layer < 4 {
            features = features.relu()?;
        }
        if layer == 1 || layer == 2 {
            let (count, positions, channels) = features.dims3()?;
            let even = features.narrow(1, 0, positions / 2 * 2)?;
            let pairs = even.reshape((count, positions / 2, 2, channels))?;
            let (one, other) = (pairs.narrow(2, 0, 1)?, pairs.narrow(2, 1, 1)?);
            features = one.maximum(&other)?.squeeze(2)?;
        }
    }
    features.flatten_all()
}

#[test]
fn rates_and_gradients_are_those_of_the_definition_window_by_window() {
    let config = config(64, [13, 9, 3], [7, 6, 5], 4);
    let mut random = Random::new(8);
    let (network, variables) = trained(&config, &random.untrained_weights(&config));
    let dff = random.noise(90);
    let windows = config.windows(dff.len());
    let truth = trace(&random.noise(windows));
    let gradients = |rates: &Tensor| {
        let loss = rates.sub(&truth).unwrap().sqr().unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        let of = |variable: &Var| values(gradients.get(variable).unwrap());
        variables.iter().map(of).collect::<Vec<Vec<f32>>>()
    };

    let ours = network.forward(&trace(&dff)).unwrap();
    let rows = (0..windows).flat_map(|at| &dff[at..at + config.windowsize]);
    let rows = matrix(rows.copied().collect(), config.windowsize);
    let expected = rates_by_definition(&config, &variables, &rows).unwrap();
    assert_relatively_close(&values(&ours), &values(&expected), 1e-6, "rates");
    let pairs = gradients(&ours).into_iter().zip(gradients(&expected));
    for (layer, (ours, expected)) in pairs.enumerate() {
        assert_relatively_close(&ours, &expected, 1e-4, &format!("variable {layer}"));
        assert!(ours.iter().any(|gradient| *gradient != 0.0));
    }
}
