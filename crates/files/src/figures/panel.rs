//! What every figure here is made of: colours, text, and a plotting area with axes, grid and shaded bands.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::metrics::text_width;
use super::page::{Page, UNITS_PER_POINT};
use super::trace::line_segments;
use super::{PlotError, Summary};

/// A part of a page.
pub(crate) type Canvas = DrawingArea<Page, Shift>;
/// A plotting area in the units of its axes.
pub(super) type Chart<'a> = ChartContext<'a, Page, Cartesian2d<Axis, Axis>>;

/// Text and everything that has to stand out.
pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
/// Text that explains.
pub(super) const MUTED: RGBColor = RGBColor(105, 105, 105);
/// Hairlines of tables and grids.
pub(super) const HAIRLINE: RGBColor = RGBColor(226, 226, 226);
const AXIS: RGBColor = RGBColor(80, 80, 80);
/// Frames without a value.
pub(super) const NO_VALUE: RGBColor = RGBColor(238, 238, 238);
/// Frames of the test split.
pub(super) const TEST: RGBColor = RGBColor(253, 235, 205);
/// Frames in which all neurons are 0.
pub(super) const BLANK: RGBColor = RGBColor(240, 150, 150);
/// Noise levels that the model knows.
pub(super) const MODEL: RGBColor = RGBColor(220, 238, 224);
/// Okabe and Ito's blue and vermilion, told apart by every kind of colour vision.
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
/// See `BLUE`.
pub(super) const VERMILION: RGBColor = RGBColor(213, 94, 0);

/// Width of the lines of a trace, in points.
pub(super) const LINE_WIDTH: f64 = 0.5;
/// Columns of a trace per point of paper: as wide as the line.
const COLUMNS_PER_POINT: f64 = 1.0 / LINE_WIDTH;
/// Room for tick labels and name of a vertical axis, in points.
const Y_AXIS_ROOM: f64 = 50.0;
const TICK_LENGTH: f64 = 2.5;
/// Room for a line of small print or a heading above a figure, in points.
const REMARK_HEIGHT: f64 = 16.0;
/// So that a single frame of a long recording is seen, in points.
const NARROWEST_BAND: f64 = 0.7;

/// Points in device units.
pub(super) fn units(points: f64) -> i32 {
    (points * UNITS_PER_POINT).round() as i32
}

/// A width of lines, in points.
pub(super) fn width(points: f64) -> u32 {
    units(points).unsigned_abs()
}

/// A style of text: size in points, and colour.
pub(super) fn text(size: f64, color: RGBColor) -> TextStyle<'static> {
    let size = size * UNITS_PER_POINT;
    FontDesc::new(FontFamily::SansSerif, size, FontStyle::Normal).color(&color)
}

/// A style of bold text: size in points.
pub(super) fn bold(size: f64) -> TextStyle<'static> {
    let size = size * UNITS_PER_POINT;
    FontDesc::new(FontFamily::SansSerif, size, FontStyle::Bold).color(&INK)
}

/// The part of `canvas` at (`x`, `y`) of `width` × `height`, all in points.
pub(crate) fn part(canvas: &Canvas, (x, y): (f64, f64), (width, height): (f64, f64)) -> Canvas {
    let (x, y, width, height) = (units(x), units(y), units(width), units(height));
    canvas.clone().shrink((x, y), (width, height))
}

/// Writes `words` with its upper left corner at (`x`, `y`) in points.
///
/// # Errors
/// When the plotting library refuses.
pub(super) fn write(
    canvas: &Canvas,
    words: &str,
    style: &TextStyle,
    (x, y): (f64, f64),
) -> Result<(), PlotError> {
    Ok(canvas.draw_text(words, style, (units(x), units(y)))?)
}

/// Width and height of `canvas` in points.
pub(super) fn size_of(canvas: &Canvas) -> (f64, f64) {
    let (width, height) = canvas.dim_in_pixel();
    (
        f64::from(width) / UNITS_PER_POINT,
        f64::from(height) / UNITS_PER_POINT,
    )
}

