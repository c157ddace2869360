//! Training against SciPy and hand-made recordings. The network's gradients are tested where it is, in `spikegrid-inference`.

use spikegrid_files::models::folder::parse_config;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use spikegrid_core::cascade::ModelConfig;
use spikegrid_core::cascade::noise::noise_level;

use super::fit;
use super::ground_truth::{self, Dataset, Neuron, Trial};
use super::material::{Batch, Material};
use super::recipe::Recipe;
use super::recording::{self, Recording};
use super::simulated;
use crate::random::Random;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

const NETWORK: &str = "
sampling_rate: 2
noise_levels: [5]
smoothing: 0.5
windowsize: 64
before_frac: 0.5
filter_sizes: [13, 9, 3]
filter_numbers: [7, 6, 5]
dense_expansion: 4
";
const RECIPE: &str = "
training_datasets: [DS1-fast, DS2-slow]
loss_function: mean_squared_error
optimizer: Adagrad
batch_size: 512
";

fn config(changes: &[(&str, &str)]) -> ModelConfig {
    parse_config(&changed(NETWORK, changes), Path::new("config.yaml")).unwrap()
}

fn recipe(more: &str) -> Recipe {
    Recipe::parse(&format!("{RECIPE}{more}"), Path::new("config.yaml")).unwrap()
}

/// `text` with other values for some keys.
fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    let line = |line: &str| {
        let change = changes
            .iter()
            .find(|(key, _)| line.starts_with(&format!("{key}:")));
        change.map_or(line.to_owned(), |(key, value)| format!("{key}: {value}"))
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

fn datasets() -> Vec<Dataset> {
    let mut warnings = Vec::new();
    let read = |name: &&str| {
        ground_truth::read_dataset(&fixture("ground_truth").join(name), &mut warnings).unwrap()
    };
    let datasets = ["DS1-fast", "DS2-slow"].iter().map(read).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    datasets
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(
            difference <= tolerance * expected.abs().max(1.0),
            "{what}: {found} at {index}, expected {expected}"
        );
    }
}

#[derive(Deserialize)]
struct SciPy {
    resample: Vec<Resampled>,
    counts: Vec<f64>,
    gaussian: Vec<Gaussian>,
    causal: Vec<Causal>,
}

#[derive(Deserialize)]
struct Resampled {
    samples: Vec<f64>,
    resampled: Vec<f64>,
}

#[derive(Deserialize)]
struct Gaussian {
    sigma: f64,
    rate: Vec<f32>,
}

#[derive(Deserialize)]
struct Causal {
    sampling_rate: f64,
    smoothing: f64,
    rate: Vec<f32>,
}

