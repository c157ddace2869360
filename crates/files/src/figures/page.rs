//! A page of vector graphics as a plotters backend, whatever the form of the file.
//!
//! One device unit is a tenth of a point, x to the right and y downwards, so that plotters' whole numbers are fine
//! enough for print and short in the file. Neighbouring shapes of one paint become one path. Nothing is transparent:
//! an alpha below 1 mixes the colour with the white of the paper.

use std::convert::Infallible;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle,
};

use super::metrics::text_width;

/// Device units in a point.
pub(super) const UNITS_PER_POINT: f64 = 10.0;
/// A4 across, width and height in device units.
pub(super) const A4: (u32, u32) = (8419, 5953);

/// Subpaths after which a path is painted, since some readers are slow on very long ones.
const SUBPATHS_PER_PATH: usize = 512;
/// Helvetica's height of capitals, ascender and descender at font size 1.
const CAP_HEIGHT: f64 = 0.72;
const ASCENT: f64 = 0.76;
const DESCENT: f64 = 0.21;

type Plotted = Result<(), DrawingErrorKind<Infallible>>;
/// Red, green and blue.
pub(super) type Rgb = (u8, u8, u8);

/// How a path is painted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Paint {
    /// The inside, in a colour.
    Fill(Rgb),
    /// The line, in a colour and a width.
    Stroke(Rgb, u32),
}

/// Text in one style at one place.
pub(super) struct Label<'a> {
    pub text: &'a str,
    /// Size of the font in device units.
    pub size: f64,
    pub bold: bool,
    pub color: Rgb,
    /// Which part of the text is at its place.
    pub anchor: HPos,
    /// Directions in which the text runs and in which lines follow one another; the place of its baseline.
    pub axes: [BackendCoord; 2],
    pub at: (f64, f64),
}

/// Writes paths and text in the form of a kind of file.
pub(super) trait Pen {
    /// Begins a path that `end_path` will paint with the same paint.
    fn begin_path(&mut self, paint: Paint);
    /// Begins a subpath.
    fn move_to(&mut self, place: BackendCoord);
    /// Continues a subpath.
    fn line_to(&mut self, place: BackendCoord);
    /// Closes a subpath.
    fn close(&mut self);
    /// A subpath of its own: the upper left corner, width and height.
    fn rect(&mut self, corner: BackendCoord, size: (i32, i32));
    /// Paints the path.
    fn end_path(&mut self, paint: Paint);
    /// Writes text; never within a path.
    fn label(&mut self, label: &Label);
    /// What was written, once.
    fn take(&mut self) -> Vec<u8>;
}

/// A page under construction.
pub(crate) struct Page {
    size: (u32, u32),
    pen: Box<dyn Pen>,
    pending: Option<Paint>,
    subpaths: usize,
}

impl Page {
    /// An empty page of a size in device units.
    pub(super) fn new(size: (u32, u32), pen: Box<dyn Pen>) -> Self {
        Self {
            size,
            pen,
            pending: None,
            subpaths: 0,
        }
    }

    /// What was plotted, once.
    pub(super) fn take_content(&mut self) -> Vec<u8> {
        self.paint_pending();
        self.pen.take()
    }

    /// Begins a subpath that will be painted with `paint`, together with those before it where that looks the same.
    fn begin_subpath(&mut self, paint: Paint) {
        if self.pending != Some(paint) || self.subpaths >= SUBPATHS_PER_PATH {
            self.paint_pending();
            self.pen.begin_path(paint);
            self.pending = Some(paint);
        }
        self.subpaths += 1;
    }

    fn paint_pending(&mut self) {
        if let Some(paint) = self.pending.take() {
            self.pen.end_path(paint);
        }
        self.subpaths = 0;
    }
}

impl DrawingBackend for Page {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Plotted {
        Ok(())
    }

    fn present(&mut self) -> Plotted {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Plotted {
        if let Some(color) = on_paper(color) {
            self.begin_subpath(Paint::Fill(color));
            self.pen.rect((x, y), (1, 1));
        }
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Plotted {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Plotted {
        if let Some(color) = on_paper(style.color()) {
            self.begin_subpath(if fill {
                Paint::Fill(color)
            } else {
                Paint::Stroke(color, style.stroke_width())
            });
            let (width, height) = (bottom_right.0 - upper_left.0, bottom_right.1 - upper_left.1);
            self.pen.rect(upper_left, (width, height));
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Plotted {
        let mut points = path.into_iter();
        if let (Some(color), Some(first)) = (on_paper(style.color()), points.next()) {
            self.begin_subpath(Paint::Stroke(color, style.stroke_width()));
            self.pen.move_to(first);
            points.for_each(|point| self.pen.line_to(point));
        }
        Ok(())
    }

    /// A filled circle is a line of one device unit with round ends: far shorter than four Bézier curves.
    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        _fill: bool,
    ) -> Plotted {
        if let Some(color) = on_paper(style.color()) {
            self.begin_subpath(Paint::Stroke(color, 2 * radius));
            self.pen.move_to(center);
            self.pen.line_to((center.0 + 1, center.1));
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Plotted {
        let mut corners = corners.into_iter();
        if let (Some(color), Some(first)) = (on_paper(style.color()), corners.next()) {
            self.begin_subpath(Paint::Fill(color));
            self.pen.move_to(first);
            corners.for_each(|corner| self.pen.line_to(corner));
            self.pen.close();
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        position: BackendCoord,
    ) -> Plotted {
        let Some(color) = on_paper(style.color()) else {
            return Ok(());
        };
        let size = style.size();
        let down = match style.anchor().v_pos {
            VPos::Top => ASCENT * size,
            VPos::Center => CAP_HEIGHT / 2.0 * size,
            VPos::Bottom => -DESCENT * size,
        };
        let rotation = style.transform();
        let axes = [rotation.transform(1, 0), rotation.transform(0, 1)];
        let (x, y) = (f64::from(axes[1].0), f64::from(axes[1].1));
        self.paint_pending();
        self.pen.label(&Label {
            text,
            size,
            bold: is_bold(style.style()),
            color,
            anchor: style.anchor().h_pos,
            axes,
            at: (
                f64::from(position.0) + down * x,
                f64::from(position.1) + down * y,
            ),
        });
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let width = text_width(text, is_bold(style.style()));
        let height = (ASCENT + DESCENT) * style.size();
        Ok(((width * style.size()).ceil() as u32, height.ceil() as u32))
    }
}

fn is_bold(style: FontStyle) -> bool {
    matches!(style, FontStyle::Bold)
}

/// The colour as it looks on white paper; nothing where it is fully transparent.
fn on_paper(color: BackendColor) -> Option<Rgb> {
    let mix = |channel: u8| {
        let mixed = f64::from(channel) * color.alpha + 255.0 * (1.0 - color.alpha);
        mixed.round() as u8
    };
    let (red, green, blue) = color.rgb;
    (color.alpha > 0.0).then(|| (mix(red), mix(green), mix(blue)))
}
