//! Paths and text as the content of a page of a PDF.

use pdf_writer::types::{LineCapStyle, LineJoinStyle};
use pdf_writer::{Content, Name, Str};
use plotters_backend::BackendCoord;
use plotters_backend::text_anchor::HPos;

use super::metrics::{Face, SUBSCRIPT_SCALE, runs};
use super::page::{A4, Label, Paint, Pen, Rgb, UNITS_PER_POINT};

/// The content of one page under construction.
pub(super) struct PdfPen {
    content: Content,
    fill_color: Option<Rgb>,
    stroke_color: Option<Rgb>,
    line_width: Option<u32>,
}

impl PdfPen {
    /// An empty page.
    pub(super) fn new() -> Self {
        let mut content = Content::new();
        let unit = (1.0 / UNITS_PER_POINT) as f32;
        content.transform([unit, 0.0, 0.0, -unit, 0.0, page_size_points().1]);
        content.set_line_cap(LineCapStyle::RoundCap);
        content.set_line_join(LineJoinStyle::RoundJoin);
        Self {
            content,
            fill_color: None,
            stroke_color: None,
            line_width: None,
        }
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
}

impl Pen for PdfPen {
    fn begin_path(&mut self, paint: Paint) {
        match paint {
            Paint::Fill(color) => self.set_fill_color(color),
            Paint::Stroke(color, width) => self.set_stroke(color, width),
        }
    }

    fn move_to(&mut self, (x, y): BackendCoord) {
        self.content.move_to(x as f32, y as f32);
    }

    fn line_to(&mut self, (x, y): BackendCoord) {
        self.content.line_to(x as f32, y as f32);
    }

    fn close(&mut self) {
        self.content.close_path();
    }

    fn rect(&mut self, (x, y): BackendCoord, (width, height): (i32, i32)) {
        let [x, y, width, height] = [x, y, width, height].map(|number| number as f32);
        self.content.rect(x, y, width, height);
    }

    fn end_path(&mut self, paint: Paint) {
        match paint {
            Paint::Fill(_) => self.content.fill_nonzero(),
            Paint::Stroke(..) => self.content.stroke(),
        };
    }

    fn label(&mut self, label: &Label) {
        let (size, runs) = (label.size, runs(label.text, label.bold));
        self.set_fill_color(label.color);
        self.content.begin_text();
        let width = size * runs.iter().map(|run| run.width).sum::<f64>();
        self.content.set_text_matrix(text_matrix(label, width));
        for run in &runs {
            let (scale, rise) = if run.subscript {
                (SUBSCRIPT_SCALE, -0.15 * size)
            } else {
                (1.0, 0.0)
            };
            let font = font_name(run.face);
            self.content.set_font(font, (size * scale) as f32);
            self.content.set_rise(rise as f32);
            self.content.show(Str(&run.bytes));
        }
        self.content.end_text();
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::replace(self, Self::new())
            .content
            .finish()
            .into_vec()
    }
}

/// Width and height of the page in points.
pub(super) fn page_size_points() -> (f32, f32) {
    let points = |units: u32| (f64::from(units) / UNITS_PER_POINT) as f32;
    (points(A4.0), points(A4.1))
}

/// Name of a font in the resources of every page.
pub(super) fn font_name(face: Face) -> Name<'static> {
    match face {
        Face::Regular => Name(b"R"),
        Face::Bold => Name(b"B"),
        Face::Symbol => Name(b"S"),
    }
}

/// Where text of a `width` starts and which way it runs.
fn text_matrix(label: &Label, width: f64) -> [f32; 6] {
    let right = match label.anchor {
        HPos::Left => 0.0,
        HPos::Center => -width / 2.0,
        HPos::Right => -width,
    };
    let [(ax, ay), (bx, by)] = label.axes.map(|(x, y)| (f64::from(x), f64::from(y)));
    let x = label.at.0 + right * ax;
    let y = label.at.1 + right * ay;
    [ax, ay, -bx, -by, x.round(), y.round()].map(|number| number as f32)
}

/// A colour in PDF's scale of 0 to 1, rounded to what one byte holds.
fn unit_rgb((red, green, blue): Rgb) -> [f32; 3] {
    [red, green, blue].map(|channel| (f32::from(channel) / 255.0 * 1000.0).round() / 1000.0)
}
