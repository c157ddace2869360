//! What the pixels of a z-plane hold, as a map of 256 x 128 pixels: x to the right, y upwards.

use plotters::prelude::*;
use spikegrid_core::grid::{COLUMNS, ROWS};

use super::page::UNITS_PER_POINT;
use super::panel::{BLUE, Canvas, VERMILION};
use super::{Collision, PlotError, Summary};

/// Device units from a pixel to the next.
const PIXEL: usize = 4;
/// Radius of the dot that stands for a pixel: larger than the pixel, since a single one would not be seen.
const RADIUS: (f64, f64) = (6.0, 14.0);
/// Colours from little to much: light and dark blue, orange, vermilion.
const COLORS: [RGBColor; 4] = [
    RGBColor(136, 180, 216),
    BLUE,
    RGBColor(230, 159, 0),
    VERMILION,
];
/// Least number of neurons for each colour.
pub(crate) const NEURONS: [u64; 4] = [1, 2, 3, 5];
/// Least number of lost spikes for each colour.
pub(crate) const COLLISIONS: [u64; 4] = [1, 10, 100, 1000];

/// A pixel with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pixel {
    pub plane: usize,
    pub row: usize,
    pub column: usize,
    /// Neurons or spikes.
    pub number: u64,
}

impl From<Collision> for Pixel {
    fn from(collision: Collision) -> Self {
        Self {
            plane: collision.plane,
            row: collision.row,
            column: collision.column,
            number: collision.lost,
        }
    }
}

/// The pixels that have neurons and how many, by plane.
pub(crate) fn occupancy(summary: &Summary) -> Vec<Pixel> {
    let mut places: Vec<_> = summary.pixels.iter().flatten().collect();
    places.sort_unstable();
    let shared = places.chunk_by(|place, next| place == next);
    let pixel = |&&(plane, row, column): &&(usize, usize, usize), number| Pixel {
        plane,
        row,
        column,
        number: number as u64,
    };
    shared
        .map(|neurons| pixel(&neurons[0], neurons.len()))
        .collect()
}

/// Width and height of a map in points.
pub(crate) fn map_size() -> (f64, f64) {
    let points = |pixels: usize| (pixels * PIXEL) as f64 / UNITS_PER_POINT;
    (points(ROWS), points(COLUMNS))
}

/// The colours of a map with their meaning, such as "5 or more".
pub(crate) fn legend(least: [u64; 4]) -> [(String, String); 4] {
    std::array::from_fn(|class| {
        let RGBColor(red, green, blue) = COLORS[class];
        let from = least[class];
        let words = match least.get(class + 1) {
            None => format!("{from} or more"),
            Some(&next) if next == from + 1 => from.to_string(),
            Some(&next) => format!("{from} to {}", next - 1),
        };
        (format!("#{red:02x}{green:02x}{blue:02x}"), words)
    })
}

/// Plots a dot for each of `pixels`, those with the greatest numbers last; `least` are those of the colours.
///
/// # Errors
/// When the plotting library refuses.
pub(crate) fn plot_pixels(
    canvas: &Canvas,
    pixels: &[Pixel],
    least: [u64; 4],
) -> Result<(), PlotError> {
    let radius = (160.0 / (pixels.len().max(1) as f64).sqrt()).clamp(RADIUS.0, RADIUS.1) as u32;
    let middle = |place: usize| (place * PIXEL + PIXEL / 2) as i32;
    for (class, color) in COLORS.into_iter().enumerate() {
        let next = least.get(class + 1).copied().unwrap_or(u64::MAX);
        let of_class = |pixel: &&Pixel| (least[class]..next).contains(&pixel.number);
        for pixel in pixels.iter().filter(of_class) {
            let at = (
                middle(pixel.row),
                middle(COLUMNS.saturating_sub(pixel.column + 1)),
            );
            canvas.draw(&Circle::new(at, radius, color.filled()))?;
        }
    }
    Ok(())
}
