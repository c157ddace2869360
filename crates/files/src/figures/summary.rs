//! The first page: parameters, the population over time, where the cells are, how noisy they are.

use spikegrid_core::wording::whole;

use super::axis::significant;
use super::canvas::{Canvas, Text, text};
use super::histogram::{plot_noise, plot_rates};
use super::metrics::fitted;
use super::panel::{HAIRLINE, INK, MUTED, VERMILION, bold, remark};
use super::pixels::plot_maps;
use super::population::plot_population;
use super::{Summary, by_severity};

const LEFT: f64 = 36.0;
/// Top and height of the rows of figures, left edge and width of the columns, in points.
const TOP_ROW: (f64, f64) = (68.0, 242.0);
const BOTTOM_ROW: (f64, f64) = (328.0, 186.0);
const TABLE: (f64, f64) = (LEFT, 236.0);
const MAPS: (f64, f64) = (280.0, 312.0);
const RIGHT: (f64, f64) = (600.0, 206.0);
const POPULATION: (f64, f64) = (LEFT, 556.0);
const FINDINGS_TOP: f64 = 526.0;
const FINDINGS_WIDTH: f64 = 770.0;
const FINDING_LINES: usize = 4;

/// Plots the page.
pub(super) fn plot(page: Canvas, summary: &Summary) {
    let title = fitted(summary.subject, true, 16.0, FINDINGS_WIDTH);
    page.write(&title, &bold(16.0), (LEFT, 28.0));
    let about = format!(
        "Spike grids from calcium traces: parameters, population and cells    •    spikegrid-mpi {}",
        summary.software_version
    );
    page.write(&about, &text(9.0, MUTED), (LEFT, 49.0));
    let headed = |(left, width), (top, height), heading: &str| {
        page.write(heading, &bold(10.0), (left, top));
        page.part((left, top), (width, height))
    };
    plot_table(headed(TABLE, TOP_ROW, "Parameters"), summary);
    plot_maps(headed(MAPS, TOP_ROW, "Neurons per pixel"), summary);
    plot_rates(headed(RIGHT, TOP_ROW, "Rates"), summary);
    plot_population(
        headed(POPULATION, BOTTOM_ROW, "Population activity"),
        summary,
    );
    plot_noise(headed(RIGHT, BOTTOM_ROW, "Noise"), summary);
    plot_findings(page, summary);
}

fn plot_table(canvas: Canvas, summary: &Summary) {
    const ROW: f64 = 16.5;
    const VALUE: f64 = 78.0;
    let canvas = remark(canvas, &[]);
    for (place, (name, value)) in parameters(summary).into_iter().enumerate() {
        let (top, bottom) = (ROW * place as f64, ROW * (place + 1) as f64);
        let value = fitted(&value, false, 8.5, TABLE.1 - VALUE);
        canvas.write(name, &text(8.5, MUTED), (0.0, top + 4.0));
        canvas.write(&value, &text(8.5, INK), (VALUE, top + 4.0));
        canvas.line(HAIRLINE, 0.5, [(0.0, bottom), (TABLE.1, bottom)]);
    }
}

/// What the subject is and how it was processed: names and values.
pub(crate) fn parameters(summary: &Summary) -> Vec<(&'static str, String)> {
    let spikes = total_spikes(summary);
    let opportunities = summary.neurons as f64 * summary.frames as f64;
    let rate = spikes as f64 / opportunities.max(1.0);
    let training = summary.is_train.iter().filter(|&&train| train == 1).count();
    let window = format!(
        "percentile {} of {} s windows",
        significant(summary.percentile, 4),
        significant(summary.window_sec, 4)
    );
    let rate = format!(
        "{} spikes / frame = {} Hz",
        significant(rate, 3),
        significant(rate * summary.sampling_rate_hz, 3)
    );
    let test = summary.is_train.len() - training;
    let split = format!("{} training, {} test frames", whole(training), whole(test));
    let sampling = format!("{} Hz", significant(summary.sampling_rate_hz, 6));
    vec![
        ("Neurons", whole(summary.neurons)),
        ("z-planes", planes(summary)),
        ("Frames", recording_length(summary)),
        ("Sampling rate", sampling),
        ("Split", split),
        ("Traces", summary.trace_name().to_owned()),
        ("Baseline", summary.baseline.to_owned()),
        ("Baseline window", window),
        ("Model", summary.cascade_model.to_owned()),
        ("Threshold", threshold(summary.threshold)),
        ("Random seed", summary.seed.to_string()),
        ("Spikes", whole(spikes)),
        ("Mean rate", rate),
    ]
}

fn recording_length(summary: &Summary) -> String {
    let seconds = summary.frames as f64 / summary.sampling_rate_hz;
    let length = if seconds >= 120.0 {
        format!("{} min", significant(seconds / 60.0, 3))
    } else {
        format!("{} s", significant(seconds, 3))
    };
    format!("{} ({length})", whole(summary.frames))
}

fn planes(summary: &Summary) -> String {
    match summary.z_values {
        [] => "0".to_owned(),
        [only] => format!("1, at z = {}", significant(*only, 6)),
        [first, .., last] => format!(
            "{}, from z = {} to {}",
            whole(summary.z_values.len()),
            significant(*first, 6),
            significant(*last, 6)
        ),
    }
}

fn threshold(threshold: &str) -> String {
    match threshold {
        "1" => "1 (rates below one spike become 0)".to_owned(),
        "0" => "0 (negative rates become 0)".to_owned(),
        "off" => "off (rates as inferred)".to_owned(),
        other => other.to_owned(),
    }
}

/// Spikes of all neurons and frames.
pub(crate) fn total_spikes(summary: &Summary) -> u64 {
    let spikes = summary.spikes_per_frame.iter();
    spikes.map(|&spikes| u64::from(spikes)).sum()
}

fn plot_findings(page: Canvas, summary: &Summary) {
    const LINE: f64 = 11.0;
    const INDENT: f64 = 55.0;
    let findings = by_severity(summary.findings);
    let shown = match findings.len() {
        0 => return,
        few @ ..=FINDING_LINES => few,
        _ => FINDING_LINES - 1,
    };
    let (style, color) = (bold(8.5), VERMILION);
    page.write("Findings", &Text { color, ..style }, (LEFT, FINDINGS_TOP));
    let more = match findings.len() - shown {
        0 => None,
        hidden => Some(format!("and {} more, see the report", whole(hidden))),
    };
    let lines = findings[..shown].iter().map(ToString::to_string);
    for (place, finding) in lines.chain(more).enumerate() {
        let line = fitted(&finding, false, 8.5, FINDINGS_WIDTH - INDENT);
        let place = (LEFT + INDENT, FINDINGS_TOP + LINE * place as f64);
        page.write(&line, &text(8.5, INK), place);
    }
}
