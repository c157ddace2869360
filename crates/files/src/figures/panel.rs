//! What every figure here is made of: colours, and a plotting area with axes, grid and shaded bands.

use std::ops::Range;

use super::Summary;
use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Points, Rgb, Text, text};
use super::metrics::text_width;
use super::trace::line_segments;

/// Text and everything that has to stand out.
pub(super) const INK: Rgb = Rgb(34, 34, 34);
/// Text that explains.
pub(super) const MUTED: Rgb = Rgb(105, 105, 105);
/// Hairlines of tables and grids.
pub(super) const HAIRLINE: Rgb = Rgb(226, 226, 226);
const AXIS: Rgb = Rgb(80, 80, 80);
/// Frames without a value.
pub(super) const NO_VALUE: Rgb = Rgb(238, 238, 238);
/// Frames of the test split.
pub(super) const TEST: Rgb = Rgb(253, 235, 205);
/// Frames in which all neurons are 0.
pub(super) const BLANK: Rgb = Rgb(240, 150, 150);
/// Noise levels that the model knows.
pub(super) const MODEL: Rgb = Rgb(220, 238, 224);
/// Okabe and Ito's blue, orange and vermilion, told apart by every kind of colour vision.
pub(super) const BLUE: Rgb = Rgb(0, 114, 178);
/// See `BLUE`.
pub(super) const ORANGE: Rgb = Rgb(230, 159, 0);
/// See `BLUE`.
pub(super) const VERMILION: Rgb = Rgb(213, 94, 0);

/// Width of the lines of a trace, in points. It is thinned to columns of this width.
pub(super) const LINE_WIDTH: f64 = 0.5;
/// Room around a plotting area for tick labels and the names of the axes, in points.
const Y_AXIS_ROOM: f64 = 50.0;
const X_AXIS_ROOM: f64 = 28.0;
/// Room for a line of small print or a heading above a figure, in points.
const REMARK_HEIGHT: f64 = 16.0;
const TICK_LENGTH: f64 = 2.5;
/// So that a single frame of a long recording is seen, in points.
const NARROWEST_BAND: f64 = 0.7;

/// Bold text: size in points.
pub(super) fn bold(size: f64) -> Text {
    let bold = true;
    Text {
        bold,
        ..text(size, INK)
    }
}

/// Writes small print on top of `canvas` at its right, each with a swatch of its colour if it explains one, and gives the part
/// below, which is the same without small print.
pub(super) fn remark<'p>(canvas: Canvas<'p>, remarks: &[(Option<Rgb>, String)]) -> Canvas<'p> {
    const SIZE: f64 = 8.0;
    const SWATCH: f64 = 1.8 * SIZE;
    /// Room for a heading at the left.
    const HEADING: f64 = 34.0;
    let (width, height) = canvas.size;
    let width_of = |(color, words): &(Option<Rgb>, String)| {
        SIZE * (1.2 + text_width(words, false)) + color.map_or(0.0, |_| SWATCH)
    };
    let total: f64 = remarks.iter().map(width_of).sum();
    let scale = ((width - HEADING) / total).min(1.0);
    let mut right = width - scale * total;
    for remark in remarks {
        right += scale * width_of(remark);
        let left = right - scale * SIZE * text_width(&remark.1, false);
        canvas.write(&remark.1, &text(scale * SIZE, MUTED), (left, 2.0));
        if let Some(color) = remark.0 {
            let from = left - scale * SWATCH;
            canvas.fill(color, (from, 2.0), (left - scale * 3.0, 9.0));
        }
    }
    canvas.part((0.0, REMARK_HEIGHT), (width, height - REMARK_HEIGHT))
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
    pub(super) fn on(canvas: Canvas, summary: &Summary) -> Self {
        let ticks = (canvas.size.0 / 70.0) as usize;
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
        color: Rgb,
    ) -> Vec<Band> {
        let edge = |frame: usize| (frame as f64 - 0.5) / self.frames_per_unit;
        let band = |frames: Range<usize>| (edge(frames.start)..edge(frames.end), color);
        frames.into_iter().map(band).collect()
    }
}

/// A shaded stretch of the horizontal axis.
pub(super) type Band = (Range<f64>, Rgb);

/// A plotting area in the units of its axes.
pub(super) struct Chart<'p> {
    area: Canvas<'p>,
    x: Axis,
    y: Axis,
}

impl<'p> Chart<'p> {
    /// Size of the plotting area within `canvas` above a named horizontal axis, in points.
    pub(super) fn size_on(canvas: Canvas) -> Points {
        (canvas.size.0 - Y_AXIS_ROOM, canvas.size.1 - X_AXIS_ROOM)
    }

