use super::*;
use crate::findings::{Code, Severity, of_length, sort};

const NEURONS: usize = 200;

/// A recording of 200 neurons in 1,000 frames about which nothing is to be said.
struct Fine {
    facts: Vec<NeuronFacts>,
    noise_levels: Vec<f32>,
    frames: usize,
    blank_frames: Vec<u32>,
    repeated_frames: usize,
    model_rate_hz: f64,
    baseline: Baseline,
    percentile: f64,
    missing: Option<f32>,
}

impl Fine {
    fn new() -> Self {
        let facts = |neuron: u64| NeuronFacts {
            hash: neuron,
            f0_median: 400.0,
            expected_spikes: 100.0,
            largest_rate: 0.9,
            spikes: 97,
            ..NeuronFacts::default()
        };
        Self {
            facts: (0..NEURONS as u64).map(facts).collect(),
            noise_levels: vec![3.0; NEURONS],
            frames: 1_000,
            blank_frames: Vec::new(),
            repeated_frames: 0,
            model_rate_hz: 2.0,
            baseline: Baseline::Dff,
            percentile: 8.0,
            missing: None,
        }
    }

    /// With the first so many neurons changed.
    fn with(count: usize, change: impl Fn(&mut NeuronFacts)) -> Self {
        let mut fine = Self::new();
        fine.facts[..count].iter_mut().for_each(change);
        fine
    }

    fn flagged(count: usize, flag: NeuronFlags) -> Self {
        Self::with(count, |facts| facts.flags.set(flag, true))
    }

    fn noisy(count: usize, noise_level: f32) -> Self {
        let mut fine = Self::new();
        fine.noise_levels[..count].fill(noise_level);
        fine
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = of_neurons(&Computed {
            facts: &self.facts,
            noise_levels: &self.noise_levels,
            model_noise_levels: (2, 8),
            frames: self.frames,
            windowsize: 64,
            model_rate_hz: self.model_rate_hz,
            baseline: self.baseline,
            percentile: self.percentile,
            missing: self.missing,
            repeated_frames: self.repeated_frames,
            blank_frames: &self.blank_frames,
        });
        findings.extend(of_length(self.frames, 64));
        sort(&mut findings);
        findings
    }

    fn codes(&self) -> Vec<Code> {
        self.findings().iter().map(|finding| finding.code).collect()
    }

    /// The only finding.
    #[track_caller]
    fn only(&self, code: Code) -> Finding {
        let found = self.findings();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].code, code);
        found[0].clone()
    }
}

#[test]
fn rule_9_3_nothing_is_said_of_a_fine_recording() {
    assert_eq!(Fine::new().codes(), []);
    assert_eq!(
        Fine {
            baseline: Baseline::None,
            ..Fine::new()
        }
        .codes(),
        []
    );
}

#[test]
fn rule_9_3_flags_of_neurons_matter_from_their_share_on() {
    // (flag, code, fewest of 200 neurons)
    let limits = [
        (NeuronFlags::CLIPPED, Code::Clipped, 2),
        (NeuronFlags::ZEROS, Code::Zeros, 2),
        (NeuronFlags::NEAR_ZERO, Code::NearZero, 2),
        (NeuronFlags::DRIFT, Code::Drift, 20),
        (NeuronFlags::DEAD, Code::DeadNeurons, 1),
        (NeuronFlags::MISSING, Code::MissingNeurons, 1),
    ];
    for (flag, code, fewest) in limits {
        let found = Fine::flagged(fewest, flag).only(code);
        assert_eq!(
            (found.neurons, found.first_neuron),
            (fewest as u64, Some(0)),
            "{code}"
        );
        assert_eq!(found.share, fewest as f64 / NEURONS as f64);
        assert_eq!(Fine::flagged(fewest - 1, flag).codes(), [], "{code}");
    }
}

