//! Rule 8.3 on whole files, read back without a PDF library: the cross-reference table, then the inflated pages.

use std::io::Read;

use spikegrid_core::findings::{Code, Finding};
use spikegrid_files::figures::{NeuronTraces, Summary, write_pdf};

use crate::recording::{Recording, neuron};

/// The bytes of the PDF.
fn document(summary: &Summary, neurons: &[NeuronTraces]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figures.pdf");
    write_pdf(&path, summary, neurons).unwrap();
    std::fs::read(path).unwrap()
}

/// Checks the cross-reference table and gives the texts shown on each page, decoded as Latin-1.
fn pages(pdf: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(pdf);
    let at = |offset: usize| String::from_utf8_lossy(&pdf[offset..(offset + 20).min(pdf.len())]);
    assert!(pdf.starts_with(b"%PDF-1.7") && pdf.trim_ascii_end().ends_with(b"%%EOF"));
    let start = text
        .rsplit("startxref")
        .next()
        .and_then(|tail| tail.split_whitespace().next());
    let start: usize = start
        .and_then(|offset| offset.parse().ok())
        .expect("startxref");
    assert!(at(start).starts_with("xref"));
    let table = String::from_utf8_lossy(&pdf[start..]).into_owned();
    let entries = table
        .lines()
        .skip(2)
        .take_while(|line| !line.starts_with("trailer"));
    for (number, entry) in entries
        .enumerate()
        .filter(|(_, entry)| entry.contains(" n"))
    {
        let offset: usize = entry[..10].parse().expect("an offset of ten digits");
        let object = at(offset);
        assert!(
            object.starts_with(&format!("{number} 0 obj")),
            "{number}: {object}"
        );
    }
    let count = text.matches("/Type /Page\n").count();
    assert!(text.contains(&format!("/Count {count}")));

    let streams = find_all(pdf, b"/FlateDecode");
    let pages: Vec<_> = streams
        .into_iter()
        .map(|place| shown_texts(&inflate(&pdf[place..])))
        .collect();
    assert_eq!(pages.len(), count);
    pages
}

fn find_all(haystack: &[u8], needle: &[u8]) -> Vec<usize> {
    let windows = haystack.windows(needle.len()).enumerate();
    windows
        .filter(|(_, window)| *window == needle)
        .map(|(place, _)| place)
        .collect()
}

/// The operands of the operators that show text: strings in parentheses or hexadecimal.
fn shown_texts(content: &[u8]) -> Vec<String> {
    let latin = |bytes: &[u8]| -> String { bytes.iter().map(|&byte| char::from(byte)).collect() };
    let lines = content.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| line.strip_suffix(b" Tj"))
        .map(|operand| match operand {
            [b'(', text @ .., b')'] => unescaped(&latin(text)),
            [b'<', text @ .., b'>'] => {
                let nibble = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
                let pairs = text.chunks(2);
                let bytes: Vec<u8> = pairs
                    .map(|pair| nibble(pair[0]) << 4 | nibble(pair[1]))
                    .collect();
                latin(&bytes)
            }
            _ => panic!("not a string: {}", String::from_utf8_lossy(operand)),
        })
        .collect()
}

/// A literal string without the backslashes that protect parentheses and backslashes.
fn unescaped(literal: &str) -> String {
    let mut characters = literal.chars();
    let next = || match characters.next() {
        Some('\\') => characters.next(),
        character => character,
    };
    std::iter::from_fn(next).collect()
}

fn shows(page: &[String], words: &str) -> bool {
    page.iter().any(|text| text == words)
}

fn inflate(from_dictionary: &[u8]) -> Vec<u8> {
    let data = find_all(
        &from_dictionary[..100.min(from_dictionary.len())],
        b"stream\n",
    )[0] + 7;
    let mut content = Vec::new();
    flate2::read::ZlibDecoder::new(&from_dictionary[data..])
        .read_to_end(&mut content)
        .expect("a zlib stream");
    content
}

#[test]
fn rule_8_3_text_finds_the_neuron_numbers() {
    let mut recording = Recording::new(2000, 1000, 5);
    let (found, advice) = (
        "6 of 3000 frames are 0 in all neurons.",
        "They count as missing.",
    );
    recording.findings = vec![Finding::new(Code::BlankFrames, found, advice)];
    let neurons = [neuron(7, 1000), neuron(1234, 1000), neuron(0, 1000)];
    let pages = pages(&document(&recording.summary(), &neurons));
    assert_eq!(pages.len(), 1 + neurons.len());
    assert!(shows(&pages[0], "subject_1"));
    assert!(shows(
        &pages[0],
        "frames.blank: 6 of 3000 frames are 0 in all neurons. They count as missing."
    ));
    for (page, number) in pages[1..].iter().zip([7, 1234, 0]) {
        assert!(shows(page, &format!("Neuron {number} (subject_1)")));
        for axis in ["time (s)", "spike rate (spikes / frame)", "D", "F/F"] {
            assert!(shows(page, axis), "{axis}");
        }
    }
}

