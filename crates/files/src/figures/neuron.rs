//! The page of one neuron: ΔF/F, inferred spike rate and discrete spikes above one time axis.

use spikegrid_core::wording::counted;

use super::axis::{Axis, significant};
use super::canvas::{Canvas, Rgb, text};
use super::metrics::fitted;
use super::panel::{BLUE, Chart, INK, MUTED, NO_VALUE, TimeAxis, VERMILION, bold};
use super::trace::{extent, gaps, spike_ticks};
use super::{NeuronTraces, Summary};

const MARGIN: f64 = 36.0;
/// Width of the panels, in points.
const WIDTH: f64 = 770.0;

/// Plots the page of `traces`.
pub(super) fn plot(page: Canvas, summary: &Summary, traces: &NeuronTraces) {
    let heading = format!("Neuron {} ({})", traces.neuron, summary.subject);
    let heading = fitted(&heading, true, 14.0, WIDTH);
    page.write(&heading, &bold(14.0), (MARGIN, 30.0));
    let words = format!(
        "index {} of neurons.tsv (counted from 0)    •    {}",
        traces.neuron,
        description(summary, traces).join("    •    ")
    );
    page.write(&words, &text(9.0, MUTED), (MARGIN, 51.0));
    plot_panels(page.part((MARGIN, 76.0), (WIDTH, 460.0)), summary, traces);
    let (left, top) = (MARGIN + 50.0, 551.0);
    page.fill(NO_VALUE, (left, top), (left + 14.0, top + 8.0));
    let words = format!(
        "no value: nearer to an end than the network's window reaches, or a missing sample    •    model {}",
        summary.cascade_model
    );
    page.write(&words, &text(8.0, MUTED), (left + 19.0, top));
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

/// Plots the three panels of `traces` one below the other.
pub(crate) fn plot_panels(canvas: Canvas, summary: &Summary, traces: &NeuronTraces) {
    let time = TimeAxis::on(canvas, summary);
    let (width, height) = canvas.size;
    let (gap, spikes) = (0.03 * height, (0.15 * height).max(56.0));
    let dff = (height - spikes - 2.0 * gap) * 0.57;
    let rate = height - spikes - 2.0 * gap - dff;
    let panel = |top: f64, height: f64| canvas.part((0.0, top), (width, height));

    let (least, most) = extent(&traces.dff).unwrap_or((0.0, 1.0));
    let y = (&Axis::around(least, most, 6), summary.trace_name());
    let chart = plot_values(panel(0.0, dff), &time, y, &traces.dff, BLUE);
    if extent(&traces.dff).is_none() {
        chart.say("no values in this trace");
    }
    let y = match extent(&traces.rate) {
        Some((least, most)) if least < 0.0 => Axis::around(least, most, 5),
        range => Axis::from_zero(range.map_or(1.0, |(_, most)| most), 5),
    };
    let name = if rate < 110.0 {
        "spikes / frame"
    } else {
        "spike rate (spikes / frame)"
    };
    let chart = plot_values(
        panel(dff + gap, rate),
        &time,
        (&y, name),
        &traces.rate,
        VERMILION,
    );
    if extent(&traces.rate).is_none() {
        chart.say(why_there_is_no_rate(&traces.dff));
    }
    plot_spikes(panel(height - spikes, spikes), &time, &traces.spikes);
}

/// Plots one value per frame, with frames without a value shaded.
fn plot_values<'p>(
    canvas: Canvas<'p>,
    time: &TimeAxis,
    y: (&Axis, &str),
    values: &[f32],
    color: Rgb,
) -> Chart<'p> {
    let gaps = time.bands(gaps(values, Chart::columns(canvas)), NO_VALUE);
    let chart = Chart::new(canvas, (&time.axis, None), y, &gaps);
    chart.trace(time, values, color);
    chart
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

fn plot_spikes(canvas: Canvas, time: &TimeAxis, spikes: &[u8]) {
    let y = Axis::without_ticks(0.0..1.0);
    let x = (&time.axis, Some(time.label));
    let chart = Chart::new(canvas, x, (&y, "spikes"), &[]);
    let ticks = spike_ticks(spikes, Chart::columns(canvas));
    for frame in &ticks {
        let x = time.at(*frame);
        chart.line(INK, 0.6, [(x, 0.15), (x, 0.85)]);
    }
    if ticks.is_empty() {
        chart.say("no spikes");
    }
}
