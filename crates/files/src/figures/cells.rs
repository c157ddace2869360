//! Figures about the cells of a subject: where they are, how many each z-plane has, how noisy they are.

use plotters::prelude::*;

use super::axis::{Axis, count, significant};
use super::panel::{BLUE, Band, Canvas, Frame, MODEL, remark, units, write_in_the_middle};
use super::trace::extent;
use super::{PlotError, Summary};

/// Cells plotted at most: enough to show the shape of a brain, few enough for a small file.
const MOST_DOTS: usize = 8000;
const BINS: usize = 40;
const WIDEST_BAR: f64 = 24.0;
/// The part of the values that a histogram covers; the rest are few and far away.
const SHOWN_QUANTILE: f64 = 0.995;

/// Plots x and y of every cell, or of a regular choice where there are too many, coloured by z-plane.
///
/// # Errors
/// When the plotting library refuses.
pub(super) fn plot_map(canvas: &Canvas, summary: &Summary) -> Result<(), PlotError> {
    let placed = |position: &&[f64; 3]| position.iter().all(|value| value.is_finite());
    let placed: Vec<[f64; 3]> = summary.positions.iter().filter(placed).copied().collect();
    let plotted = thinned(&placed, MOST_DOTS);
    let (shown, all) = (count(plotted.len()), count(summary.positions.len()));
    let canvas = &match plotted.len() < summary.positions.len() {
        true => remark(canvas, &[(None, format!("{shown} of {all} cells drawn"))])?,
        false => remark(canvas, &[])?,
    };
    let (x, y) = equal_scales(&plotted, Frame::plotting_size(canvas));
    let mut chart = Frame {
        x: &x,
        y: &y,
        x_label: Some("x (unit of CellXYZ)"),
        y_label: "y (unit of CellXYZ)",
        bands: Vec::new(),
    }
    .plot(canvas)?;

    let radius = (34.0 / (plotted.len().max(1) as f64).sqrt()).clamp(0.5, 1.6);
    let planes = summary.z_values.len();
    let mut dots: Vec<(usize, [f64; 3])> = plotted
        .into_iter()
        .map(|position| (plane_of(summary.z_values, position[2]), position))
        .collect();
    dots.sort_by_key(|(plane, _)| *plane);
    chart.draw_series(dots.into_iter().map(|(plane, [x, y, _])| {
        let color = plane_color(plane, planes);
        Circle::new((x, y), units(radius), color.filled())
    }))?;
    Ok(())
}

/// Plots how many neurons each z-plane has, in the colours of the map.
///
/// # Errors
/// When the plotting library refuses.
pub(super) fn plot_planes(canvas: &Canvas, summary: &Summary) -> Result<(), PlotError> {
    let planes = summary.neurons_per_plane.len();
    let most = summary.neurons_per_plane.iter().max().copied();
    let y = Axis::whole_from_zero(most.unwrap_or(0) as f64, 5);
    let bars = summary.neurons_per_plane.iter().enumerate();
    let bars = bars.map(|(plane, &neurons)| Bar {
        span: (plane as f64 - 0.5, plane as f64 + 0.5),
        height: neurons as f64,
        color: plane_color(plane, planes),
    });
    let canvas = &remark(canvas, &[(None, "colours as on the map".to_owned())])?;
    let frame = Frame {
        x: &Axis::whole_numbers(-0.5..planes.max(1) as f64 - 0.5, 6),
        y: &y,
        x_label: Some("z-plane (index in grids)"),
        y_label: "neurons",
        bands: Vec::new(),
    };
    plot_bars(canvas, frame, bars)
}

/// Plots the histogram of the noise levels, with the levels that the model knows shaded.
///
/// # Errors
/// When the plotting library refuses.
pub(crate) fn plot_noise(canvas: &Canvas, summary: &Summary) -> Result<(), PlotError> {
    let label = match summary.noise_unit() {
        "" => "noise level".to_owned(),
        unit => format!("noise level ({})", unit.trim_start()),
    };
    let model = summary.model_noise_levels.map(|(least, greatest)| Band {
        span: f64::from(least)..f64::from(greatest),
        color: MODEL,
    });
    let levels = summary.noise_levels.iter().map(|&level| f64::from(level));
    plot_histogram(canvas, levels, &label, model)
}

