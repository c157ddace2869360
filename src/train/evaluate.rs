//! How well a model infers the spike rates of ground truth.
//!
//! Per neuron, over the frames that have a rate, with `r` the inferred and `s` the true smoothed spike rate, as in
//! Rupprecht et al. 2021, negative rates set to 0: correlation of `r` and `s`; relative error `Σ|r - s| / Σs`; relative bias `Σ(r - s) / Σs`.

use std::fmt::Write;
use std::path::PathBuf;

use rayon::prelude::*;
use spikegrid_core::cascade::{PostProcess, Threshold};
use spikegrid_files::models;
use spikegrid_inference::ensembles::Ensembles;

use super::TrainingError;
use super::ground_truth::{self, Dataset, Neuron};
use super::recipe::training_datasets;
use super::recording;
use crate::models::{Place, named};
use crate::random::Random;

/// Least frames with a rate that are worth a correlation.
const LEAST_FRAMES: usize = 32;
/// Lags at which the correlation is looked for, in frames either way.
const LAGS: i64 = 3;

/// What `evaluate` reads and writes.
#[derive(Debug, clap::Args)]
pub struct EvaluateArgs {
    /// Folder of ground-truth datasets
    #[arg(long, value_name = "DIR")]
    pub ground_truth: PathBuf,
    /// Datasets to evaluate on [default: those that the model was trained on]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub datasets: Vec<String>,
    /// Noise levels to bring the recordings to
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        default_value = "2,5,10"
    )]
    pub noise_levels: Vec<i32>,
    /// Move the spike rates this many frames later
    #[arg(long, value_name = "FRAMES", default_value_t = 0)]
    pub shift_frames: i64,
    /// File for the neurons' figures, as tab-separated values
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Name of an installed model, or folder of any
    pub model: PathBuf,
    /// Where to look
    #[command(flatten)]
    pub place: Place,
}

/// How well the spike rate of a neuron is inferred.
#[derive(Clone, Debug)]
struct Score {
    neuron: String,
    correlation: f64,
    error: f64,
    bias: f64,
    /// By how many frames the inferred rate is late, where the correlation is largest.
    lag: i64,
}

/// Evaluates the model and prints a table of medians over neurons.
///
/// # Errors
/// A model or ground truth that can't be read, an output that can't be written.
pub fn run(args: &EvaluateArgs) -> Result<(), TrainingError> {
    let model = named(&args.model, &args.place)?;
    let ensembles = Ensembles::new(models::load(&model)?)?;
    let names = match args.datasets.is_empty() {
        false => args.datasets.clone(),
        true => training_datasets(&model).unwrap_or_default(),
    };
    let mut warnings = Vec::new();
    let datasets = names
        .iter()
        .map(|name| ground_truth::read_dataset(&args.ground_truth.join(name), &mut warnings))
        .collect::<Result<Vec<_>, _>>()?;
    warnings
        .iter()
        .for_each(|warning| eprintln!("warning: {warning}"));

    let mut table = "noise_level\tdataset\tneuron\tcorrelation\terror\tbias\tlag\n".to_owned();
    say!(
        "{:>11}  {:<40} {:>7} {:>11} {:>7} {:>7} {:>4}",
        "noise level",
        "dataset",
        "neurons",
        "correlation",
        "error",
        "bias",
        "lag"
    );
    for &level in &args.noise_levels {
        let mut all = Vec::new();
        for dataset in &datasets {
            let scores = scores(&ensembles, dataset, f64::from(level), args.shift_frames);
            print_medians(level, &dataset.name, &scores);
            for score in &scores {
                let _ = writeln!(
                    table,
                    "{level}\t{}\t{}\t{:.5}\t{:.5}\t{:.5}\t{}",
                    dataset.name,
                    score.neuron,
                    score.correlation,
                    score.error,
                    score.bias,
                    score.lag
                );
            }
            all.extend(scores);
        }
        print_medians(level, "all", &all);
    }
    match &args.output {
        None => Ok(()),
        Some(path) => std::fs::write(path, table).map_err(|source| TrainingError::Io {
            path: path.clone(),
            source,
        }),
    }
}