/// Writes small print on top of `canvas` at its right, each with a swatch of its colour if it explains one, and gives the
/// part below, which is the same without small print.
///
/// # Errors
/// When the plotting library refuses.
pub(super) fn remark(
    canvas: &Canvas,
    remarks: &[(Option<RGBColor>, String)],
) -> Result<Canvas, PlotError> {
    const SIZE: f64 = 8.0;
    const SWATCH: f64 = 1.8 * SIZE;
    /// Room for a heading at the left.
    const HEADING: f64 = 34.0;
    let (width, height) = size_of(canvas);
    let width_of = |(color, words): &(Option<RGBColor>, String)| {
        SIZE * (1.2 + text_width(words, false)) + color.map_or(0.0, |_| SWATCH)
    };
    let total: f64 = remarks.iter().map(width_of).sum();
    let scale = ((width - HEADING) / total).min(1.0);
    let mut left = width - scale * total;
    for remark in remarks {
        left += scale * width_of(remark);
        let text_left = left - scale * SIZE * text_width(&remark.1, false);
        write(
            canvas,
            &remark.1,
            &text(scale * SIZE, MUTED),
            (text_left, 2.0),
        )?;
        if let Some(color) = remark.0 {
            let swatch = (scale * (SWATCH - 3.0), 7.0);
            part(canvas, (text_left - scale * SWATCH, 2.0), swatch).fill(&color)?;
        }
    }
    let below = (width, height - REMARK_HEIGHT);
    Ok(part(canvas, (0.0, REMARK_HEIGHT), below))
}

/// The time axis of a recording.
#[derive(Debug, Clone)]
pub(super) struct TimeAxis {
    /// From half a frame before the first to half a frame behind the last.
    pub axis: Axis,
    /// Name and unit.
    pub label: &'static str,
    frames_per_unit: f64,
}

impl TimeAxis {
    /// In seconds, or in frames should the sampling rate be no rate, with as many ticks as `canvas` has room for.
    pub(super) fn on(canvas: &Canvas, summary: &Summary) -> Self {
        let ticks = (size_of(canvas).0 / 70.0) as usize;
        let rate = summary.sampling_rate_hz;
        let (label, frames_per_unit) = if rate.is_finite() && rate > 0.0 {
            ("time (s)", rate)
        } else {
            ("frame", 1.0)
        };
        let end = (summary.frames.max(1) as f64 - 0.5) / frames_per_unit;
        Self {
            axis: Axis::exact(-0.5 / frames_per_unit..end, ticks),
            label,
            frames_per_unit,
        }
    }

    /// Time of a frame.
    pub(super) fn at(&self, frame: usize) -> f64 {
        frame as f64 / self.frames_per_unit
    }

    /// The bands that `frames` cover.
    pub(super) fn bands(
        &self,
        frames: impl IntoIterator<Item = Range<usize>>,
        color: RGBColor,
    ) -> Vec<Band> {
        let edge = |frame: usize| (frame as f64 - 0.5) / self.frames_per_unit;
        let band = |frames: Range<usize>| Band {
            span: edge(frames.start)..edge(frames.end),
            color,
        };
        frames.into_iter().map(band).collect()
    }
}

/// A shaded stretch of the horizontal axis.
#[derive(Debug, Clone)]
pub(super) struct Band {
    pub span: Range<f64>,
    pub color: RGBColor,
}

/// What is around the data of a chart.
pub(super) struct Frame<'p> {
    /// Horizontal axis.
    pub x: &'p Axis,
    /// Vertical axis.
    pub y: &'p Axis,
    /// Name and unit of the horizontal axis; `None` plots ticks without labels.
    pub x_label: Option<&'p str>,
    /// Name and unit of the vertical axis.
    pub y_label: &'p str,
    /// Bands behind grid and data.
    pub bands: Vec<Band>,
}