fn scipy() -> SciPy {
    let text = std::fs::read_to_string(fixture("training/scipy.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn recordings_are_resampled_as_scipy_does() {
    for case in scipy().resample {
        let resampled = recording::resample(&case.samples, case.resampled.len());
        for (ours, theirs) in resampled.iter().zip(&case.resampled) {
            let lengths = (case.samples.len(), case.resampled.len());
            assert!(
                (ours - theirs).abs() < 1e-12,
                "{lengths:?}: {ours}, expected {theirs}"
            );
        }
    }
}

#[test]
fn spikes_are_smoothed_as_scipy_does() {
    let scipy = scipy();
    for case in &scipy.gaussian {
        let smoothing = (case.sigma / 2.0).to_string();
        let config = config(&[("smoothing", &smoothing)]);
        let rate = recording::smooth(&scipy.counts, &config);
        assert_close(&rate, &case.rate, 1e-6, "Gaussian");
    }
    for case in &scipy.causal {
        let config = ModelConfig {
            sampling_rate: case.sampling_rate,
            smoothing: case.smoothing,
            causal_kernel: 1,
            ..config(&[])
        };
        let rate = recording::smooth(&scipy.counts, &config);
        assert_close(&rate, &case.rate, 1e-6, "causal");
    }
}

/// A recording at 2 Hz of a spike at each of `seconds`.
fn neuron(seconds: usize, spikes: &[f64]) -> Neuron {
    let random = &mut Random::stream(5, 0);
    let dff = (0..2 * seconds)
        .map(|_| 0.01 * f64::from(random.normal()))
        .collect();
    let trial = Trial {
        dff,
        frame_rate: 2.0,
        spikes: spikes.to_vec(),
    };
    Neuron {
        name: "neuron".into(),
        trials: vec![trial],
    }
}

fn recordings(neuron: &Neuron, config: &ModelConfig) -> Vec<Recording> {
    recording::of_neuron(neuron, config, 1.0, 0.0, true)
}

#[test]
fn a_spike_counts_in_the_frame_nearest_to_it() {
    let config = config(&[("smoothing", "0")]);
    let recording = &recordings(
        &neuron(60, &[0.0, 0.26, 10.0, 10.24, 59.7, 90.0, -3.0]),
        &config,
    )[0];
    let spikes: Vec<(usize, f32)> = recording
        .rate
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, n)| *n > 0.0)
        .collect();
    assert_eq!(spikes, [(0, 1.0), (1, 1.0), (20, 2.0), (119, 1.0)]);
}

#[test]
fn rule_4_3_added_noise_brings_a_recording_to_the_noise_level() {
    let config = config(&[]);
    for dataset in datasets() {
        let quiet = recordings(&dataset.neurons[0], &config).remove(0);
        for target in [8.0, 20.0] {
            let (least, most) = quiet.noise_range(target, &config).unwrap();
            assert!(0.0 < least && least <= most, "{least} to {most}");
            let random = &mut Random::stream(6, 0);
            let mut levels = Vec::new();
            for _ in 0..50 {
                let samples = quiet.dff.iter().zip(&quiet.photon_noise);
                let noisy: Vec<f32> = samples
                    .map(|(dff, photon)| dff + least * photon * random.normal())
                    .collect();
                levels.push(f64::from(spikegrid_core::cascade::noise::noise_level(
                    &noisy,
                    2.0,
                    &mut Vec::new(),
                )));
            }
            let mean = levels.iter().sum::<f64>() / levels.len() as f64;
            assert!(
                (mean / target - 1.0).abs() < 0.06,
                "{mean}, expected {target}"
            );
        }
        assert!(
            quiet.noise_range(0.01, &config).is_none(),
            "louder than the level"
        );
    }
}

#[test]
fn trials_shorter_than_a_window_stand_one_after_the_other() {
    let (config, datasets) = (config(&[]), datasets());
    let joined = recordings(&datasets[0].neurons[0], &config);
    let frames: Vec<usize> = joined.iter().map(|recording| recording.dff.len()).collect();
    assert_eq!(frames, [360, 40 + 50]);
    let apart = recording::of_neuron(&datasets[0].neurons[0], &config, 1.0, 0.0, false);
    assert_eq!(apart.len(), 1);
}