#[test]
fn rule_9_3_f0_far_below_rest_matters_by_noise_rate_and_percentile() {
    // At 2 Hz and the 8th percentile, ΔF/F at rest is 0.15 at a noise level of 7.2.
    let found = Fine::noisy(10, 7.3).only(Code::Low);
    assert_eq!(found.neurons, 10);
    assert!(found.advice.contains("--percentile 50"), "{}", found.advice);
    assert_eq!(Fine::noisy(10, 7.1).codes(), []);
    assert_eq!(Fine::noisy(9, 7.3).codes(), []);

    // At 30 Hz, at 1.86.
    let fast = || Fine {
        model_rate_hz: 30.0,
        ..Fine::new()
    };
    assert_eq!(fast().only(Code::Low).neurons, NEURONS as u64);
    let of_median = Fine {
        percentile: 50.0,
        ..fast()
    };
    assert_eq!(of_median.codes(), []);
    let without_f0 = Fine {
        baseline: Baseline::None,
        ..fast()
    };
    assert_eq!(without_f0.codes(), []);
}

#[test]
fn rule_9_3_zeros_are_usual_in_dff() {
    for baseline in [Baseline::Subtract, Baseline::None] {
        let zeros = Fine::flagged(NEURONS, NeuronFlags::ZEROS);
        assert_eq!(Fine { baseline, ..zeros }.codes(), []);
    }
}

#[test]
fn rule_9_3_a_median_noise_level_below_three_tenths_is_denoised() {
    let codes = [Code::Denoised, Code::NoiseBelowModel];
    assert_eq!(Fine::noisy(NEURONS, 0.29).codes(), codes);
    assert_eq!(Fine::noisy(NEURONS, 0.3).codes(), [Code::NoiseBelowModel]);
    assert!(
        !Fine::noisy(NEURONS / 2 - 1, 0.1)
            .codes()
            .contains(&Code::Denoised)
    );
}

#[test]
fn rule_9_3_dead_neurons_have_no_noise_level() {
    let mut dead = Fine::flagged(150, NeuronFlags::DEAD);
    dead.noise_levels[..150].fill(0.0);
    dead.only(Code::DeadNeurons);
}

#[test]
fn rule_9_3_baselines_of_0_or_below_matter_from_1_percent_of_the_frames_on() {
    let found = Fine::with(1, |facts| facts.f0_not_positive = 10).only(Code::NotPositive);
    assert_eq!((found.neurons, found.frames), (1, 10));
    assert_eq!(
        Fine::with(NEURONS, |facts| facts.f0_not_positive = 9).codes(),
        []
    );
}

#[test]
fn rule_9_3_blank_frames_are_counted() {
    let found = Fine {
        blank_frames: vec![17, 18, 900],
        ..Fine::new()
    }
    .only(Code::BlankFrames);
    assert_eq!((found.frames, found.share, found.neurons), (3, 0.003, 200));
    assert_eq!(
        found.message,
        "All neurons are 0 in 3 of 1,000 frames (0.3 %), first in frame 17."
    );
    let all = Fine {
        blank_frames: (0..1_000).collect(),
        ..Fine::new()
    }
    .only(Code::BlankFrames);
    assert_eq!(all.message, "All neurons are 0 in all 1,000 frames.");
}

#[test]
fn rule_9_3_missing_samples_are_counted_unless_all_of_a_neuron_are() {
    let found = Fine::with(3, |facts| facts.missing_frames = 20).only(Code::MissingSamples);
    assert_eq!((found.neurons, found.frames, found.share), (3, 20, 0.015));
    let message = "3 of 200 neurons (1.5 %) have missing samples: 60 in all, 0.03 % of those of all neurons, and up to 20 in one neuron.";
    assert_eq!(found.message, message);
    let all = Fine::with(3, |facts| {
        facts.missing_frames = 1_000;
        facts.flags.set(NeuronFlags::MISSING, true);
    });
    all.only(Code::MissingNeurons);
}

#[test]
fn rule_9_3_repeated_frames_matter_from_a_thousandth_on() {
    let repeated = |repeated_frames, frames| Fine {
        repeated_frames,
        frames,
        ..Fine::new()
    };
    let found = repeated(1, 1_001).only(Code::RepeatedFrames);
    assert_eq!((found.frames, found.share), (1, 0.001));
    assert_eq!(repeated(1, 1_002).codes(), []);
}

