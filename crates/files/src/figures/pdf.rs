//! Paths and texts as the content of a page of a PDF.

use pdf_writer::types::{LineCapStyle, LineJoinStyle};
use pdf_writer::{Content, Name, Str};

use super::canvas::{Anchor, Paint, Pen, Rgb, Text, UNITS_PER_POINT, Units};
use super::metrics::{Face, SUBSCRIPT_SCALE, runs};

/// A4 across: width and height in points.
pub(super) const A4: (f64, f64) = (841.9, 595.3);

/// The content of one page under construction.
pub(super) struct PdfPen {
    content: Content,
    fill_color: Option<Rgb>,
    stroke: Option<(Rgb, i32)>,
}

impl PdfPen {
    /// An empty page.
    pub(super) fn new() -> Self {
        let mut content = Content::new();
        let unit = (1.0 / UNITS_PER_POINT) as f32;
        content.transform([unit, 0.0, 0.0, -unit, 0.0, A4.1 as f32]);
        content.set_line_cap(LineCapStyle::RoundCap);
        content.set_line_join(LineJoinStyle::RoundJoin);
        let (fill_color, stroke) = (None, None);
        Self {
            content,
            fill_color,
            stroke,
        }
    }

    fn set_fill_color(&mut self, color: Rgb) {
        if self.fill_color.replace(color) != Some(color) {
            let [red, green, blue] = unit_rgb(color);
            self.content.set_fill_rgb(red, green, blue);
        }
    }
}

impl Pen for PdfPen {
    fn begin_path(&mut self, paint: Paint) {
        match paint {
            Paint::Fill(color) => self.set_fill_color(color),
            Paint::Stroke(color, width) => {
                if self.stroke.replace((color, width)) != Some((color, width)) {
                    let [red, green, blue] = unit_rgb(color);
                    self.content.set_stroke_rgb(red, green, blue);
                    self.content.set_line_width(width as f32);
                }
            }
        }
    }

    fn move_to(&mut self, (x, y): Units) {
        self.content.move_to(x as f32, y as f32);
    }

    fn line_to(&mut self, (x, y): Units) {
        self.content.line_to(x as f32, y as f32);
    }

    fn rect(&mut self, (x, y): Units, (width, height): Units) {
        let [x, y, width, height] = [x, y, width, height].map(|number| number as f32);
        self.content.rect(x, y, width, height);
    }

    fn end_path(&mut self, paint: Paint) {
        match paint {
            Paint::Fill(_) => self.content.fill_nonzero(),
            Paint::Stroke(..) => self.content.stroke(),
        };
    }

    fn write(&mut self, words: &str, style: &Text, (x, y): Units) {
        let (size, runs) = (style.size * UNITS_PER_POINT, runs(words, style.bold));
        let width: f64 = runs.iter().map(|run| run.width).sum();
        let back = match style.anchor {
            Anchor::Left => 0.0,
            Anchor::Middle => size * width / 2.0,
            Anchor::Right => size * width,
        };
        let (x, y, back) = (x as f32, y as f32, back.round() as f32);
        self.set_fill_color(style.color);
        self.content.begin_text();
        self.content.set_text_matrix(if style.upwards {
            [0.0, -1.0, -1.0, 0.0, x, y + back]
        } else {
            [1.0, 0.0, 0.0, -1.0, x - back, y]
        });
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
        let page = std::mem::replace(self, Self::new());
        page.content.finish().into_vec()
    }
}

/// Name of a font in the resources of every page.
pub(super) fn font_name(face: Face) -> Name<'static> {
    match face {
        Face::Regular => Name(b"R"),
        Face::Bold => Name(b"B"),
        Face::Symbol => Name(b"S"),
    }
}

/// A colour in PDF's scale of 0 to 1, rounded to what one byte holds.
fn unit_rgb(Rgb(red, green, blue): Rgb) -> [f32; 3] {
    [red, green, blue].map(|channel| (f32::from(channel) / 255.0 * 1000.0).round() / 1000.0)
}
