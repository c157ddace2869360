//! Paths and texts as an SVG element that stands in a page for a browser.

use std::fmt::Write;

use maud::html;

use super::canvas::{Anchor, Paint, Pen, Points, Text, UNITS_PER_POINT, Units, units};
use super::metrics::text_width;

/// An SVG element under construction.
pub(super) struct SvgPen {
    text: String,
    /// Where the path under construction is.
    at: Units,
}

impl SvgPen {
    /// An empty picture of a size in points; `title` is read aloud in its place.
    pub(super) fn new((width, height): Points, title: &str) -> Self {
        let title = html! { (title) }.into_string();
        let text = format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{title}\" stroke-linecap=\"round\" stroke-linejoin=\"round\">\n",
            units(width),
            units(height)
        );
        Self { text, at: (0, 0) }
    }

    /// A string takes all that is written into it.
    fn add(&mut self, arguments: std::fmt::Arguments) {
        let _ = self.text.write_fmt(arguments);
    }
}

impl Pen for SvgPen {
    fn begin_path(&mut self, paint: Paint) {
        match paint {
            Paint::Fill(color) => self.add(format_args!("<path fill=\"{color}\" d=\"")),
            Paint::Stroke(color, width) => self.add(format_args!(
                "<path fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" d=\""
            )),
        }
        self.at = (0, 0);
    }

    fn move_to(&mut self, place: Units) {
        self.text.push('m');
        self.line_to(place);
    }

    /// Adds the way from the last place: after `m`, further numbers draw lines.
    fn line_to(&mut self, (x, y): Units) {
        self.add(format_args!("{} {} ", x - self.at.0, y - self.at.1));
        self.at = (x, y);
    }

    fn rect(&mut self, corner: Units, (width, height): Units) {
        self.move_to(corner);
        self.add(format_args!("h{width}v{height}h{}z", -width));
    }

    fn end_path(&mut self, _: Paint) {
        self.text.push_str("\"/>\n");
    }

    fn write(&mut self, words: &str, style: &Text, (x, y): Units) {
        let place = match style.upwards {
            true => format!("transform=\"translate({x} {y})rotate(-90)\""),
            false => format!("x=\"{x}\" y=\"{y}\""),
        };
        let anchor = match style.anchor {
            Anchor::Left => "start",
            Anchor::Middle => "middle",
            Anchor::Right => "end",
        };
        let weight = if style.bold { "bold" } else { "normal" };
        let size = style.size * UNITS_PER_POINT;
        // The figure is laid out for Helvetica: where the browser has another font, that one is made as wide.
        let length = (size * text_width(words, style.bold)).round();
        let (color, words) = (style.color, html! { (words) }.into_string());
        self.add(format_args!(
            "<text {place} font-size=\"{size}\" fill=\"{color}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\" \
             textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\">{words}</text>\n"
        ));
    }

    fn take(&mut self) -> Vec<u8> {
        self.text.push_str("</svg>");
        std::mem::take(&mut self.text).into_bytes()
    }
}