#[test]
fn rule_8_3_the_same_recording_gives_the_same_bytes() {
    let recording = Recording::new(300, 700, 5);
    let neurons = [neuron(5, 700)];
    let first = document(&recording.summary(), &neurons);
    assert_eq!(first, document(&recording.summary(), &neurons));
    assert!(
        find_all(&first, b"Date").is_empty(),
        "a date would change the bytes"
    );
}

#[test]
fn rule_8_3_the_axis_says_what_the_traces_are() {
    let recording = Recording::new(3, 100, 5);
    for (baseline, plotted) in [("subtract", "F "), ("none", "F/F (as given)")] {
        let summary = Summary {
            baseline,
            ..recording.summary()
        };
        let pages = pages(&document(&summary, &[neuron(0, 100)]));
        assert!(shows(&pages[1], plotted), "{baseline}");
    }
}

#[test]
fn rule_8_3_any_unicode_is_a_subject() {
    let mut recording = Recording::new(3, 100, 5);
    for (subject, plotted) in [
        ("魚\u{7}\u{202e}", "???"),
        ("(\\", "(\\"),
        ("", "Parameters"),
    ] {
        recording.subject = subject.to_owned();
        let pages = pages(&document(&recording.summary(), &[neuron(0, 100)]));
        assert!(shows(&pages[0], plotted), "{subject}: {:?}", pages[0]);
    }
    recording.subject = "🐟".repeat(100_000);
    let pages = pages(&document(&recording.summary(), &[neuron(0, 100)]));
    assert!(pages[0][0].starts_with("???") && pages[0][0].len() < 200);
}

#[test]
fn rule_8_3_a_trace_without_data_is_a_page_that_says_so() {
    let recording = Recording::new(1, 200, 5);
    let nan = || vec![f32::NAN; 200];
    let silent = NeuronTraces {
        rate: nan(),
        spikes: vec![0; 200],
        ..neuron(0, 200)
    };
    let empty = NeuronTraces {
        dff: nan(),
        noise_level: f32::NAN,
        ..silent.clone()
    };
    let constant = NeuronTraces {
        dff: vec![3.0; 200],
        rate: vec![0.0; 200],
        ..silent.clone()
    };
    let pages = pages(&document(&recording.summary(), &[silent, empty, constant]));
    assert!(shows(
        &pages[1],
        "no spike rate: recording shorter than the network's window"
    ));
    assert!(shows(&pages[2], "no values in this trace"));
    assert!(
        pages[2]
            .iter()
            .any(|text| text.contains("noise level not defined"))
    );
    assert!(
        shows(&pages[3], "no spikes")
            && !pages[3].iter().any(|text| text.contains("no spike rate"))
    );
}

#[test]
fn rule_8_3_extreme_recordings_give_a_valid_file() {
    for (neurons, frames) in [(0, 0), (1, 1), (1, 2), (3, 100_000)] {
        let recording = Recording::new(neurons, frames, 5);
        let bytes = document(&recording.summary(), &[neuron(0, frames)]);
        assert_eq!(pages(&bytes).len(), 2, "{neurons} neurons, {frames} frames");
    }
    let recording = Recording::new(1, 4, 5);
    for values in [
        [f32::MAX, f32::MIN, 0.0, 1.0],
        [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0],
        [f32::MIN_POSITIVE; 4],
        [-1e-20, 1e-20, 0.0, -0.0],
    ] {
        let traces = NeuronTraces {
            dff: values.to_vec(),
            rate: values.to_vec(),
            ..neuron(0, 4)
        };
        for sampling_rate_hz in [2.0, 0.0, f64::NAN] {
            let summary = Summary {
                sampling_rate_hz,
                ..recording.summary()
            };
            let bytes = document(&summary, std::slice::from_ref(&traces));
            assert_eq!(
                pages(&bytes).len(),
                2,
                "{values:?} at {sampling_rate_hz} Hz"
            );
        }
    }
}

#[test]
fn rule_8_3_a_large_subject_stays_a_small_file() {
    let recording = Recording::new(100_000, 10_000, 5);
    let bytes = document(&recording.summary(), &[neuron(1, 10_000)]);
    let content = pages(&bytes);
    assert!(shows(&content[0], "at most 1600 pixels each"));
    assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
}

#[test]
fn an_unwritable_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent").join("figures.pdf");
    let recording = Recording::new(1, 1, 5);
    let error = write_pdf(&path, &recording.summary(), &[]).unwrap_err();
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
}
