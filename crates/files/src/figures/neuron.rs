//! The page of one neuron: ΔF/F, inferred spike rate and discrete spikes above one time axis.

use plotters::prelude::*;

use super::axis::{Axis, counted, significant};
use super::metrics::fitted;
use super::panel::{
    BLUE, Canvas, Frame, INK, MUTED, NO_VALUE, TimeAxis, VERMILION, bold, columns, part,
    plot_trace, size_of, text, width, write, write_in_the_middle,
};
use super::trace::{extent, gaps, spike_ticks};
use super::{NeuronTraces, PlotError, Summary};

const MARGIN: f64 = 36.0;
/// Width of the panels, in points.
const WIDTH: f64 = 770.0;
const PANELS_TOP: f64 = 76.0;
const PANELS_HEIGHT: f64 = 460.0;

/// Plots the page of `traces`.
///
/// # Errors
/// When the plotting library refuses.
pub(super) fn plot(
    page: &Canvas,
    summary: &Summary,
    traces: &NeuronTraces,
) -> Result<(), PlotError> {
    plot_heading(page, summary, traces)?;
    let panels = part(page, (MARGIN, PANELS_TOP), (WIDTH, PANELS_HEIGHT));
    plot_panels(&panels, summary, traces)?;
    plot_legend(page, summary)
}

/// Plots the three panels of `traces` one below the other.
///
/// # Errors
/// When the plotting library refuses.
pub(crate) fn plot_panels(
    canvas: &Canvas,
    summary: &Summary,
    traces: &NeuronTraces,
) -> Result<(), PlotError> {
    let time = TimeAxis::on(canvas, summary);
    let (width, height) = size_of(canvas);
    let (gap, spikes) = (0.03 * height, (0.15 * height).max(56.0));
    let dff = (height - spikes - 2.0 * gap) * 0.57;
    let rate = height - spikes - 2.0 * gap - dff;
    let panel = |top: f64, height: f64| part(canvas, (0.0, top), (width, height));
    plot_dff(&panel(0.0, dff), &time, summary, traces)?;
    plot_rate(&panel(dff + gap, rate), &time, traces)?;
    plot_spikes(&panel(height - spikes, spikes), &time, traces)
}

fn plot_heading(page: &Canvas, summary: &Summary, traces: &NeuronTraces) -> Result<(), PlotError> {
    let heading = format!("Neuron {} ({})", traces.neuron, summary.subject);
    let heading = fitted(&heading, true, 14.0, WIDTH);
    write(page, &heading, &bold(14.0), (MARGIN, 30.0))?;

    let words = format!(
        "column {} of CellResp (counted from 0)    •    {}",
        traces.neuron,
        description(summary, traces).join("    •    ")
    );
    write(page, &words, &text(9.0, MUTED), (MARGIN, 51.0))
}

/// Noise level and number of spikes in words.
pub(crate) fn description(summary: &Summary, traces: &NeuronTraces) -> [String; 2] {
    let spikes = traces.spikes.iter().filter(|&&spike| spike != 0).count();
    let noise = if traces.noise_level.is_finite() {
        format!(
            "noise level {}{}, inferred by the ensemble for noise level {}",
            significant(f64::from(traces.noise_level), 3),
            summary.noise_unit(),
            traces.model_noise_level
        )
    } else {
        format!(
            "noise level not defined, inferred by the ensemble for noise level {}",
            traces.model_noise_level
        )
    };
    let (spikes, frames) = (
        counted(spikes, "spike"),
        counted(traces.spikes.len(), "frame"),
    );
    [noise, format!("{spikes} in {frames}")]
}

fn plot_dff(
    canvas: &Canvas,
    time: &TimeAxis,
    summary: &Summary,
    traces: &NeuronTraces,
) -> Result<(), PlotError> {
    let extent = extent(traces.dff.iter().map(|&value| f64::from(value)));
    let (least, greatest) = extent.unwrap_or((0.0, 1.0));
    let mut chart = Frame {
        x: &time.axis,
        y: &Axis::around(least, greatest, 6),
        x_label: None,
        y_label: summary.trace_name(),
        bands: time.bands(gaps(&traces.dff, columns(canvas)), NO_VALUE),
    }
    .plot(canvas)?;
    plot_trace(&mut chart, columns(canvas), time, &traces.dff, BLUE)?;
    match extent {
        Some(_) => Ok(()),
        None => write_in_the_middle(&chart, "no values in this trace"),
    }
}

fn plot_rate(canvas: &Canvas, time: &TimeAxis, traces: &NeuronTraces) -> Result<(), PlotError> {
    let extent = extent(traces.rate.iter().map(|&value| f64::from(value)));
    let y = match extent {
        Some((least, greatest)) if least < 0.0 => Axis::around(least, greatest, 5),
        Some((_, greatest)) => Axis::from_zero(greatest, 5),
        None => Axis::from_zero(1.0, 5),
    };
    let mut chart = Frame {
        x: &time.axis,
        y: &y,
        x_label: None,
        y_label: match size_of(canvas).1 {
            ..110.0 => "spikes / frame",
            _ => "spike rate (spikes / frame)",
        },
        bands: time.bands(gaps(&traces.rate, columns(canvas)), NO_VALUE),
    }
    .plot(canvas)?;
    plot_trace(&mut chart, columns(canvas), time, &traces.rate, VERMILION)?;
    match extent {
        Some(_) => Ok(()),
        None => write_in_the_middle(&chart, why_there_is_no_rate(&traces.dff)),
    }
}

fn why_there_is_no_rate(dff: &[f32]) -> &'static str {
    if dff.iter().all(|value| !value.is_finite()) {
        "no spike rate: no values in this trace"
    } else if dff.iter().all(|value| value.is_finite()) {
        "no spike rate: recording shorter than the network's window"
    } else {
        "no spike rate: no stretch without gaps as long as the network's window"
    }
}

fn plot_spikes(canvas: &Canvas, time: &TimeAxis, traces: &NeuronTraces) -> Result<(), PlotError> {
    let mut chart = Frame {
        x: &time.axis,
        y: &Axis::without_ticks(0.0..1.0),
        x_label: Some(time.label),
        y_label: "spikes",
        bands: Vec::new(),
    }
    .plot(canvas)?;
    let ticks = spike_ticks(&traces.spikes, columns(canvas));
    let style = INK.stroke_width(width(0.6));
    chart.draw_series(ticks.iter().map(|&frame| {
        let x = time.at(frame);
        PathElement::new([(x, 0.15), (x, 0.85)], style)
    }))?;
    if ticks.is_empty() {
        write_in_the_middle(&chart, "no spikes")
    } else {
        Ok(())
    }
}

fn plot_legend(page: &Canvas, summary: &Summary) -> Result<(), PlotError> {
    let top = 551.0;
    let swatch = part(page, (MARGIN + 50.0, top), (14.0, 8.0));
    swatch.fill(&NO_VALUE)?;
    let words = format!(
        "no value: nearer to an end than the network's window reaches, or a missing sample    •    model {}",
        summary.cascade_model
    );
    write(page, &words, &text(8.0, MUTED), (MARGIN + 69.0, top))
}