#[test]
fn rule_9_3_few_neurons_repeat_a_frame_by_chance() {
    let mut few = Fine {
        repeated_frames: 30,
        ..Fine::new()
    };
    few.facts.truncate(5);
    few.noise_levels.truncate(5);
    few.only(Code::RepeatedFrames);
    few.facts[0].flags.set(NeuronFlags::DEAD, true);
    few.only(Code::DeadNeurons);
}

#[test]
fn rule_9_3_frames_without_a_rate_are_counted() {
    let found = Fine::with(2, |facts| facts.frames_without_rate = 74).only(Code::NoRate);
    assert_eq!((found.neurons, found.frames), (2, 74));
    assert!(
        found.advice.contains("up to an end of the recording"),
        "{found}"
    );
    assert!(
        found.message.contains("up to 74 in one neuron, 0.07 %"),
        "{found}"
    );
}

#[test]
fn rule_9_3_gaps_are_to_be_bridged_only_where_something_can_be_bridged() {
    let advice = |change: fn(&mut NeuronFacts)| {
        let with = Fine::with(1, |facts| {
            facts.frames_without_rate = 74;
            change(facts);
        });
        with.only(Code::NoRate).advice
    };
    assert!(!advice(|_| ()).contains("--bridge_gaps"));
    let not_positive = advice(|facts| facts.f0_not_positive = 9);
    assert!(
        not_positive.contains("baseline is 0 or below") && !not_positive.contains("--bridge_gaps")
    );
    let gaps = advice(|facts| (facts.f0_not_positive, facts.gap_frames) = (9, 1));
    assert!(gaps.contains("--bridge_gaps"), "{gaps}");
}

#[test]
fn rule_3_6_a_value_of_missing_samples_that_no_sample_has_is_noted() {
    let mut fine = Fine {
        missing: Some(-1.0),
        ..Fine::new()
    };
    let found = fine.only(Code::AbsentValue);
    assert_eq!(found.severity, Severity::Note);
    fine.facts[7].marked_frames = 1;
    assert_eq!(fine.codes(), []);
}

#[test]
fn rule_9_3_recordings_shorter_than_the_window_are_short() {
    let found = Fine {
        frames: 63,
        ..Fine::new()
    }
    .only(Code::Short);
    assert!(
        found
            .message
            .contains("63 frames are fewer than the model's window of 64"),
        "{found}"
    );
    assert_eq!(
        Fine {
            frames: 64,
            ..Fine::new()
        }
        .codes(),
        []
    );
}

#[test]
fn rule_9_3_few_frames_tell_nothing_of_noise_and_copies() {
    let mut few = Fine::with(NEURONS, |facts| facts.hash = 7);
    few.noise_levels.fill(0.1);
    for frames in [1, 2, 3, 15] {
        few.frames = frames;
        few.only(Code::Short);
    }
    few.frames = 16;
    assert_eq!(
        few.codes(),
        [Code::Denoised, Code::Short, Code::RepeatedNeurons]
    );
}

#[test]
fn rule_9_3_neurons_with_the_samples_of_another_are_counted() {
    let found = Fine::with(2, |facts| facts.hash = 7).only(Code::RepeatedNeurons);
    // neuron 7 has that hash as well
    assert_eq!((found.neurons, found.first_neuron), (3, Some(0)));
    let dead = |facts: &mut NeuronFacts| {
        facts.hash = 7_000;
        facts.flags.set(NeuronFlags::DEAD, true);
    };
    Fine::with(3, dead).only(Code::DeadNeurons);
}

#[test]
fn rule_9_3_noise_above_the_model_matters_from_5_percent_of_the_neurons_on() {
    let noisy = |count, noise_level| Fine {
        percentile: 50.0,
        ..Fine::noisy(count, noise_level)
    };
    let found = noisy(10, 9.1).only(Code::NoiseAboveModel);
    assert_eq!((found.neurons, found.share), (10, 0.05));
    assert!(
        found
            .message
            .contains("above 9, more than 1 above the model's highest"),
        "{found}"
    );
    assert_eq!(noisy(9, 9.1).codes(), []);
    assert_eq!(noisy(NEURONS, 9.0).codes(), []);
    let found = Fine {
        baseline: Baseline::None,
        ..Fine::noisy(NEURONS, 1_200.0)
    }
    .only(Code::NoiseAboveModel);
    assert!(found.advice.contains("--baseline dff"), "{found}");
}