/// Plots the histogram of the mean rates of the neurons.
///
/// # Errors
/// When the plotting library refuses.
pub(crate) fn plot_rates(canvas: &Canvas, summary: &Summary) -> Result<(), PlotError> {
    plot_histogram(canvas, summary.rates_hz(), "mean spike rate (Hz)", None)
}

/// Plots how many neurons have which value, and says in small print what the axis does not show.
fn plot_histogram(
    canvas: &Canvas,
    values: impl Iterator<Item = f64>,
    x_label: &str,
    model: Option<Band>,
) -> Result<(), PlotError> {
    let mut values: Vec<f64> = values.collect();
    let neurons = values.len();
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let (edges, heights) = histogram(&values);
    let bars = edges.windows(2).zip(&heights).map(|(edges, &neurons)| Bar {
        span: (edges[0], edges[1]),
        height: neurons as f64,
        color: BLUE,
    });

    let mut remarks = Vec::new();
    if let Some(Band { span, color }) = &model {
        remarks.push((
            Some(*color),
            format!("model {} to {}", span.start, span.end),
        ));
    }
    if let Some(median) = values.get(values.len() / 2) {
        remarks.push((None, format!("median {}", significant(*median, 3))));
    }
    let beyond = values.len() - heights.iter().sum::<usize>();
    for (number, what) in [
        (beyond, "beyond axis"),
        (neurons - values.len(), "undefined"),
    ] {
        if number > 0 {
            remarks.push((None, format!("{} {what}", count(number))));
        }
    }
    let canvas = &remark(canvas, &remarks)?;

    let most = heights.iter().max().copied().unwrap_or(0);
    let (first, last) = (edges.first().copied(), edges.last().copied());
    let frame = Frame {
        x: &Axis::exact(first.unwrap_or(0.0)..last.unwrap_or(1.0), 5),
        y: &Axis::whole_from_zero(most as f64, 5),
        x_label: Some(x_label),
        y_label: "neurons",
        bands: model.into_iter().collect(),
    };
    plot_bars(canvas, frame, bars)
}

/// Edges and heights of the bins over all but the last few of the `sorted` values.
fn histogram(sorted: &[f64]) -> (Vec<f64>, Vec<usize>) {
    let Some(&least) = sorted.first() else {
        return (Vec::new(), Vec::new());
    };
    let last = ((sorted.len() - 1) as f64 * SHOWN_QUANTILE).ceil() as usize;
    let range = Axis::around(least, sorted[last], 5).range;
    let range = range.start.max(0.0f64.min(least))..range.end;
    let step = (range.end - range.start) / BINS as f64;
    let edges: Vec<f64> = (0..=BINS)
        .map(|bin| range.start + bin as f64 * step)
        .collect();
    let mut heights = vec![0; BINS];
    for value in sorted.iter().filter(|value| **value <= range.end) {
        let bin = ((value - range.start) / step) as usize;
        heights[bin.min(BINS - 1)] += 1;
    }
    (edges, heights)
}

struct Bar {
    span: (f64, f64),
    height: f64,
    color: RGBColor,
}

fn plot_bars(
    canvas: &Canvas,
    frame: Frame,
    bars: impl Iterator<Item = Bar>,
) -> Result<(), PlotError> {
    let points_per_unit =
        Frame::plotting_size(canvas).0 / (frame.x.range.end - frame.x.range.start);
    let mut chart = frame.plot(canvas)?;
    let bars: Vec<Bar> = bars.filter(|bar| bar.height > 0.0).collect();
    chart.draw_series(bars.iter().map(|bar| {
        let span = bar.span.1 - bar.span.0;
        // A little paper between bars, unless they are hairlines; a lone bar does not fill the figure.
        let room = if span * points_per_unit > 3.0 {
            (0.1 * span).max(span - WIDEST_BAR / points_per_unit)
        } else {
            0.0
        };
        let (from, to) = (bar.span.0 + room / 2.0, bar.span.1 - room / 2.0);
        Rectangle::new([(from, bar.height), (to, 0.0)], bar.color.filled())
    }))?;
    if bars.is_empty() {
        write_in_the_middle(&chart, "none")
    } else {
        Ok(())
    }
}

