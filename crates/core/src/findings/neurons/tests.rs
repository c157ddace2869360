use super::*;

const NEURONS: usize = 200;
const FRAMES: usize = 1000;

/// 200 healthy neurons, each with samples of its own.
fn facts() -> Vec<NeuronFacts> {
    let neuron = |hash| NeuronFacts {
        hash,
        f0_median: 400.0,
        expected_spikes: 40.0,
        largest_rate: 1.0,
        spikes: 40,
        ..NeuronFacts::default()
    };
    (0..NEURONS as u64).map(neuron).collect()
}

fn computed<'a>(facts: &'a [NeuronFacts], noise_levels: &'a [f32]) -> Computed<'a> {
    Computed {
        facts,
        noise_levels,
        model_noise_levels: (2, 8),
        frames: FRAMES,
        windowsize: 64,
        baseline: Baseline::Dff,
        repeated_frames: 0,
        blank_frames: &[],
    }
}

/// The finding of a code where `change` was made to the first `neurons` neurons.
fn found(code: Code, neurons: usize, change: impl Fn(&mut NeuronFacts)) -> Option<Finding> {
    let mut all = facts();
    all[..neurons].iter_mut().for_each(change);
    finding(&computed(&all, &[3.0; NEURONS]), code)
}

fn finding(computed: &Computed, code: Code) -> Option<Finding> {
    let mut found = of_neurons(computed).into_iter();
    found.find(|finding| finding.code == code)
}

/// A finding of a code there is from `least` neurons on.
fn from(code: Code, least: usize, change: impl Fn(&mut NeuronFacts)) {
    let finding = found(code, least, &change).unwrap_or_else(|| panic!("no {code}"));
    assert_eq!(finding.neurons, least as u64, "{code}");
    assert_eq!(finding.first_neuron, Some(0), "{code}");
    assert_eq!(finding.share, least as f64 / NEURONS as f64, "{code}");
    let words = format!("{least} of 200 neurons");
    assert!(finding.message.contains(&words), "{}", finding.message);
    assert!(finding.message.ends_with('.') && finding.advice.ends_with('.'));
    assert_eq!(found(code, least - 1, &change), None, "{code}");
}

#[test]
fn rule_9_3_healthy_neurons_are_no_finding() {
    assert_eq!(of_neurons(&computed(&facts(), &[3.0; NEURONS])), []);
    assert_eq!(of_neurons(&computed(&facts(), &[1.0; NEURONS])), []);
    assert_eq!(of_neurons(&computed(&facts(), &[9.0; NEURONS])), []);
}

#[test]
fn rule_9_3_findings_of_single_neurons_have_a_least_share() {
    let flag = |flag| move |facts: &mut NeuronFacts| facts.flags.set(flag, true);
    from(Code::Clipped, 2, flag(NeuronFlags::CLIPPED));
    from(Code::Zeros, 2, flag(NeuronFlags::ZEROS));
    from(Code::NearZero, 2, flag(NeuronFlags::NEAR_ZERO));
    from(Code::Drift, 20, flag(NeuronFlags::DRIFT));
    from(Code::DeadNeurons, 1, flag(NeuronFlags::DEAD));
    from(Code::MissingNeurons, 1, flag(NeuronFlags::MISSING));
    from(Code::NotPositive, 1, |facts| facts.f0_not_positive = 10);
    assert_eq!(
        found(Code::NotPositive, 9, |facts| facts.f0_not_positive = 9),
        None
    );
    from(Code::ImplausibleRates, 1, |facts| facts.largest_rate = 5.01);
    assert_eq!(
        found(Code::ImplausibleRates, 9, |facts| facts.largest_rate = 5.0),
        None
    );
}

#[test]
fn rule_9_3_missing_samples_and_frames_without_rate_are_counted() {
    from(Code::MissingSamples, 1, |facts| facts.missing_frames = 3);
    let gaps = found(Code::MissingSamples, 4, |facts| facts.missing_frames = 3);
    assert_eq!(gaps.expect("a finding").frames, 12);
    let all_missing = |facts: &mut NeuronFacts| {
        facts.missing_frames = FRAMES as u32;
        facts.flags.set(NeuronFlags::MISSING, true);
    };
    assert_eq!(found(Code::MissingSamples, 4, all_missing), None);
    from(Code::NoRate, 1, |facts| facts.frames_without_rate = 5);
}

#[test]
fn rule_9_3_repeated_neurons_are_those_that_an_earlier_one_equals() {
    let same = |facts: &mut NeuronFacts| facts.hash = 7;
    let finding = found(Code::RepeatedNeurons, 3, same).expect("a finding");
    // Neuron 7 has that hash, too.
    assert_eq!((finding.neurons, finding.first_neuron), (3, Some(1)));
    let dead = |facts: &mut NeuronFacts| {
        facts.hash = 900;
        facts.flags.set(NeuronFlags::DEAD, true);
    };
    assert_eq!(found(Code::RepeatedNeurons, 3, dead), None);
}

#[test]
fn rule_9_3_blank_and_repeated_frames() {
    let facts = facts();
    let mut recording = computed(&facts, &[3.0; NEURONS]);
    recording.blank_frames = &[17];
    let blank = finding(&recording, Code::BlankFrames).expect("a finding");
    assert!(
        blank.message.contains("1 of 1,000 frames (0.1 %)") && blank.message.contains("frame 17")
    );
    recording.repeated_frames = 1;
    let repeated = finding(&recording, Code::RepeatedFrames).expect("a finding");
    assert_eq!(repeated.frames, 1);
    recording.frames = 1002;
    assert_eq!(finding(&recording, Code::RepeatedFrames), None);
}

#[test]
fn rule_9_3_noise_beyond_the_model() {
    let facts = facts();
    let with = |neurons: usize, level: f32, code| {
        let mut levels = [3.0; NEURONS];
        levels[..neurons].fill(level);
        finding(&computed(&facts, &levels), code).map(|finding| finding.neurons)
    };
    assert_eq!(with(10, 9.1, Code::NoiseAboveModel), Some(10));
    assert_eq!(with(9, 9.1, Code::NoiseAboveModel), None);
    assert_eq!(with(100, 9.0, Code::NoiseAboveModel), None);
    assert_eq!(with(10, 0.9, Code::NoiseBelowModel), Some(10));
    assert_eq!(with(9, 0.9, Code::NoiseBelowModel), None);
    assert_eq!(with(100, 1.0, Code::NoiseBelowModel), None);
    assert_eq!(with(200, f32::NAN, Code::NoiseAboveModel), None);
    assert_eq!(with(101, 0.29, Code::Denoised), Some(200));
    assert_eq!(with(99, 0.29, Code::Denoised), None);
}

#[test]
fn rule_9_3_clipped_rates_are_a_note_and_from_5_percent_a_warning() {
    // 200 neurons expect 40 spikes each.
    let clipped = |spikes: f32| found(Code::ClippedRates, 1, |facts| facts.clipped_spikes = spikes);
    assert_eq!(clipped(0.0), None);
    assert_eq!(clipped(400.0).expect("a note").severity, Severity::Note);
    let warning = clipped(440.0).expect("a warning");
    assert_eq!(warning.severity, Severity::Warning);
    assert!((warning.share - 440.0 / 8440.0).abs() < 1e-9);
}

#[test]
fn rule_9_3_no_spike_at_all() {
    let silent = |facts: &mut NeuronFacts| facts.spikes = 0;
    assert!(found(Code::NoSpikes, NEURONS, silent).is_some());
    assert_eq!(found(Code::NoSpikes, NEURONS - 1, silent), None);
}