    /// Draws bands, grid and axes. Axes have a name with its unit; a horizontal one without a name has no tick labels.
    pub(super) fn new(
        canvas: Canvas<'p>,
        (x, x_name): (&Axis, Option<&str>),
        (y, y_name): (&Axis, &str),
        bands: &[Band],
    ) -> Self {
        let room = x_name.map_or(TICK_LENGTH, |_| X_AXIS_ROOM);
        let (width, height) = (canvas.size.0 - Y_AXIS_ROOM, canvas.size.1 - room);
        let area = canvas.part((Y_AXIS_ROOM, 0.0), (width, height));
        let (x, y) = (x.clone(), y.clone());
        let chart = Self { area, x, y };
        for (span, color) in bands {
            let [from, to] =
                [span.start, span.end].map(|x| chart.x.place(x).clamp(0.0, 1.0) * width);
            if from < width && to > 0.0 {
                let to = to.max(from + NARROWEST_BAND).min(width);
                area.fill(*color, (from, 0.0), (to, height));
            }
        }
        chart.draw_axes(x_name, y_name);
        chart
    }

    fn draw_axes(&self, x_name: Option<&str>, y_name: &str) {
        const SIZE: f64 = 8.0;
        const NAME: f64 = 9.0;
        let (area, (width, height)) = (self.area, self.area.size);
        let (left, bottom) = (-TICK_LENGTH, height + TICK_LENGTH);
        let label = |anchor| Text {
            anchor,
            ..text(SIZE, INK)
        };
        for &tick in &self.x.ticks {
            let x = self.x.place(tick) * width;
            area.line(HAIRLINE, 0.4, [(x, 0.0), (x, height)]);
            area.line(AXIS, 0.6, [(x, height), (x, bottom)]);
            if x_name.is_some() {
                let words = self.x.label(tick);
                area.write(&words, &label(Anchor::Middle), (x, bottom + 1.0));
            }
        }
        for &tick in &self.y.ticks {
            let y = (1.0 - self.y.place(tick)) * height;
            area.line(HAIRLINE, 0.4, [(0.0, y), (width, y)]);
            area.line(AXIS, 0.6, [(left, y), (0.0, y)]);
            let words = self.y.label(tick);
            area.write(&words, &label(Anchor::Right), (left - 2.0, y - 0.4 * SIZE));
        }
        area.line(AXIS, 0.6, [(0.0, 0.0), (0.0, height), (width, height)]);
        let name = |upwards| Text {
            upwards,
            anchor: Anchor::Middle,
            ..text(NAME, INK)
        };
        area.write(
            x_name.unwrap_or(""),
            &name(false),
            (width / 2.0, height + X_AXIS_ROOM - 1.2 * NAME),
        );
        area.write(y_name, &name(true), (2.0 - Y_AXIS_ROOM, height / 2.0));
    }

    /// The place of a value on both axes.
    fn at(&self, (x, y): Points) -> Points {
        let (width, height) = self.area.size;
        (self.x.place(x) * width, (1.0 - self.y.place(y)) * height)
    }

    /// Fills a rectangle between two corners.
    pub(super) fn fill(&self, color: Rgb, from: Points, to: Points) {
        self.area.fill(color, self.at(from), self.at(to));
    }

    /// Draws a line of a width in points.
    pub(super) fn line(&self, color: Rgb, width: f64, points: impl IntoIterator<Item = Points>) {
        let points = points.into_iter().map(|point| self.at(point));
        self.area.line(color, width, points);
    }

    /// Draws a dot of a radius in points.
    pub(super) fn dot(&self, color: Rgb, radius: f64, point: Points) {
        self.area.dot(color, radius, self.at(point));
    }

    /// Columns into which a trace is thinned.
    pub(super) fn columns(canvas: Canvas) -> usize {
        (Self::size_on(canvas).0 / LINE_WIDTH) as usize
    }

    /// Plots one value per frame as a line, broken where there is no value.
    pub(super) fn trace(&self, time: &TimeAxis, values: &[f32], color: Rgb) {
        let columns = (self.area.size.0 / LINE_WIDTH) as usize;
        for segment in line_segments(values, columns) {
            let points = segment
                .iter()
                .map(|&(frame, value)| (time.at(frame), f64::from(value)));
            match segment[..] {
                [(frame, lone)] => self.dot(color, 1.0, (time.at(frame), f64::from(lone))),
                _ => self.line(color, LINE_WIDTH, points),
            }
        }
    }

    /// Writes `words` in the middle.
    pub(super) fn say(&self, words: &str) {
        let (width, height) = self.area.size;
        let anchor = Anchor::Middle;
        let style = Text {
            anchor,
            ..text(10.0, MUTED)
        };
        self.area
            .write(words, &style, (width / 2.0, height / 2.0 - 4.0));
    }
}
