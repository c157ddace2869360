//! The pages of rule 9.5: what they hold, and how a browser shows them.
//!
//! This test has a process of its own because it starts programs, see `pdf_tools.rs`.

mod recording;

use recording::Recording;
use spikegrid_files::report::{
    Outcome, RunPage, RunSubject, run_page, subject_page, thinned_activity,
};

#[test]
fn try_out() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, page: String| {
        println!("{name} {}", page.len());
        std::fs::write(folder.join(name), page).unwrap()
    };
    let warned = Recording::with_warnings();
    let neurons: Vec<_> = (0..10).map(|n| warned.neuron(n * 37)).collect();
    let start = std::time::Instant::now();
    let page = subject_page(&warned.summary(), &neurons).unwrap();
    println!("{:?}", start.elapsed());
    write("warned.html", page);
    let good = Recording::new(900, 1200, 5);
    write(
        "good.html",
        subject_page(&good.summary(), &[good.neuron(3)]).unwrap(),
    );
    spikegrid_files::figures::write_pdf(&folder.join("warned.pdf"), &warned.summary(), &neurons)
        .unwrap();
    let failed = Recording::failed();
    write("failed.html", subject_page(&failed.summary(), &[]).unwrap());
    let huge = Recording::new(100_000, 10_000, 30);
    let neurons: Vec<_> = (0..10).map(|n| huge.neuron(n * 37)).collect();
    let start = std::time::Instant::now();
    let page = subject_page(&huge.summary(), &neurons).unwrap();
    println!("{:?}", start.elapsed());
    write("huge.html", page);
    let warned_summary = warned.summary();
    let activity = thinned_activity(warned_summary.spikes_per_frame);
    let subject = |name, outcome, findings, error| RunSubject {
        name,
        outcome,
        error,
        findings,
        neurons: 10_000,
        frames: 3000,
        planes: 29,
        spikes: 900_000,
        sampling_rate_hz: Some(2.0),
        activity: &activity,
        page: Some(format!("{name}/{name}_report.html")),
    };
    let mut unopened = subject(
        "subject_<b>ä \"3\"",
        Outcome::Failed,
        &[],
        Some("TimeSeries.h5: expected the dataset CellResp, found an HTML page"),
    );
    unopened = RunSubject {
        neurons: 0,
        frames: 0,
        activity: &[],
        page: None,
        sampling_rate_hz: None,
        ..unopened
    };
    let run = RunPage {
        software_version: "0.1.0",
        facts: &[
            ("Model", "Global_EXC_2Hz_smoothing500ms".to_owned()),
            ("Input folder", "/data/raw_trace_data_2018".to_owned()),
            ("Baseline", "auto".to_owned()),
        ],
        findings: &[],
        subjects: &[
            subject("subject_1", Outcome::Processed, &[], None),
            subject("subject_2", Outcome::Processed, &warned.findings, None),
            unopened,
            RunSubject {
                activity: &[],
                ..subject("subject_4", Outcome::Failed, &failed.findings, None)
            },
            RunSubject {
                activity: &[],
                ..subject("subject_5", Outcome::Skipped, &[], None)
            },
            RunSubject {
                activity: &[],
                frames: 0,
                page: None,
                ..subject("subject_6", Outcome::Stopped, &[], None)
            },
        ],
    };
    write("run.html", run_page(&run).unwrap());
}
