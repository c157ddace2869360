//! A page of vector graphics as a plotters backend.
//!
//! One device unit is a tenth of a point, x to the right and y downwards, so that plotters' whole numbers are fine
//! enough for print and short in the file. Neighbouring shapes of one paint become one path. Nothing is transparent:
//! an alpha below 1 mixes the colour with the white of the paper.

use std::convert::Infallible;

use pdf_writer::types::{LineCapStyle, LineJoinStyle};
use pdf_writer::{Content, Name, Str};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle, FontTransform,
};

use super::metrics::{Face, Run, SUBSCRIPT_SCALE, runs};

/// Device units in a point.
pub(super) const UNITS_PER_POINT: f64 = 10.0;
/// Width of A4 across, in device units.
pub(super) const PAGE_WIDTH: u32 = 8419;
/// Height of A4 across, in device units.
pub(super) const PAGE_HEIGHT: u32 = 5953;

/// Subpaths after which a path is painted, since some readers are slow on very long ones.
const SUBPATHS_PER_PATH: usize = 512;
/// Helvetica's height of capitals, ascender and descender at font size 1.
const CAP_HEIGHT: f64 = 0.72;
const ASCENT: f64 = 0.76;
const DESCENT: f64 = 0.21;

type Plotted = Result<(), DrawingErrorKind<Infallible>>;
type Rgb = (u8, u8, u8);

/// How the path under construction will be painted.
#[derive(Clone, Copy, PartialEq)]
enum Paint {
    Fill(Rgb),
    Stroke(Rgb, u32),
}

/// The content of one page under construction.
pub(super) struct Page {
    content: Content,
    pending: Option<Paint>,
    subpaths: usize,
    fill_color: Option<Rgb>,
    stroke_color: Option<Rgb>,
    line_width: Option<u32>,
}

impl Page {
    /// An empty page.
    pub(super) fn new() -> Self {
        let mut content = Content::new();
        let unit = (1.0 / UNITS_PER_POINT) as f32;
        content.transform([unit, 0.0, 0.0, -unit, 0.0, page_height_points()]);
        content.set_line_cap(LineCapStyle::RoundCap);
        content.set_line_join(LineJoinStyle::RoundJoin);
        Self {
            content,
            pending: None,
            subpaths: 0,
            fill_color: None,
            stroke_color: None,
            line_width: None,
        }
    }

    /// The content stream of what was plotted; the page is empty afterwards.
    pub(super) fn take_content(&mut self) -> Vec<u8> {
        self.paint_pending();
        std::mem::replace(self, Self::new())
            .content
            .finish()
            .into_vec()
    }

    /// Begins a subpath that will be painted with `paint`, together with those before it where that looks the same.
    fn begin_subpath(&mut self, paint: Paint) {
        if self.pending != Some(paint) || self.subpaths >= SUBPATHS_PER_PATH {
            self.paint_pending();
            match paint {
                Paint::Fill(color) => self.set_fill_color(color),
                Paint::Stroke(color, width) => self.set_stroke(color, width),
            }
            self.pending = Some(paint);
        }
        self.subpaths += 1;
    }

    fn paint_pending(&mut self) {
        match self.pending.take() {
            Some(Paint::Fill(_)) => {
                self.content.fill_nonzero();
            }
            Some(Paint::Stroke(..)) => {
                self.content.stroke();
            }
            None => {}
        }
        self.subpaths = 0;
    }

    fn set_fill_color(&mut self, color: Rgb) {
        if self.fill_color.replace(color) != Some(color) {
            let [red, green, blue] = unit_rgb(color);
            self.content.set_fill_rgb(red, green, blue);
        }
    }

    fn set_stroke(&mut self, color: Rgb, width: u32) {
        if self.stroke_color.replace(color) != Some(color) {
            let [red, green, blue] = unit_rgb(color);
            self.content.set_stroke_rgb(red, green, blue);
        }
        if self.line_width.replace(width) != Some(width) {
            self.content.set_line_width(width as f32);
        }
    }