impl Frame<'_> {
    /// Room for a named horizontal axis, in points.
    const X_AXIS_ROOM: f64 = 28.0;

    /// Size of the plotting area within `canvas` above a named horizontal axis, in points.
    pub(super) fn plotting_size(canvas: &Canvas) -> (f64, f64) {
        let (width, height) = size_of(canvas);
        (width - Y_AXIS_ROOM, height - Self::X_AXIS_ROOM)
    }

    /// Plots bands, grid and axes on `canvas`.
    ///
    /// # Errors
    /// When the plotting library refuses.
    pub(super) fn plot<'c>(self, canvas: &Canvas) -> Result<Chart<'c>, PlotError> {
        let named = self.x_label.is_some();
        let x_room = if named {
            Self::X_AXIS_ROOM
        } else {
            TICK_LENGTH
        };
        let mut chart = ChartBuilder::on(canvas)
            .x_label_area_size(units(x_room))
            .y_label_area_size(units(Y_AXIS_ROOM))
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;

        let (x, y) = (&self.x.range, &self.y.range);
        let thinnest = (x.end - x.start) * NARROWEST_BAND / Self::plotting_size(canvas).0;
        let inside = |band: &&Band| band.span.start < x.end && band.span.end > x.start;
        chart.draw_series(self.bands.iter().filter(inside).map(|band| {
            let from = band.span.start.max(x.start);
            let to = band.span.end.max(from + thinnest).min(x.end);
            Rectangle::new([(from, y.end), (to, y.start)], band.color.filled())
        }))?;
        let label = text(8.0, INK);
        chart
            .configure_mesh()
            .bold_line_style(HAIRLINE.stroke_width(width(0.4)))
            .light_line_style(TRANSPARENT)
            .axis_style(AXIS.stroke_width(width(0.6)))
            .set_all_tick_mark_size(units(TICK_LENGTH))
            .label_style(label)
            .axis_desc_style(text(9.0, INK))
            .x_label_formatter(&|value| {
                if named {
                    self.x.label(*value)
                } else {
                    String::new()
                }
            })
            .x_desc(self.x_label.unwrap_or_default())
            .y_desc(self.y_label)
            .draw()?;
        Ok(chart)
    }
}

/// Columns into which a trace on `canvas` is thinned.
pub(super) fn columns(canvas: &Canvas) -> usize {
    (Frame::plotting_size(canvas).0 * COLUMNS_PER_POINT) as usize
}

/// Plots one value per frame as a line, broken where there is no value.
///
/// # Errors
/// When the plotting library refuses.
pub(super) fn plot_trace(
    chart: &mut Chart,
    columns: usize,
    time: &TimeAxis,
    values: &[f32],
    color: RGBColor,
) -> Result<(), PlotError> {
    for segment in line_segments(values, columns) {
        let points = segment
            .into_iter()
            .map(|(frame, value)| (time.at(frame), f64::from(value)));
        let points: Vec<_> = points.collect();
        match points[..] {
            [lone] => {
                let dot = Circle::new(lone, units(1.0), color.filled());
                chart.draw_series([dot])?;
            }
            _ => {
                let line = PathElement::new(points, color.stroke_width(width(LINE_WIDTH)));
                chart.draw_series([line])?;
            }
        }
    }
    Ok(())
}

/// Writes `words` in the middle of `chart`.
///
/// # Errors
/// When the plotting library refuses.
pub(super) fn write_in_the_middle(chart: &Chart, words: &str) -> Result<(), PlotError> {
    let area = chart.plotting_area().strip_coord_spec();
    let (width, height) = area.dim_in_pixel();
    let style = text(10.0, MUTED).pos(Pos::new(HPos::Center, VPos::Center));
    let middle = (width as i32 / 2, height as i32 / 2);
    Ok(area.draw_text(words, &style, middle)?)
}