#[test]
fn a_step_holds_windows_of_one_recording_with_the_rate_of_rule_4_4() {
    let config = config(&[("smoothing", "0"), ("before_frac", "0.25")]);
    // ΔF/F that tells its frame, and a rate that does so too
    let mut neuron = neuron(500, &[]);
    let trial = &mut neuron.trials[0];
    for (frame, dff) in trial.dff.iter_mut().enumerate() {
        *dff = frame as f64 * 1e3;
        let spikes = vec![frame as f64 / 2.0; frame % 7];
        trial.spikes.extend(spikes);
    }
    let dataset = Dataset {
        name: "DS".into(),
        neurons: vec![neuron],
    };
    let recipe = recipe("amplitude_spread: 0");
    let mut material = Material::new(&[dataset], &config, &recipe);
    material.without_noise();
    let material = material.at_level(5).unwrap();
    let mut batch = Batch::default();
    let random = &mut Random::stream(7, 0);
    let mut seen = 0;
    for _ in 0..20 {
        material.draw(random, &mut batch);
        assert_eq!(batch.trace.len(), 512 + 63);
        assert_eq!((batch.rate.len(), batch.weight.len()), (512, 512));
        assert_eq!(
            batch.weight.iter().filter(|weight| **weight > 0.0).count(),
            batch.windows
        );
        for window in (0..512).filter(|&window| batch.weight[window] > 0.0) {
            let frames = &batch.trace[window..window + 64];
            assert!(
                frames.windows(2).all(|pair| pair[1] - pair[0] == 1e3),
                "one recording"
            );
            // before_frac 0.25: the window begins int(0.25 · 64) - 1 = 15 frames before its frame
            let frame = (frames[15] / 1e3) as usize;
            assert_eq!(batch.rate[window], (frame % 7) as f32);
            seen += 1;
        }
    }
    assert!(seen > 20 * 512 / 3, "{seen} windows");
}

#[test]
fn weights_have_a_mean_of_one_and_fall_with_the_variance_of_the_rate() {
    let config = config(&[]);
    for recipe in [
        recipe(""),
        recipe("variance_weighting: 0.5\ndataset_balance: 0.5\ntime_stretch: 0.1"),
    ] {
        let material = Material::new(&datasets(), &config, &recipe);
        let material = material.at_level(8).unwrap();
        let random = &mut Random::stream(8, 0);
        let mut batch = Batch::default();
        let (mut sum, mut count) = (0.0, 0);
        for _ in 0..400 {
            material.draw(random, &mut batch);
            sum += batch
                .weight
                .iter()
                .map(|&weight| f64::from(weight))
                .sum::<f64>();
            count += batch.windows;
        }
        let mean = sum / count as f64;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
        let mut weights: Vec<f32> = batch
            .weight
            .iter()
            .copied()
            .filter(|weight| *weight > 0.0)
            .collect();
        weights.dedup();
        let equal = weights.iter().all(|&weight| weight == weights[0]);
        assert_eq!(equal, recipe.variance_weighting == 0.0);
    }
}

#[test]
fn absolute_errors_weigh_like_squared_ones_times_the_deviation_of_the_rate() {
    let config = config(&[]);
    let mut datasets = datasets();
    datasets.truncate(1);
    datasets[0].neurons.truncate(1);
    let recordings = recordings(&datasets[0].neurons[0], &config);
    let recipe = recipe("absolute_error: 2");
    let material = Material::new(&datasets, &config, &recipe);
    let mut batch = Batch::default();
    let level = material.at_level(8).unwrap();
    level.draw(&mut Random::stream(9, 0), &mut batch);
    let deviations = recordings
        .iter()
        .map(|recording| recording.rate_variance().max(0.01).sqrt())
        .collect::<Vec<_>>();
    for (&weight, &absolute) in batch.weight.iter().zip(&batch.absolute_weight) {
        let expected = |deviation: &f32| (absolute - 2.0 * deviation * weight).abs() < 1e-5;
        assert!(
            deviations.iter().any(expected),
            "{absolute} beside {weight}"
        );
    }
    assert!(batch.absolute_weight.iter().any(|&weight| weight > 0.0));
}

