//! Other programs' view of a subject's PDF (rule 8.3).
//!
//! This test has a process of its own because it starts programs: HDF5 opens files so that a started program inherits them, with
//! their locks, and unit tests that write HDF5 files at that moment could not open them again.

use std::path::Path;
use std::process::Command;

use spikegrid_files::figures::{NeuronTraces, Summary, write_pdf};

const NEURONS: usize = 50;
const FRAMES: usize = 800;

/// A neuron whose traces go up and down, without a rate in the first and last 32 frames.
fn neuron(neuron: usize) -> NeuronTraces {
    let wave = |t: usize| ((t * 7919 + neuron) % 101) as f32 / 101.0;
    let padded = |t: usize| t < 32 || t + 32 >= FRAMES;
    let rate = |t: usize| if padded(t) { f32::NAN } else { wave(t) / 4.0 };
    NeuronTraces {
        neuron,
        noise_level: 3.25,
        model_noise_level: 3,
        dff: (0..FRAMES).map(wave).collect(),
        rate: (0..FRAMES).map(rate).collect(),
        spikes: (0..FRAMES)
            .map(|t| u8::from(!padded(t) && t % 23 == 0))
            .collect(),
    }
}

fn write(path: &Path) {
    let positions: Vec<[f64; 3]> = (0..NEURONS)
        .map(|n| [n * 37 % 500, n * 91 % 250, n % 5].map(|coordinate| coordinate as f64))
        .collect();
    let noise_levels: Vec<f32> = (0..NEURONS).map(|n| 1.0 + (n % 17) as f32).collect();
    let spikes_per_frame: Vec<u32> = (0..FRAMES).map(|t| (t * 13 % 29) as u32).collect();
    let is_train: Vec<u8> = (0..FRAMES)
        .map(|t| u8::from(!(330..660).contains(&t)))
        .collect();
    let summary = Summary {
        subject: "subject_1",
        cascade_model: "Global_EXC_2Hz_smoothing500ms",
        neurons: NEURONS,
        frames: FRAMES,
        sampling_rate_hz: 2.0,
        window_sec: 30.0,
        percentile: 8.0,
        baseline: "dff",
        threshold: "1",
        seed: 42,
        is_train: &is_train,
        z_values: &[0.0, 1.0, 2.0, 3.0, 4.0],
        neurons_per_plane: &[10; 5],
        positions: &positions,
        pixels: &[],
        noise_levels: &noise_levels,
        model_noise_levels: Some((1, 9)),
        facts: &[],
        padded_frames: 64,
        spikes_per_frame: &spikes_per_frame,
        blank_frames: &[],
        collisions: &[],
        marker_spikes: 0,
        input_files: &[],
        software_version: "0.1.0",
        findings: &[],
    };
    write_pdf(path, &summary, &[neuron(12), neuron(49)]).unwrap();
}

#[test]
fn rule_8_3_pdftotext_and_pdfinfo_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figures.pdf");
    write(&path);

    let output_of = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).arg(&path).args(arguments).output();
        match output {
            Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(_) => {
                eprintln!("NOT CHECKED: {program} (poppler-utils) is not installed");
                None
            }
        }
    };
    if let Some(text) = output_of("pdftotext", &["-"]) {
        for words in [
            "Neuron 12 (subject_1)",
            "Neuron 49 (subject_1)",
            "ΔF/F",
            "√Hz",
        ] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
    }
    if let Some(info) = output_of("pdfinfo", &[]) {
        let pages = info.lines().find(|line| line.starts_with("Pages:"));
        assert!(pages.is_some_and(|line| line.ends_with(" 3")), "{info}");
    }
}
