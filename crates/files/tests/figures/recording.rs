//! A recording with everything in it, owned so that a `Summary` can borrow from it.

use spikegrid_core::cascade::benchmark::ExpectedCorrelation;
use spikegrid_core::findings::{Code, Finding, Severity};
use spikegrid_core::grid::Place;
use spikegrid_core::unit::NeuronFacts;
use spikegrid_files::figures::{NeuronTraces, Summary};

pub(crate) struct Recording {
    pub(crate) subject: String,
    pub(crate) frames: usize,
    is_train: Vec<u8>,
    pub(crate) z_values: Vec<f64>,
    pub(crate) places: Vec<Option<Place>>,
    noise_levels: Vec<f32>,
    facts: Vec<NeuronFacts>,
    spikes_per_frame: Vec<u32>,
    pub(crate) blank_frames: Vec<u32>,
    collisions: Vec<(Place, u64)>,
    pub(crate) findings: Vec<Finding>,
    input_files: Vec<String>,
}

/// Numbers in [0, 1) that look random, the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Recording {
    /// A brain of `planes` ellipses. One neuron of a hundred has no position.
    pub(crate) fn new(neurons: usize, frames: usize, planes: usize) -> Self {
        let mut noise = Noise(7);
        let mut place = |neuron: usize| {
            let (angle, radius) = (noise.next() * std::f64::consts::TAU, noise.next().sqrt());
            let (x, y) = (
                0.5 + 0.5 * radius * angle.cos(),
                0.5 + 0.5 * radius * angle.sin(),
            );
            (neuron % 100 != 99).then_some(Place {
                plane: neuron * planes / neurons,
                row: (x * 255.0) as usize,
                column: (y * 127.0) as usize,
            })
        };
        let places: Vec<_> = (0..neurons).map(&mut place).collect();
        let mut sorted: Vec<Place> = places.iter().flatten().copied().collect();
        sorted.sort_unstable();
        let shared = sorted
            .chunk_by(|a, b| a == b)
            .filter(|pixel| pixel.len() > 1);
        let collisions = shared
            .map(|shared| (shared[0], (shared.len() as u64).pow(4) / 8))
            .collect();
        let fact = |_| {
            let expected_spikes = (frames as f64 * 0.3 * noise.next().powi(3)) as f32;
            NeuronFacts {
                expected_spikes,
                clipped_spikes: 0.004 * expected_spikes,
                ..NeuronFacts::default()
            }
        };
        let facts: Vec<NeuronFacts> = (0..neurons).map(fact).collect();
        let level =
            |_| (1.0 + 6.0 * noise.next() * noise.next() + 2.0 * noise.next().powi(6)) as f32;
        let noise_levels = (0..neurons).map(level).collect();
        let spikes = |frame: usize| {
            let wave = 1.0 + (frame as f64 / 90.0).sin() + if frame % 400 < 9 { 4.0 } else { 0.0 };
            (neurons as f64 * 0.03 * wave * (0.6 + 0.8 * noise.next())) as u32
        };
        Self {
            subject: "subject_1".to_owned(),
            frames,
            is_train: (0..frames)
                .map(|t| u8::from(!(330..660).contains(&t)))
                .collect(),
            z_values: (0..planes).map(|plane| plane as f64 * 8.0).collect(),
            places,
            noise_levels,
            facts,
            spikes_per_frame: (0..frames).map(spikes).collect(),
            blank_frames: Vec::new(),
            collisions,
            findings: Vec::new(),
            input_files: vec!["/data/raw_trace_data_2018/subject_1/TimeSeries.h5".to_owned()],
        }
    }

    /// A recording of which a reader has to be warned.
    pub(crate) fn with_warnings() -> Self {
        let mut recording = Self::new(10_000, 3000, 29);
        recording.blank_frames = vec![500, 501, 502, 503, 1900, 2400];
        let mut blank = Finding::new(
            Code::BlankFrames,
            "6 of 3000 frames are exactly 0 in all 10,000 neurons.",
            "These frames count as missing. Use --bridge_gaps 2 to fill gaps of at most 2 s.",
        );
        (blank.frames, blank.share) = (6, 0.002);
        let mut positions = Finding::new(
            Code::MissingPositions,
            "100 of 10,000 neurons have no position (NaN in CellXYZ).",
            "These neurons are in no grid. Repair CellXYZ, or leave them out of TimeSeries.h5.",
        );
        (positions.neurons, positions.share, positions.first_neuron) = (100, 0.01, Some(99));
        let mut collisions = Finding::new(
            Code::Collisions,
            "0.9 % of the spikes are lost because two neurons of a plane share a pixel.",
            "Nothing has to be done below 5 %.",
        );
        collisions.share = 0.009;
        recording.findings = vec![collisions, positions, blank];
        recording
    }

    /// A recording that has no unit.
    pub(crate) fn failed() -> Self {
        let mut recording = Self::new(900, 1200, 5);
        let mut scored = Finding::new(
            Code::ZScored,
            "The traces look z-scored: 8th percentile −0.94, noise level 1,200 % per √Hz, standard deviation 1.00.",
            "Give the raw fluorescence, or ΔF/F with --baseline none.",
        );
        (
            scored.severity,
            scored.neurons,
            scored.share,
            scored.first_neuron,
        ) = (Severity::Failure, 900, 1.0, Some(0));
        recording.findings = vec![scored];
        recording
    }

    pub(crate) fn summary(&self) -> Summary<'_> {
        Summary {
            subject: &self.subject,
            cascade_model: "Global_EXC_2Hz_smoothing500ms",
            neurons: self.places.len(),
            frames: self.frames,
            sampling_rate_hz: 2.0,
            window_sec: 30.0,
            percentile: 8.0,
            baseline: "dff (auto)",
            threshold: "1",
            seed: 42,
            is_train: &self.is_train,
            z_values: &self.z_values,
            places: &self.places,
            noise_levels: &self.noise_levels,
            expected_correlation: Some(ExpectedCorrelation {
                neurons: 850,
                median: 0.8437,
                share_above_0_7: 0.734,
            }),
            model_noise_levels: (2, 9),
            facts: &self.facts,
            padding: [32, 32],
            spikes_per_frame: &self.spikes_per_frame,
            blank_frames: &self.blank_frames,
            collisions: &self.collisions,
            marker_spikes: 12,
            input_files: &self.input_files,
            software_version: "0.1.0",
            findings: &self.findings,
        }
    }
}

/// A neuron with transients that decay, without a rate in the first and last 32 frames.
pub(crate) fn neuron(neuron: usize, frames: usize) -> NeuronTraces {
    let mut noise = Noise(neuron as u64 + 1);
    let (mut dff, mut spikes, mut level) = (Vec::new(), Vec::new(), 0.0);
    for frame in 0..frames {
        let spike = noise.next() < if frame % 300 < 40 { 0.2 } else { 0.01 };
        level = 0.8 * level + if spike { 0.4 } else { 0.0 };
        dff.push((level + 0.1 * noise.next()) as f32);
        spikes.push(u8::from(spike));
    }
    let padded = |t: usize| t < 32 || t + 32 >= frames;
    let rate = |t: usize| match padded(t) {
        true => f32::NAN,
        false => 0.7 * f32::from(spikes[t]) + 0.01,
    };
    NeuronTraces {
        neuron,
        noise_level: 3.25,
        model_noise_level: 3,
        rate: (0..frames).map(rate).collect(),
        dff,
        spikes,
    }
}