#[test]
fn noise_reaches_its_level_at_any_amplitude() {
    let config = config(&[]);
    let deviation = |more: &str| {
        // a recording of noise alone
        let mut neuron = neuron(4000, &[100.0]);
        let random = &mut Random::stream(10, 0);
        let trial = &mut neuron.trials[0];
        trial.dff.fill_with(|| 0.05 * f64::from(random.normal()));
        let dataset = Dataset {
            name: "DS".into(),
            neurons: vec![neuron],
        };
        let material = Material::new(&[dataset], &config, &recipe(more));
        let (mut batch, mut squares, mut count) = (Batch::default(), 0.0, 0.0);
        for _ in 0..100 {
            let level = material.at_level(20).unwrap();
            level.draw(random, &mut batch);
            let samples = batch.trace.iter().filter(|&&sample| sample != 0.0);
            squares += samples.clone().map(|sample| sample * sample).sum::<f32>();
            count += samples.count() as f32;
        }
        (squares / count).sqrt()
    };
    let plain = deviation("");
    let scaled = deviation("amplitude_spread: 0.3");
    assert!((scaled / plain - 1.0).abs() < 0.03, "{scaled}, {plain}");
    let spread = deviation("noise_spread: 0.5");
    // the mean square of a factor between e^-0.5 and e^0.5, of the noise that is added
    assert!(
        spread / plain > 1.04 && spread / plain < 1.1,
        "{spread}, {plain}"
    );
}

#[test]
fn a_level_without_a_quiet_recording_is_refused() {
    let config = config(&[]);
    let material = Material::new(&datasets(), &config, &recipe(""));
    let error = material.at_level(0).err().unwrap().to_string();
    assert!(error.starts_with("noise level 0: no recording"), "{error}");
}

#[test]
fn training_goes_down_and_gives_the_same_weights_for_the_same_seed() {
    let config = config(&[]);
    let recipe = recipe("training_frames: 40000\nlearning_rate: 0.03");
    let material = Material::new(&datasets(), &config, &recipe);
    let material = material.at_level(5).unwrap();
    let train = |seed| {
        let mut losses = Vec::new();
        let fitted = fit::fit(
            &config,
            &recipe,
            &material,
            &mut Random::stream(seed, 1),
            |_, loss| {
                losses.push(loss);
                true
            },
        );
        (losses, fitted.unwrap().unwrap())
    };
    let (losses, fitted) = train(1);
    assert!(
        fitted.loss < 0.75 * losses[..10].iter().sum::<f32>() / 10.0,
        "{losses:?}, then {}",
        fitted.loss
    );
    assert_eq!(train(1).1.weights, fitted.weights);
    assert_ne!(train(2).1.weights, fitted.weights);
    let stopped = fit::fit(
        &config,
        &recipe,
        &material,
        &mut Random::stream(1, 1),
        |_, _| false,
    );
    assert!(stopped.unwrap().is_none());
}

#[test]
fn recipes_that_train_nothing_are_refused() {
    for (key, value, expected) in [
        (
            "optimizer",
            "Adam",
            "optimizer: expected Adagrad, found Adam",
        ),
        (
            "loss_function",
            "mae",
            "loss_function: expected mean_squared_error, found mae",
        ),
        (
            "training_datasets",
            "[]",
            "training_datasets: expected at least one",
        ),
        ("batch_size", "0", "batch_size: expected 1 to"),
        ("noise_spread", "2", "noise_spread: expected 0 to 1"),
        ("absolute_error", "-1", "absolute_error: expected 0 to 100"),
        ("simulated_part", "2", "simulated_part: expected 0 to 1"),
    ] {
        let rest = RECIPE.lines().filter(|line| !line.starts_with(key));
        let text = rest.collect::<Vec<_>>().join("\n") + &format!("\n{key}: {value}\n");
        let error = Recipe::parse(&text, Path::new("c.yaml"))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    let text = format!("{RECIPE}learning_rate: .nan\n");
    let error = Recipe::parse(&text, Path::new("c.yaml"))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("learning_rate: expected a number above 0"),
        "{error}"
    );
}

/// A dataset of one neuron with a trial of 600 s at 10 Hz and these spikes.
fn ten_minutes(spikes: &[f64]) -> Dataset {
    let trial = Trial {
        dff: vec![0.0; 6000],
        frame_rate: 10.0,
        spikes: spikes.to_vec(),
    };
    Dataset {
        name: "DS".into(),
        neurons: vec![Neuron {
            name: "neuron".into(),
            trials: vec![trial; 8],
        }],
    }
}

