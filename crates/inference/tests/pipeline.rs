//! A work unit from samples to spikes: what is found out about its neurons on the way, and what belongs to the recording.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use spikegrid_core::baseline::{Baseline, DffSettings, Window};
use spikegrid_core::cascade::weights::{Layer, Weights};
use spikegrid_core::cascade::{Level, Model, ModelConfig, PostProcess};
use spikegrid_core::facts;
use spikegrid_core::spikes::row_bytes;
use spikegrid_core::unit::{NeuronFlags, UnitOutput};
use spikegrid_inference::ensembles::Ensembles;
use spikegrid_inference::pipeline::{Pipeline, Recording, Workers};

const NEURONS: usize = 6;
const FRAMES: usize = 400;
const WINDOW: usize = 32;
/// Frames in which all neurons are 0.
const BLANK: [u32; 3] = [200, 201, 202];
/// A neuron that is constant, one without a sample, and one that lost a frame.
const DEAD: usize = 2;
const MISSING: usize = 3;
const LOST: usize = 4;

fn pipeline() -> Pipeline {
    let config = ModelConfig {
        model_name: "test".into(),
        sampling_rate: 2.0,
        noise_levels: vec![2],
        smoothing: 0.5,
        causal_kernel: 0,
        windowsize: WINDOW,
        before_frac: 0.5,
        filter_sizes: [1, 1, 1],
        filter_numbers: [1, 1, 1],
        dense_expansion: 1,
        ensemble_size: 1,
    };
    let weights = Weights::from(config.layers().map(|shape| Layer {
        kernel: vec![0.6; shape.depth() * shape.outputs],
        bias: vec![0.0; shape.outputs],
    }));
    let model = Model {
        config,
        levels: vec![Level {
            noise_level: 2,
            members: vec![weights],
        }],
        sha256: String::new(),
        benchmark: None,
        warnings: Vec::new(),
    };
    Pipeline {
        model: 0,
        ensembles: Ensembles::new(model).expect("weights of the configuration"),
        post: PostProcess::default(),
        seed: 42,
    }
}

/// Samples around 100, (N, T).
fn samples() -> Vec<f32> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut samples: Vec<f32> = (0..NEURONS * FRAMES)
        .map(|_| 95.0 + (random.next_u64() >> 40) as f32 / (1 << 24) as f32 * 10.0)
        .collect();
    for (neuron, trace) in samples.chunks_exact_mut(FRAMES).enumerate() {
        match neuron {
            DEAD => trace.fill(100.0),
            MISSING => trace.fill(f32::NAN),
            _ => {}
        }
        trace[100] = trace[99];
        for frame in BLANK {
            trace[frame as usize] = 0.0;
        }
    }
    samples[LOST * FRAMES + 300] = -1.0;
    samples
}

fn settings() -> DffSettings {
    DffSettings {
        missing: Some(-1.0),
        scale: 0.5,
        ..DffSettings::new(Baseline::Dff, Window::from_half(30))
    }
}

/// Neurons `first..` of these samples, in one unit.
fn computed(dff: DffSettings, first: usize, samples: &[f32]) -> UnitOutput {
    let workers = Workers::new(2).expect("threads");
    let recording = Recording {
        name: "subject_1",
        dff,
        blank_frames: &BLANK,
    };
    let neurons = first..first + samples.len() / FRAMES;
    pipeline().compute(&workers, &recording, neurons, samples.to_vec(), true)
}

#[test]
fn rule_9_3_the_facts_of_a_unit_are_those_of_its_samples_and_results() {
    let samples = samples();
    let unit = computed(settings(), 0, &samples);
    let summary = &unit.summary;
    assert_eq!(summary.blank_frames, BLANK);
    assert_eq!(summary.repeated_frames.frames().collect::<Vec<_>>(), [100]);
    let has = |neuron: usize, flag| summary.facts[neuron].flags.has(flag);
    for neuron in 0..NEURONS {
        let facts = &summary.facts[neuron];
        assert_eq!(
            facts.hash,
            facts::hash(&samples[neuron * FRAMES..][..FRAMES])
        );
        assert_eq!(has(neuron, NeuronFlags::DEAD), neuron == DEAD);
        assert_eq!(has(neuron, NeuronFlags::MISSING), neuron == MISSING);
        let packed = &unit.spikes[neuron * row_bytes(FRAMES)..][..row_bytes(FRAMES)];
        let spikes: u32 = packed.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(facts.spikes, spikes);
        let rate = &unit.rate[neuron * FRAMES..][..FRAMES];
        let rates = rate.iter().filter(|rate| !rate.is_nan());
        let expected: f64 = rates.map(|&rate| f64::from(rate.clamp(0.0, 1.0))).sum();
        assert_eq!(facts.expected_spikes, expected as f32);
    }
    let missing: Vec<u32> = summary.facts.iter().map(|of| of.missing_frames).collect();
    assert_eq!(missing, [0, 0, 0, (FRAMES - BLANK.len()) as u32, 1, 0]);
    // Scaled by 0.5.
    assert!((47.5..48.5).contains(&summary.facts[0].f0_median));
    assert!(summary.facts[MISSING].f0_median.is_nan());
    // Every window that holds one of the blank frames, and those of the lost one.
    let blank = (WINDOW + BLANK.len() - 1) as u32;
    let without_rate = summary.facts.iter().map(|of| of.frames_without_rate);
    let all = (FRAMES - WINDOW) as u32;
    let expected = [0, 0, 0, 0, 32, 0].map(|more| blank + more);
    for (neuron, found) in without_rate.enumerate() {
        let expected = [expected[neuron], all][usize::from(neuron == MISSING)];
        assert_eq!(found, expected, "neuron {neuron}");
    }
    assert_eq!(
        summary.spikes,
        summary
            .facts
            .iter()
            .map(|of| u64::from(of.spikes))
            .sum::<u64>()
    );
}

#[test]
fn rule_9_1_facts_do_not_depend_on_how_neurons_are_cut_into_units() {
    let samples = samples();
    let whole = computed(settings(), 0, &samples);
    for neurons in [1, 4] {
        let mut repeated = None;
        for (unit, samples) in samples.chunks(neurons * FRAMES).enumerate() {
            let first = unit * neurons;
            let part = computed(settings(), first, samples).summary;
            let expected = &whole.summary.facts[first..first + part.facts.len()];
            // NaN is not equal to itself.
            assert_eq!(format!("{:?}", part.facts), format!("{expected:?}"));
            repeated
                .get_or_insert_with(|| part.repeated_frames.clone())
                .intersect(&part.repeated_frames);
        }
        assert_eq!(repeated, Some(whole.summary.repeated_frames.clone()));
    }
}

#[test]
fn rule_3_6_bridged_gaps_have_rates() {
    let samples = samples();
    let bridging = DffSettings {
        bridge_frames: 3,
        ..settings()
    };
    let unit = computed(bridging, 0, &samples);
    for neuron in (0..NEURONS).filter(|&neuron| neuron != MISSING) {
        assert_eq!(
            unit.summary.facts[neuron].frames_without_rate, 0,
            "neuron {neuron}"
        );
        let dff = &unit.dff[neuron * FRAMES..][..FRAMES];
        assert!(dff.iter().all(|dff| dff.is_finite()));
    }
    // The samples are missing all the same.
    assert_eq!(unit.summary.facts[LOST].missing_frames, 1);
}