#[test]
fn rule_9_3_noise_below_the_model_matters_from_5_percent_of_the_neurons_on() {
    let found = Fine::noisy(10, 0.9).only(Code::NoiseBelowModel);
    assert_eq!((found.neurons, found.share), (10, 0.05));
    assert_eq!(Fine::noisy(9, 0.9).codes(), []);
    assert_eq!(Fine::noisy(NEURONS, 1.0).codes(), []);
    assert_eq!(Fine::noisy(NEURONS, f32::NAN).codes(), []);
}

#[test]
fn rule_9_3_rates_above_5_spikes_per_frame_are_implausible() {
    let found = Fine::with(1, |facts| facts.largest_rate = 165.2).only(Code::ImplausibleRates);
    assert!(found.message.contains("the largest is 170"), "{found}");
    assert_eq!(
        Fine::with(NEURONS, |facts| facts.largest_rate = 5.0).codes(),
        []
    );
}

#[test]
fn rule_9_3_clipped_rates_are_a_note_below_5_percent_of_the_expected_spikes() {
    let clipped = |clipped: f32| {
        Fine::with(NEURONS, |facts| {
            facts.expected_spikes = 95.0;
            facts.clipped_spikes = clipped;
        })
    };
    let found = clipped(5.0).only(Code::ClippedRates);
    assert_eq!((found.severity, found.share), (Severity::Warning, 0.05));
    assert_eq!(
        clipped(4.9).only(Code::ClippedRates).severity,
        Severity::Note
    );
    assert_eq!(clipped(0.0).codes(), []);
}

#[test]
fn rule_9_3_a_subject_without_a_spike_is_told() {
    Fine::with(NEURONS, |facts| facts.spikes = 0).only(Code::NoSpikes);
    assert_eq!(
        Fine::with(NEURONS - 1, |facts| facts.spikes = 0).codes(),
        []
    );
}

#[test]
fn rule_9_3_a_recording_without_samples_says_so_once() {
    let mut lost = Fine::with(NEURONS, |facts| {
        *facts = NeuronFacts::default();
        facts.missing_frames = 1_000;
        facts.frames_without_rate = 936;
        facts.f0_median = f32::NAN;
        facts.flags.set(NeuronFlags::MISSING, true);
    });
    lost.noise_levels.fill(f32::NAN);
    assert_eq!(
        lost.codes(),
        [Code::NoRate, Code::MissingNeurons, Code::NoSpikes]
    );
    assert!(
        lost.findings()[1]
            .message
            .starts_with("All 200 neurons have no sample")
    );
}

/// Every message is one sentence and every advice one or two, and each begins with a capital or a number.
#[test]
fn rule_9_1_messages_and_advice_are_sentences() {
    let mut all = Fine::with(NEURONS, |facts| {
        facts.missing_frames = 3;
        facts.frames_without_rate = 9;
        facts.f0_not_positive = 100;
        facts.largest_rate = 9.0;
        facts.clipped_spikes = 9.0;
        facts.spikes = 0;
        for flag in [
            NeuronFlags::CLIPPED,
            NeuronFlags::ZEROS,
            NeuronFlags::NEAR_ZERO,
            NeuronFlags::DRIFT,
        ] {
            facts.flags.set(flag, true);
        }
    });
    all.facts[0].flags.set(NeuronFlags::DEAD, true);
    all.facts[1].flags.set(NeuronFlags::MISSING, true);
    all.facts[2].hash = all.facts[3].hash;
    all.noise_levels[..50].fill(0.1);
    all.noise_levels[150..].fill(20.0);
    (all.blank_frames, all.repeated_frames) = (vec![3], 30);
    let found = all.findings();
    assert_eq!(found.len(), 18, "{:?}", all.codes());
    for finding in found {
        let sentences = |text: &str| text.matches(". ").count() + usize::from(text.ends_with('.'));
        assert_eq!(sentences(&finding.message), 1, "{finding}");
        assert!((1..=2).contains(&sentences(&finding.advice)), "{finding}");
        let first = finding.message.chars().next();
        assert!(
            first.is_some_and(|first| first.is_uppercase() || first.is_ascii_digit()),
            "{finding}"
        );
    }
}