    fn move_to(&mut self, (x, y): BackendCoord) {
        self.content.move_to(x as f32, y as f32);
    }

    fn line_to(&mut self, (x, y): BackendCoord) {
        self.content.line_to(x as f32, y as f32);
    }

    fn show_runs(&mut self, runs: &[Run], size: f64, matrix: [f32; 6]) {
        self.content.begin_text();
        self.content.set_text_matrix(matrix);
        for run in runs {
            let (scale, rise) = if run.subscript {
                (SUBSCRIPT_SCALE, -0.15 * size)
            } else {
                (1.0, 0.0)
            };
            self.content
                .set_font(font_name(run.face), (size * scale) as f32);
            self.content.set_rise(rise as f32);
            self.content.show(Str(&run.bytes));
        }
        self.content.end_text();
    }
}

impl DrawingBackend for Page {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (PAGE_WIDTH, PAGE_HEIGHT)
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
            self.content.rect(x as f32, y as f32, 1.0, 1.0);
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
            self.content.rect(
                upper_left.0 as f32,
                upper_left.1 as f32,
                width as f32,
                height as f32,
            );
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
            self.move_to(first);
            points.for_each(|point| self.line_to(point));
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
            self.move_to(center);
            self.line_to((center.0 + 1, center.1));
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
            self.move_to(first);
            corners.for_each(|corner| self.line_to(corner));
            self.content.close_path();
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
        let (size, runs) = (style.size(), runs(text, is_bold(style.style())));
        let width = size * runs.iter().map(|run| run.width).sum::<f64>();
        let right = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -width / 2.0,
            HPos::Right => -width,
        };
        let down = match style.anchor().v_pos {
            VPos::Top => ASCENT * size,
            VPos::Center => CAP_HEIGHT / 2.0 * size,
            VPos::Bottom => -DESCENT * size,
        };
        self.paint_pending();
        self.set_fill_color(color);
        let matrix = text_matrix(&style.transform(), position, (right, down));
        self.show_runs(&runs, size, matrix);
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let width: f64 = runs(text, is_bold(style.style()))
            .iter()
            .map(|run| run.width)
            .sum();
        let height = (ASCENT + DESCENT) * style.size();
        Ok(((width * style.size()).ceil() as u32, height.ceil() as u32))
    }
}

/// Height of the page in points.
pub(super) fn page_height_points() -> f32 {
    (f64::from(PAGE_HEIGHT) / UNITS_PER_POINT) as f32
}

/// Width of the page in points.
pub(super) fn page_width_points() -> f32 {
    (f64::from(PAGE_WIDTH) / UNITS_PER_POINT) as f32
}

/// Name of a font in the resources of every page.
pub(super) fn font_name(face: Face) -> Name<'static> {
    match face {
        Face::Regular => Name(b"R"),
        Face::Bold => Name(b"B"),
        Face::Symbol => Name(b"S"),
    }
}

/// Where text starts and which way it runs: `offset` (right, down) is from `position`, before the rotation.
fn text_matrix(
    rotation: &FontTransform,
    position: BackendCoord,
    (right, down): (f64, f64),
) -> [f32; 6] {
    let ((ax, ay), (bx, by)) = (rotation.transform(1, 0), rotation.transform(0, 1));
    let (ax, ay, bx, by) = (f64::from(ax), f64::from(ay), f64::from(bx), f64::from(by));
    let x = f64::from(position.0) + right * ax + down * bx;
    let y = f64::from(position.1) + right * ay + down * by;
    [ax, ay, -bx, -by, x.round(), y.round()].map(|number| number as f32)
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

/// A colour in PDF's scale of 0 to 1, rounded to what one byte holds.
fn unit_rgb((red, green, blue): Rgb) -> [f32; 3] {
    [red, green, blue].map(|channel| (f32::from(channel) / 255.0 * 1000.0).round() / 1000.0)
}
