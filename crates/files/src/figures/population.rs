//! The activity of all neurons together, over time.

use std::ops::Range;

use super::Summary;
use super::axis::Axis;
use super::canvas::Canvas;
use super::panel::{BLANK, BLUE, Chart, LINE_WIDTH, TEST, TimeAxis, remark};
use super::trace::runs_where;

/// Plots the spikes of all neurons in each frame that can have some, with test frames and blank frames shaded.
pub(crate) fn plot_population(canvas: Canvas, summary: &Summary) {
    let time = TimeAxis::on(canvas, summary);
    let spikes = only(summary.rated_frames(), summary.spikes_per_frame);
    let most = summary.spikes_per_frame.iter().max().copied().unwrap_or(0);
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
    let canvas = remark(canvas, &remarks);
    let y = Axis::from_zero(f64::from(most), 5);
    let y = (&y, "spikes / frame, all neurons");
    let chart = Chart::new(canvas, (&time.axis, Some(time.label)), y, &bands);
    chart.trace(&time, &spikes, BLUE);
    if most == 0 {
        chart.say("no spikes");
    }
}

/// The `values` of some frames, NaN for all others.
fn only(frames: Range<usize>, values: &[u32]) -> Vec<f32> {
    let values = (0..).zip(values);
    values
        .map(|(frame, &value)| match frames.contains(&frame) {
            true => value as f32,
            false => f32::NAN,
        })
        .collect()
}

/// Plots `values` as a line without axes, from 0 to the greatest of them.
pub(crate) fn plot_sparkline(canvas: Canvas, values: &[u32]) {
    let most = values.iter().max().copied().unwrap_or(0).max(1);
    let (width, height) = (canvas.size.0, canvas.size.1 - 1.0);
    let point = |(place, &value): (usize, &u32)| {
        let x = place as f64 / (values.len().max(2) - 1) as f64 * width;
        (x, 0.5 + (1.0 - f64::from(value) / f64::from(most)) * height)
    };
    canvas.line(BLUE, LINE_WIDTH, values.iter().enumerate().map(point));
}

#[cfg(test)]
mod tests {
    use super::super::trace::line_segments;
    use super::*;

    #[test]
    fn rule_4_6_frames_without_a_rate_in_any_neuron_have_no_line() {
        let segments = |frames| line_segments(&only(frames, &[0, 0, 5, 0, 7, 0, 0]), 100);
        assert_eq!(segments(2..5), [vec![(2, 5.0), (3, 0.0), (4, 7.0)]]);
        assert_eq!(segments(0..7)[0].len(), 7);
        assert!(segments(7..7).is_empty());
    }
}