/// At most `most` of the positions, at equal distances in their order.
fn thinned(positions: &[[f64; 3]], most: usize) -> Vec<[f64; 3]> {
    let kept = positions.len().min(most);
    (0..kept)
        .map(|place| positions[(place as u128 * positions.len() as u128 / kept as u128) as usize])
        .collect()
}

/// Axes around all positions on which a unit of x is as long as a unit of y.
fn equal_scales(positions: &[[f64; 3]], (width, height): (f64, f64)) -> (Axis, Axis) {
    let range = |axis: usize| {
        let (least, greatest) =
            extent(positions.iter().map(|position| position[axis])).unwrap_or((0.0, 1.0));
        Axis::around(least, greatest, 6).range
    };
    let (x, y) = (range(0), range(1));
    let unit = ((x.end - x.start) / width).max((y.end - y.start) / height);
    let widened = |range: std::ops::Range<f64>, points: f64| {
        let (middle, half) = ((range.start + range.end) / 2.0, unit * points / 2.0);
        Axis::exact(middle - half..middle + half, 6)
    };
    (widened(x, width), widened(y, height))
}

/// The z-plane nearest to `z`.
fn plane_of(z_values: &[f64], z: f64) -> usize {
    let above = z_values.partition_point(|&level| level < z);
    let nearer_below = above > 0
        && z_values
            .get(above)
            .is_none_or(|level| z - z_values[above - 1] <= level - z);
    if nearer_below { above - 1 } else { above }
}

/// Viridis without its palest end, which is lost on paper.
fn plane_color(plane: usize, planes: usize) -> RGBColor {
    const VIRIDIS: [(u8, u8, u8); 5] = [
        (68, 1, 84),
        (59, 82, 139),
        (33, 145, 140),
        (94, 201, 98),
        (253, 231, 37),
    ];
    let part = plane as f64 / planes.saturating_sub(1).max(1) as f64;
    let place = (0.08 + 0.8 * part.clamp(0.0, 1.0)) * (VIRIDIS.len() - 1) as f64;
    let below = (place as usize).min(VIRIDIS.len() - 2);
    let mix = |from: u8, to: u8| {
        let weight = place - below as f64;
        (f64::from(from) * (1.0 - weight) + f64::from(to) * weight).round() as u8
    };
    let (from, to) = (VIRIDIS[below], VIRIDIS[below + 1]);
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_many_cells_draws_a_bounded_number() {
        let positions: Vec<[f64; 3]> = (0..100_000).map(|n| [f64::from(n), 0.0, 0.0]).collect();
        let plotted = thinned(&positions, MOST_DOTS);
        assert_eq!(plotted.len(), MOST_DOTS);
        assert_eq!((plotted[0][0], plotted[MOST_DOTS - 1][0]), (0.0, 99_987.0));
        assert_eq!(thinned(&positions[..3], MOST_DOTS), positions[..3]);
        assert!(thinned(&[], MOST_DOTS).is_empty());
    }

    #[test]
    fn a_cell_has_the_colour_of_the_nearest_plane() {
        let planes: Vec<_> = [-1.0, 0.0, 0.4, 0.6, 2.0, 9.0]
            .iter()
            .map(|&z| plane_of(&[0.0, 1.0, 2.5], z))
            .collect();
        assert_eq!(planes, [0, 0, 0, 1, 2, 2]);
    }

    #[test]
    fn the_histogram_counts_all_but_the_tail() {
        let levels: Vec<f64> = (0..1000).map(f64::from).collect();
        let (edges, heights) = histogram(&levels);
        assert_eq!((edges.len(), heights.len()), (BINS + 1, BINS));
        assert_eq!(heights.iter().sum::<usize>(), 1000);
        let mut outlier = levels.clone();
        outlier.push(1e9);
        assert_eq!(histogram(&outlier).1.iter().sum::<usize>(), 1000);
        assert_eq!(histogram(&[2.0]).1.iter().sum::<usize>(), 1);
    }
}