fn print_medians(level: i32, dataset: &str, scores: &[Score]) {
    print!("{level:>11}  {dataset:<40} {:>7} ", scores.len());
    if scores.is_empty() {
        say!("(none that is long and quiet enough and spikes)");
        return;
    }
    let of = |figure: fn(&Score) -> f64| median(scores.iter().map(figure).collect());
    say!(
        "{:>11.3} {:>7.3} {:>+7.3} {:>4}",
        of(|score| score.correlation),
        of(|score| score.error),
        of(|score| score.bias),
        of(|score| score.lag as f64),
    );
}

/// The scores of the neurons of `dataset` that can be brought to the noise level `level`, as CASCADE does it, and that
/// have enough frames and any spikes.
fn scores(ensembles: &Ensembles, dataset: &Dataset, level: f64, shift_frames: i64) -> Vec<Score> {
    let neurons = dataset.neurons.par_iter().enumerate();
    neurons
        .filter_map(|(index, neuron)| score(ensembles, neuron, index, level, shift_frames))
        .collect()
}

fn score(
    ensembles: &Ensembles,
    neuron: &Neuron,
    index: usize,
    level: f64,
    shift_frames: i64,
) -> Option<Score> {
    let config = ensembles.config();
    let post = PostProcess {
        threshold: Threshold::Zero,
        shift_frames,
    };
    let mut random = Random::stream(0, index as u64);
    let (mut inferred, mut truth) = (Vec::new(), Vec::new());
    for recording in recording::of_neuron(neuron, config, 1.0, 0.0, false) {
        let Some(noise) = recording.noise_for_measured_level(level, config) else {
            continue;
        };
        let samples = recording.dff.iter().zip(&recording.photon_noise);
        let dff: Vec<f32> = samples
            .map(|(dff, photon_noise)| dff + noise as f32 * photon_noise * random.normal())
            .collect();
        let frames = dff.len();
        let (rate, _) = ensembles
            .infer(dff, frames, &post)
            .expect("one row of these frames");
        for (rate, &true_rate) in rate.into_iter().zip(&recording.rate) {
            if !rate.is_nan() {
                inferred.push(f64::from(rate));
                truth.push(f64::from(true_rate));
            }
        }
    }
    let spikes: f64 = truth.iter().sum();
    if truth.len() < LEAST_FRAMES || spikes <= 0.0 {
        return None;
    }
    let differences = || {
        inferred
            .iter()
            .zip(&truth)
            .map(|(rate, truth)| rate - truth)
    };
    let at_lag = |lag: i64| {
        let (late, early) = (lag.max(0) as usize, (-lag).max(0) as usize);
        let frames = truth.len() - late - early;
        correlation(&inferred[late..][..frames], &truth[early..][..frames])
    };
    Some(Score {
        neuron: neuron.name.clone(),
        correlation: at_lag(0),
        error: differences().map(f64::abs).sum::<f64>() / spikes,
        bias: differences().sum::<f64>() / spikes,
        lag: (-LAGS..=LAGS)
            .max_by(|&one, &other| at_lag(one).total_cmp(&at_lag(other)))
            .unwrap_or_default(),
    })
}

/// Pearson's correlation; 0 of a constant.
fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let (mut both, mut of_one, mut of_other) = (0.0, 0.0, 0.0);
    for (one, other) in one.iter().zip(other) {
        let (one, other) = (one - mean_one, other - mean_other);
        both += one * other;
        of_one += one * one;
        of_other += other * other;
    }
    match of_one > 0.0 && of_other > 0.0 {
        true => both / (of_one * of_other).sqrt(),
        false => 0.0,
    }
}

/// Median of at least one value.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}
