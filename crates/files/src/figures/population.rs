//! The activity of all neurons together, over time.

use plotters::prelude::*;

use super::axis::Axis;
use super::panel::{
    BLANK, BLUE, Canvas, Frame, LINE_WIDTH, TEST, TimeAxis, columns, plot_trace, remark, width,
    write_in_the_middle,
};
use super::trace::runs_where;
use super::{PlotError, Summary};

/// Plots the spikes of all neurons in each frame, with test frames and blank frames shaded.
///
/// # Errors
/// When the plotting library refuses.
pub(crate) fn plot_population(canvas: &Canvas, summary: &Summary) -> Result<(), PlotError> {
    let time = TimeAxis::on(canvas, summary);
    let spikes: Vec<f32> = summary.spikes_per_frame.iter().map(|&n| n as f32).collect();
    let most = summary.spikes_per_frame.iter().max().copied();
    let mut bands = time.bands(runs_where(summary.is_train, |&train| train != 1), TEST);
    let mut remarks = match bands.is_empty() {
        true => vec![(None, "no test frames".to_owned())],
        false => vec![(Some(TEST), "test frames".to_owned())],
    };
    if !summary.blank_frames.is_empty() {
        let runs = summary
            .blank_frames
            .chunk_by(|frame, next| frame + 1 == *next);
        let runs = runs.map(|run| run[0] as usize..run[0] as usize + run.len());
        bands.extend(time.bands(runs, BLANK));
        remarks.push((Some(BLANK), "blank frames".to_owned()));
    }
    let canvas = &remark(canvas, &remarks)?;
    let mut chart = Frame {
        x: &time.axis,
        y: &Axis::from_zero(f64::from(most.unwrap_or(0)), 5),
        x_label: Some(time.label),
        y_label: "spikes / frame, all neurons",
        bands,
    }
    .plot(canvas)?;
    plot_trace(&mut chart, columns(canvas), &time, &spikes, BLUE)?;
    match most.unwrap_or(0) {
        0 => write_in_the_middle(&chart, "no spikes"),
        _ => Ok(()),
    }
}

/// Plots `values` as a line without axes, from 0 to the greatest of them.
///
/// # Errors
/// When the plotting library refuses.
pub(crate) fn plot_sparkline(canvas: &Canvas, values: &[u32]) -> Result<(), PlotError> {
    let most = values.iter().max().copied().unwrap_or(0).max(1);
    let (right, bottom) = canvas.dim_in_pixel();
    let point = |(place, &value): (usize, &u32)| {
        let x = place as f64 / (values.len().max(2) - 1) as f64 * f64::from(right);
        let y = (1.0 - 0.9 * f64::from(value) / f64::from(most)) * f64::from(bottom) - 5.0;
        (x as i32, y as i32)
    };
    let points: Vec<_> = values.iter().enumerate().map(point).collect();
    Ok(canvas.draw(&PathElement::new(
        points,
        BLUE.stroke_width(width(LINE_WIDTH)),
    ))?)
}
