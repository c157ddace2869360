//! A page of vector graphics, whatever the form of its file, and the rectangles on it that figures fill.
//!
//! Figures count in points, x to the right and y downwards; files in whole tenths of a point, which are fine enough for print and
//! short. Neighbouring shapes of one paint become one path.

use std::cell::RefCell;
use std::fmt;

/// Device units in a point.
pub(super) const UNITS_PER_POINT: f64 = 10.0;
/// Subpaths after which a path is painted, since some readers are slow on very long ones.
const SUBPATHS_PER_PATH: usize = 512;
/// Height of Helvetica above its baseline at font size 1.
const ASCENT: f64 = 0.76;

/// A place, or a width and a height, in device units.
pub(super) type Units = (i32, i32);
/// A place, or a width and a height, in points.
pub(super) type Points = (f64, f64);

/// Red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rgb(pub u8, pub u8, pub u8);

/// As browsers write it.
impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// How a path is painted: its inside, or its line in a width of device units.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Paint {
    Fill(Rgb),
    Stroke(Rgb, i32),
}

/// Which end of a text is at its place.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Text {
    /// Size of the font, in points.
    pub size: f64,
    pub color: Rgb,
    pub bold: bool,
    pub anchor: Anchor,
    /// Whether it runs upwards instead of to the right.
    pub upwards: bool,
}

/// A text of one size, in one colour, from its place to the right.
pub(super) fn text(size: f64, color: Rgb) -> Text {
    let (bold, anchor, upwards) = (false, Anchor::Left, false);
    Text {
        size,
        color,
        bold,
        anchor,
        upwards,
    }
}

/// Writes paths and texts in the form of one kind of file.
pub(super) trait Pen {
    /// Begins a path that `end_path` will paint with the same paint.
    fn begin_path(&mut self, paint: Paint);
    /// Begins a subpath.
    fn move_to(&mut self, place: Units);
    /// Continues a subpath.
    fn line_to(&mut self, place: Units);
    /// A subpath of its own.
    fn rect(&mut self, corner: Units, size: Units);
    /// Paints the path.
    fn end_path(&mut self, paint: Paint);
    /// Writes a text whose baseline begins, ends or has its middle at a place; never within a path.
    fn write(&mut self, words: &str, style: &Text, place: Units);
    /// What was drawn, once.
    fn take(&mut self) -> Vec<u8>;
}

struct Page {
    pen: Box<dyn Pen>,
    pending: Option<Paint>,
    subpaths: usize,
}

impl Page {
    /// Begins a subpath that will be painted with `paint`, together with those before it where that looks the same.
    fn subpath(&mut self, paint: Paint) -> &mut dyn Pen {
        if self.pending != Some(paint) || self.subpaths >= SUBPATHS_PER_PATH {
            self.paint_pending().begin_path(paint);
            self.pending = Some(paint);
        }
        self.subpaths += 1;
        &mut *self.pen
    }

    fn paint_pending(&mut self) -> &mut dyn Pen {
        if let Some(paint) = self.pending.take() {
            self.pen.end_path(paint);
        }
        self.subpaths = 0;
        &mut *self.pen
    }
}

/// What `pen` makes of a page of a size in points that `plot` fills.
pub(super) fn drawn(pen: Box<dyn Pen>, size: Points, plot: impl FnOnce(Canvas)) -> Vec<u8> {
    let (pending, subpaths) = (None, 0);
    let page = RefCell::new(Page {
        pen,
        pending,
        subpaths,
    });
    let (corner, page_ref) = ((0.0, 0.0), &page);
    plot(Canvas {
        page: page_ref,
        corner,
        size,
    });
    page.borrow_mut().paint_pending().take()
}

/// A rectangle of a page.
#[derive(Clone, Copy)]
pub(crate) struct Canvas<'p> {
    page: &'p RefCell<Page>,
    corner: Points,
    /// Width and height in points.
    pub(super) size: Points,
}

impl Canvas<'_> {
    /// A part of it: its corner and its size.
    pub(super) fn part(self, corner: Points, size: Points) -> Self {
        let corner = (self.corner.0 + corner.0, self.corner.1 + corner.1);
        Self {
            corner,
            size,
            ..self
        }
    }

    /// Writes `words` with the top of their line at `place`.
    pub(super) fn write(self, words: &str, style: &Text, (x, y): Points) {
        let below = ASCENT * style.size;
        let baseline = if style.upwards {
            (x + below, y)
        } else {
            (x, y + below)
        };
        let place = self.units(baseline);
        self.page
            .borrow_mut()
            .paint_pending()
            .write(words, style, place);
    }

    /// Fills a rectangle between two corners.
    pub(super) fn fill(self, color: Rgb, from: Points, to: Points) {
        let ((left, top), (right, bottom)) = (self.units(from), self.units(to));
        let (x, y) = (left.min(right), top.min(bottom));
        let size = ((right - left).abs(), (bottom - top).abs());
        let mut page = self.page.borrow_mut();
        page.subpath(Paint::Fill(color)).rect((x, y), size);
    }

    /// Draws a line of a width in points.
    pub(super) fn line(self, color: Rgb, width: f64, points: impl IntoIterator<Item = Points>) {
        let mut points = points.into_iter().map(|point| self.units(point));
        if let Some(first) = points.next() {
            let mut page = self.page.borrow_mut();
            let pen = page.subpath(Paint::Stroke(color, units(width)));
            pen.move_to(first);
            points.for_each(|point| pen.line_to(point));
        }
    }

    /// Draws a dot: a line of one device unit with round ends, far shorter in the file than a circle.
    pub(super) fn dot(self, color: Rgb, radius: f64, (x, y): Points) {
        let end = (x + 1.0 / UNITS_PER_POINT, y);
        self.line(color, 2.0 * radius, [(x, y), end]);
    }

    fn units(self, (x, y): Points) -> Units {
        (units(self.corner.0 + x), units(self.corner.1 + y))
    }
}

/// Points in device units.
pub(super) fn units(points: f64) -> i32 {
    (points * UNITS_PER_POINT).round() as i32
}
