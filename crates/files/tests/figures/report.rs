//! What the pages hold (rule 9.5).

use std::time::Instant;

use spikegrid_core::cascade::benchmark::ExpectedCorrelation;
use spikegrid_core::findings::{Code, Finding};
use spikegrid_files::figures::write_pdf;
use spikegrid_files::report::{
    Outcome, RunPage, RunSubject, run_page, subject_page, thinned_activity,
};

use crate::recording::{Recording, neuron};

/// A run in which everything happened, as a page.
pub(crate) fn run() -> String {
    let (warned, failed) = (Recording::with_warnings(), Recording::failed());
    let activity = thinned_activity(warned.summary().spikes_per_frame);
    let opened = |name| RunSubject {
        name,
        outcome: Outcome::Processed,
        error: None,
        findings: &[],
        neurons: 10_000,
        frames: 3000,
        planes: 29,
        spikes: 900_000,
        sampling_rate_hz: Some(2.0),
        expected_correlation: Some(ExpectedCorrelation {
            neurons: 9900,
            median: 0.8437,
            share_above_0_7: 0.734,
        }),
        activity: &activity,
        page: Some(format!("{name}/{name}_report.html")),
    };
    let unopened = |name| RunSubject {
        neurons: 0,
        frames: 0,
        planes: 0,
        spikes: 0,
        sampling_rate_hz: None,
        expected_correlation: None,
        activity: &[],
        page: None,
        ..opened(name)
    };
    let error = Some("TimeSeries.h5: expected the dataset CellResp, found <html>");
    let subjects = [
        opened("subject_1"),
        RunSubject {
            findings: &warned.findings,
            ..opened("subject_2")
        },
        RunSubject {
            outcome: Outcome::Failed,
            findings: &failed.findings,
            ..unopened("subject_3")
        },
        RunSubject {
            outcome: Outcome::Skipped,
            ..opened("subject_<b>ü \"4\"")
        },
        RunSubject {
            outcome: Outcome::Stopped,
            ..unopened("subject_5")
        },
        RunSubject {
            outcome: Outcome::Failed,
            error,
            ..unopened("subject_6")
        },
    ];
    run_page(&RunPage {
        software_version: "0.1.0",
        facts: &[
            ("model", "Global_EXC_2Hz_smoothing500ms".to_owned()),
            ("input", "/data/a&b".to_owned()),
        ],
        subjects: &subjects,
    })
}