#[test]
fn simulated_recordings_have_the_length_asked_for_and_are_those_of_the_seed() {
    let dataset = ten_minutes(&[100.0, 300.0]);
    let simulated = |part, seed| simulated::of_dataset(&dataset, part, seed);
    for (part, trials) in [(0.05, 1..=1), (0.5, 3..=6), (1.0, 6..=8)] {
        let found = &simulated(part, 1).neurons[0].trials;
        assert!(trials.contains(&found.len()), "{part}: {}", found.len());
    }
    let values = |seed| simulated(0.05, seed).neurons[0].trials[0].dff.clone();
    assert!(values(1) == values(1));
    assert!(values(1) != values(2));
    // Trials of less than 20 s are left out, and neurons without others.
    let mut short = ten_minutes(&[]);
    short.neurons[0].trials[0].dff.truncate(199);
    short.neurons[0].trials.truncate(1);
    assert!(simulated::of_dataset(&short, 1.0, 1).neurons.is_empty());
}

#[test]
fn simulated_fluorescence_rises_with_spikes_and_has_little_noise() {
    let bursts = [60.0, 60.05, 60.1, 60.15, 300.0, 300.05, 300.1, 300.15];
    let mut rises = Vec::new();
    for seed in 0..20 {
        let simulated = simulated::of_dataset(&ten_minutes(&bursts), 0.01, seed);
        let trial = &simulated.neurons[0].trials[0];
        assert_eq!(trial.spikes.len(), bursts.len());
        let mean = |from: f64| {
            let frame = (from * trial.frame_rate) as usize;
            trial.dff[frame..frame + 30].iter().sum::<f64>() / 30.0
        };
        let ends = [trial.spikes[3], trial.spikes[7]];
        rises.extend(ends.map(|end| mean(end + 0.05) - mean(end - 2.0)));
        let dff: Vec<f32> = trial.dff.iter().map(|&dff| dff as f32).collect();
        let level = noise_level(&dff, trial.frame_rate, &mut Vec::new());
        assert!((0.25..1.7).contains(&level), "{seed}: {level}");
    }
    // Some indicators are too dim for one burst to stand out of the noise.
    rises.sort_unstable_by(f64::total_cmp);
    assert!(
        rises[4] > 0.0 && (0.1..1.0).contains(&rises[20]),
        "{rises:?}"
    );
}

#[test]
fn simulated_recordings_change_the_identity_of_members_and_their_absence_does_not() {
    let identity = |more: &str| {
        let recipe = recipe(&format!("training_frames: 100000\n{more}"));
        recipe.provenance(&config(&[]), &datasets())
    };
    // As the program wrote it into a member before there were simulated recordings.
    let before = "c6fca2eb4420e4e8400855520e1abe07e29540e8b7ba5f8d1e1dff97252d6678";
    assert_eq!(identity(""), before);
    assert_eq!(identity("simulated_part: 0\n"), before);
    assert_ne!(identity(""), identity("simulated_part: 0.25\n"));
    assert_ne!(
        identity("simulated_part: 0.5\n"),
        identity("simulated_part: 0.25\n")
    );
}

#[test]
fn ground_truth_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let message = || {
        let error = ground_truth::read_dataset(dir.path(), &mut Vec::new());
        error.err().unwrap().to_string()
    };
    assert!(
        message().contains("expected MAT-files of neurons"),
        "{}",
        message()
    );
    std::fs::write(dir.path().join("cell.mat"), b"nothing").unwrap();
    assert!(message().contains("cell.mat"), "{}", message());
    let mat = fixture("ground_truth/DS1-fast/CAttached_neuron0_mini.mat");
    let mut bytes = std::fs::read(mat).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(dir.path().join("cell.mat"), bytes).unwrap();
    assert!(message().contains("breaks off"), "{}", message());
}
