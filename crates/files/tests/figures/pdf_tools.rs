//! Other programs' view of a subject's PDF (rule 8.3).

use std::process::Command;

use spikegrid_files::figures::write_pdf;

use crate::recording::{Recording, neuron};

#[test]
fn rule_8_3_pdftotext_and_pdfinfo_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figures.pdf");
    let recording = Recording::new(50, 800, 5);
    let neurons = [neuron(12, 800), neuron(49, 800)];
    write_pdf(&path, &recording.summary(), &neurons).unwrap();

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
