//! The first page: parameters, the population over time, where the cells are, how noisy they are.

use plotters::prelude::*;
use spikegrid_core::findings::Finding;

use super::axis::{count, significant};
use super::cells::{plot_map, plot_noise, plot_planes};
use super::metrics::fitted;
use super::panel::{
    Canvas, HAIRLINE, INK, MUTED, VERMILION, bold, part, remark, text, units, width, write,
};
use super::population::plot_population;
use super::{PlotError, Summary};

const LEFT: f64 = 36.0;
const TOP_ROW: f64 = 68.0;
const TOP_ROW_HEIGHT: f64 = 242.0;
const BOTTOM_ROW: f64 = 328.0;
const BOTTOM_ROW_HEIGHT: f64 = 186.0;
/// Left edge and width of the figures, in points.
const TABLE: (f64, f64) = (LEFT, 236.0);
const MAP: (f64, f64) = (280.0, 312.0);
const RIGHT: (f64, f64) = (600.0, 206.0);
const POPULATION: (f64, f64) = (LEFT, 556.0);
const WARNINGS_TOP: f64 = 526.0;
const WARNINGS_WIDTH: f64 = 770.0;
const WARNING_LINES: usize = 4;

/// Plots the page.
///
/// # Errors
/// When the plotting library refuses.
pub(super) fn plot(page: &Canvas, summary: &Summary) -> Result<(), PlotError> {
    let title = fitted(summary.subject, true, 16.0, WARNINGS_WIDTH);
    write(page, &title, &bold(16.0), (LEFT, 28.0))?;
    let about = format!(
        "Spike grids from calcium traces: parameters, population and cells    •    spikegrid-mpi {}",
        summary.software_version
    );
    write(page, &about, &text(9.0, MUTED), (LEFT, 49.0))?;

    let top = (TOP_ROW, TOP_ROW_HEIGHT);
    let bottom = (BOTTOM_ROW, BOTTOM_ROW_HEIGHT);
    plot_table(&headed(page, TABLE, top, "Parameters")?, summary)?;
    plot_map(&headed(page, MAP, top, "Cells")?, summary)?;
    plot_planes(&headed(page, RIGHT, top, "Neurons per z-plane")?, summary)?;
    plot_population(
        &headed(page, POPULATION, bottom, "Population activity")?,
        summary,
    )?;
    plot_noise(&headed(page, RIGHT, bottom, "Noise")?, summary)?;
    plot_findings(page, summary.findings)
}

/// Writes a heading on top of a part of the page and gives the part.
fn headed(
    page: &Canvas,
    (left, width): (f64, f64),
    (top, height): (f64, f64),
    heading: &str,
) -> Result<Canvas, PlotError> {
    write(page, heading, &bold(10.0), (left, top))?;
    Ok(part(page, (left, top), (width, height)))
}

fn plot_table(canvas: &Canvas, summary: &Summary) -> Result<(), PlotError> {
    let canvas = &remark(canvas, &[])?;
    const ROW: f64 = 16.5;
    const VALUE: f64 = 78.0;
    for (place, (name, value)) in parameters(summary).into_iter().enumerate() {
        let top = ROW * place as f64;
        let value = fitted(&value, false, 8.5, TABLE.1 - VALUE);
        write(canvas, name, &text(8.5, MUTED), (0.0, top + 4.0))?;
        write(canvas, &value, &text(8.5, INK), (VALUE, top + 4.0))?;
        let line = [(0, units(top + ROW)), (units(TABLE.1), units(top + ROW))];
        canvas.draw(&PathElement::new(line, HAIRLINE.stroke_width(width(0.5))))?;
    }
    Ok(())
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
    let split = format!("{} training, {} test frames", count(training), count(test));
    let sampling = format!("{} Hz", significant(summary.sampling_rate_hz, 6));
    vec![
        ("Neurons", count(summary.neurons)),
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
        ("Spikes", count(spikes)),
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
    format!("{} ({length})", count(summary.frames))
}

fn planes(summary: &Summary) -> String {
    match summary.z_values {
        [] => "0".to_owned(),
        [only] => format!("1, at z = {}", significant(*only, 6)),
        [first, .., last] => format!(
            "{}, from z = {} to {}",
            count(summary.z_values.len()),
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

fn plot_findings(page: &Canvas, findings: &[Finding]) -> Result<(), PlotError> {
    const LINE: f64 = 11.0;
    const TEXT: f64 = 55.0;
    if findings.is_empty() {
        return Ok(());
    }
    let heading = bold(8.5).color(&VERMILION);
    write(page, "Findings", &heading, (LEFT, WARNINGS_TOP))?;
    let shown = if findings.len() <= WARNING_LINES {
        findings.len()
    } else {
        WARNING_LINES - 1
    };
    let more = match findings.len() - shown {
        0 => None,
        hidden => Some(format!("and {} more, see report.html", count(hidden))),
    };
    let lines = findings[..shown].iter().map(ToString::to_string);
    for (place, finding) in lines.chain(more).enumerate() {
        let line = fitted(&finding, false, 8.5, WARNINGS_WIDTH - TEXT);
        let position = (LEFT + TEXT, WARNINGS_TOP + LINE * place as f64);
        write(page, &line, &text(8.5, INK), position)?;
    }
    Ok(())
}