/// Checks that elements are closed in their order and that nothing is loaded, and gives the text without the style sheet.
fn checked(page: &str) -> String {
    let (head, body) = page.split_once("</style>").expect("a style sheet");
    let head = head.split_once("<style>").expect("a style sheet").0;
    let markup = format!("{head}{body}");
    for loads in ["<script", "http", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(loads), "{loads}");
    }
    let mut open = Vec::new();
    for tag in markup.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("an end of the tag");
        assert!(!text.contains('>'), "{text}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag
            .split([' ', '/', '\n'])
            .find(|part| !part.is_empty())
            .expect("a name");
        match (tag.starts_with('/'), name) {
            (true, name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            (false, "!DOCTYPE" | "meta" | "br") => {}
            (false, _) if tag.ends_with('/') => {}
            (false, name) => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for reference in markup.split('&').skip(1) {
        let name = reference.split(';').next().unwrap_or_default();
        assert!(["lt", "gt", "amp", "quot"].contains(&name), "&{name}");
    }
    markup
}

fn before(page: &str, first: &str, second: &str) -> bool {
    let place = |words: &str| page.find(words).unwrap_or_else(|| panic!("no {words}"));
    place(first) < place(second)
}

#[test]
fn rule_9_5_a_subject_begins_with_the_verdict_and_the_worst_finding() {
    let warned = Recording::with_warnings();
    let page = checked(&subject_page(&warned.summary(), &[neuron(37, 3000)]));
    assert!(page.contains("2 warnings: read the findings before training."));
    assert!(before(&page, "2 warnings", "frames.blank"));
    assert!(
        before(&page, "frames.blank", "grid.collisions"),
        "warnings before notes"
    );
    assert!(
        before(&page, "grid.collisions", "<svg"),
        "findings before figures"
    );
    for words in [
        "100 neurons · the first is neuron 99 (counted from 0) · share 1 %",
        "6 frames · share 0.2 %",
        "What to do: </strong>These frames count as missing.",
        "dff (auto)",
        "percentile 8 of 30 s windows",
        "Global_EXC_2Hz_smoothing500ms",
        "/data/raw_trace_data_2018/subject_1",
        "12 of 29 z-planes",
        "Neuron 37.",
        "blank frames",
        "model 2 to 9",
    ] {
        assert!(page.contains(words), "{words}");
    }

    let failed = checked(&subject_page(&Recording::failed().summary(), &[]));
    assert!(failed.contains("Failed: do not train on this subject."));
    let mut good = Recording::new(900, 1200, 5);
    let page = checked(&subject_page(&good.summary(), &[]));
    assert!(page.contains("No problem was found.") && !page.contains("Findings"));
    good.findings = vec![Finding::new(Code::Collisions, "Some are lost.", "")];
    let page = checked(&subject_page(&good.summary(), &[]));
    assert!(page.contains("No problem was found.") && page.contains("It has 1 note below."));
}

#[test]
fn rule_9_5_a_run_lists_failures_first() {
    let page = checked(&run());
    assert!(page.contains("2 subjects failed."));
    for pair in [
        "subject_3",
        "subject_6",
        "subject_5",
        "subject_2",
        "subject_1",
    ]
    .windows(2)
    {
        let row = |name: &str| format!("{name}</bdi>");
        assert!(before(&page, &row(pair[0]), &row(pair[1])), "{pair:?}");
    }
    assert!(page.contains("2 warnings, 1 note") && page.contains("see its page"));
    assert!(page.contains("1 subject</strong> complete before: see the pages"));
    assert!(page.contains("href=\"subject_2/subject_2_report.html\""));
    assert!(page.contains("expected the dataset CellResp, found &lt;html&gt;"));
    // What failed has no page of its own, but a section.
    for failed in ["subject_3", "subject_6"] {
        assert!(page.contains(&format!("<a href=\"#{failed}\"><bdi>{failed}</bdi></a>")));
        assert!(page.contains(&format!("<section id=\"{failed}\">")));
    }
    assert!(page.contains("<th scope=\"row\"><bdi>subject_5</bdi></th>"));
    let empty = RunPage {
        software_version: "0.1.0",
        facts: &[],
        subjects: &[],
    };
    assert!(checked(&run_page(&empty)).contains("0 subjects"));
}

#[test]
fn rule_9_5_names_are_shown_as_they_are() {
    let page = checked(&run());
    assert!(page.contains("<bdi>subject_&lt;b&gt;ü &quot;4&quot;</bdi>"));
    let link = "subject_%3Cb%3E%C3%BC%20%224%22/subject_%3Cb%3E%C3%BC%20%224%22_report.html";
    assert!(page.contains(&format!("href=\"{link}\"")));

    let mut recording = Recording::new(30, 400, 2);
    for subject in [
        "subject_</title><script>",
        "subject_\u{7}\u{202e}魚",
        "subject_'a b'&amp;",
        "",
    ] {
        recording.subject = subject.to_owned();
        let page = checked(&subject_page(&recording.summary(), &[]));
        assert!(!page.contains('\u{7}'), "{subject}");
    }
    assert!(checked(&subject_page(&recording.summary(), &[])).contains("<title></title>"));
}

#[test]
fn rule_9_5_odd_recordings_have_a_page() {
    for (neurons, frames, planes) in [(0, 0, 0), (1, 1, 1), (1, 2, 1), (300, 700, 300)] {
        let recording = Recording::new(neurons, frames, planes);
        checked(&subject_page(&recording.summary(), &[neuron(0, frames)]));
    }
    let mut recording = Recording::new(100, 500, 3);
    recording.places = vec![None; 100];
    let page = checked(&subject_page(&recording.summary(), &[]));
    assert!(page.contains("No neuron has a pixel."));
}

#[test]
fn rule_9_5_a_large_subject_is_a_small_page() {
    for planes in [1, 5, 30, 1000] {
        let recording = Recording::new(100_000, 10_000, planes);
        let neurons: Vec<_> = (0..10).map(|n| neuron(n, 10_000)).collect();
        let page = checked(&subject_page(&recording.summary(), &neurons));
        assert!(
            page.len() < 3_000_000,
            "{planes} planes: {} bytes",
            page.len()
        );
    }
}

/// Not a test of speed on a busy machine: it prints what page and PDF cost, and fails where they cost a hundred times as much.
#[test]
fn rule_9_5_page_and_figures_cost_little() {
    let recording = Recording::with_warnings();
    let neurons: Vec<_> = (0..10).map(|n| neuron(n, 3000)).collect();
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let page = subject_page(&recording.summary(), &neurons);
    let page_sec = start.elapsed().as_secs_f64();
    write_pdf(
        &folder.path().join("figures.pdf"),
        &recording.summary(),
        &neurons,
    )
    .unwrap();
    let all_sec = start.elapsed().as_secs_f64();
    println!(
        "page of {} bytes: {page_sec:.4} s; with the PDF: {all_sec:.4} s",
        page.len()
    );
    assert!(all_sec < 10.0, "{all_sec} s");
}
