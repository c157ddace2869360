//! Paths and text as an SVG element that stands in a page for a browser.

use std::fmt::Write;

use maud::html;
use plotters_backend::BackendCoord;
use plotters_backend::text_anchor::HPos;

use super::metrics::text_width;
use super::page::{Label, Paint, Pen, Rgb};

/// An SVG element under construction.
pub(super) struct SvgPen {
    text: String,
    /// Where the path under construction is and where its subpath began.
    at: BackendCoord,
    start: BackendCoord,
}

impl SvgPen {
    /// An empty picture of a size in device units; `title` is read aloud in its place.
    pub(super) fn new((width, height): (u32, u32), title: &str) -> Self {
        let title = html! { (title) }.into_string().replace('"', "&quot;");
        let text = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\" \
             stroke-linecap=\"round\" stroke-linejoin=\"round\">\n"
        );
        Self {
            text,
            at: (0, 0),
            start: (0, 0),
        }
    }

    /// Adds formatted text. A string takes all that is written into it.
    fn add(&mut self, arguments: std::fmt::Arguments) {
        let _ = self.text.write_fmt(arguments);
    }

    /// Adds the way from the last place to `place`: after `m`, further numbers draw lines.
    fn step_to(&mut self, (x, y): BackendCoord) {
        let (right, down) = (x - self.at.0, y - self.at.1);
        let separator = if down < 0 { "" } else { " " };
        self.add(format_args!("{right}{separator}{down}"));
        self.at = (x, y);
    }
}

impl Pen for SvgPen {
    fn begin_path(&mut self, paint: Paint) {
        match paint {
            Paint::Fill(color) => self.add(format_args!("<path fill=\"{}\" d=\"", hex(color))),
            Paint::Stroke(color, width) => self.add(format_args!(
                "<path fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" d=\"",
                hex(color)
            )),
        }
        self.at = (0, 0);
    }

    fn move_to(&mut self, place: BackendCoord) {
        self.text.push('m');
        self.step_to(place);
        self.start = place;
    }

    fn line_to(&mut self, place: BackendCoord) {
        if place.0 >= self.at.0 {
            self.text.push(' ');
        }
        self.step_to(place);
    }

    fn close(&mut self) {
        self.text.push('z');
        self.at = self.start;
    }

    fn rect(&mut self, corner: BackendCoord, (width, height): (i32, i32)) {
        self.move_to(corner);
        self.add(format_args!("h{width}v{height}h{}z", -width));
    }

    fn end_path(&mut self, _: Paint) {
        self.text.push_str("\"/>\n");
    }

    fn label(&mut self, label: &Label) {
        let anchor = match label.anchor {
            HPos::Left => "",
            HPos::Center => " text-anchor=\"middle\"",
            HPos::Right => " text-anchor=\"end\"",
        };
        let weight = if label.bold {
            " font-weight=\"bold\""
        } else {
            ""
        };
        let (x, y) = (label.at.0.round(), label.at.1.round());
        let place = match label.axes {
            [(1, 0), (0, 1)] => format!("x=\"{x}\" y=\"{y}\""),
            [(a, b), (c, d)] => format!("transform=\"matrix({a} {b} {c} {d} {x} {y})\""),
        };
        let (size, color) = (label.size, hex(label.color));
        // The figure is laid out for Helvetica: where the browser has another font, that one is made as wide.
        let length = (size * text_width(label.text, label.bold)).round();
        let text = html! { (label.text) }.into_string();
        self.add(format_args!(
            "<text {place} font-size=\"{size}\" fill=\"{color}\"{anchor}{weight} textLength=\"{length}\" \
             lengthAdjust=\"spacingAndGlyphs\">{text}</text>\n"
        ));
    }

    fn take(&mut self) -> Vec<u8> {
        self.text.push_str("</svg>");
        std::mem::take(&mut self.text).into_bytes()
    }
}

fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
