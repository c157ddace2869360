//! What the pixels of the z-planes hold, as maps of 256 x 128 pixels: x to the right, y upwards.

use spikegrid_core::grid::{COLUMNS, Place, ROWS};
use spikegrid_core::wording::whole;

use super::Summary;
use super::canvas::{Canvas, Rgb, text};
use super::panel::{BLUE, HAIRLINE, INK, ORANGE, VERMILION, remark};

/// Points from a pixel to the next.
const PIXEL: f64 = 0.4;
/// Width and height of a map, in points.
pub(crate) const MAP_SIZE: (f64, f64) = (ROWS as f64 * PIXEL, COLUMNS as f64 * PIXEL);
/// Dots on paper at most: enough to show the shape of a brain, few enough for a small file.
const MOST_DOTS: usize = 8000;
/// Planes of which a map is shown at most.
pub(crate) const MAPS: usize = 12;
/// Colours from little to much: light and dark blue, orange, vermilion.
const COLORS: [Rgb; 4] = [Rgb(136, 180, 216), BLUE, ORANGE, VERMILION];
/// Least number of neurons for each colour.
pub(crate) const NEURONS: [u64; 4] = [1, 2, 3, 5];
/// Least number of lost spikes for each colour.
pub(crate) const COLLISIONS: [u64; 4] = [1, 10, 100, 1000];

/// A pixel and its number of neurons or of lost spikes.
pub(crate) type Pixel = (Place, u64);

/// The pixels that have neurons and how many, in the order of their places.
pub(crate) fn occupancy(summary: &Summary) -> Vec<Pixel> {
    let mut places: Vec<Place> = summary.places.iter().flatten().copied().collect();
    places.sort_unstable();
    let shared = places.chunk_by(|place, next| place == next);
    shared
        .map(|neurons| (neurons[0], neurons.len() as u64))
        .collect()
}

/// `pixels`, which are in the order of their places, one plane after the other.
pub(crate) fn by_plane(pixels: &[Pixel]) -> Vec<&[Pixel]> {
    pixels
        .chunk_by(|(a, _), (b, _)| a.plane == b.plane)
        .collect()
}

/// At most `most` of `all`, evenly spread.
pub(crate) fn thinned<T: Copy>(all: &[T], most: usize) -> Vec<T> {
    let kept = all.len().min(most);
    let place = |place: usize| (place as u128 * all.len() as u128 / kept as u128) as usize;
    (0..kept).map(|kept| all[place(kept)]).collect()
}

/// The colours of a map with their meaning, such as "5 or more".
pub(crate) fn legend(least: [u64; 4]) -> [(Rgb, String); 4] {
    std::array::from_fn(|class| {
        let from = least[class];
        let words = match least.get(class + 1) {
            None => format!("{from} or more"),
            Some(&next) if next == from + 1 => from.to_string(),
            Some(&next) => format!("{from} to {}", next - 1),
        };
        (COLORS[class], words)
    })
}

/// Plots a dot for each of `pixels`, those with the greatest numbers last; `least` are those of the colours.
///
/// A dot is larger than its pixel, since a lone pixel would not be seen.
pub(crate) fn plot_pixels(canvas: Canvas, pixels: &[Pixel], least: [u64; 4]) {
    let radius = (16.0 / (pixels.len().max(1) as f64).sqrt()).clamp(0.6, 1.4);
    for (class, color) in COLORS.into_iter().enumerate() {
        let next = least.get(class + 1).copied().unwrap_or(u64::MAX);
        let of_class = |(_, number): &&Pixel| (least[class]..next).contains(number);
        for (place, _) in pixels.iter().filter(of_class) {
            let x = (place.row as f64 + 0.5) * PIXEL;
            let y = MAP_SIZE.1 - (place.column as f64 + 0.5) * PIXEL;
            canvas.dot(color, radius, (x, y));
        }
    }
}

/// Plots the neurons of some planes in three columns of maps.
pub(super) fn plot_maps(canvas: Canvas, summary: &Summary) {
    const COLUMN: f64 = 104.5;
    const ROW: f64 = 56.0;
    let pixels = occupancy(summary);
    let all = by_plane(&pixels);
    let planes = thinned(&all, MAPS);
    let most = MOST_DOTS / planes.len().max(1);
    let mut remarks = legend(NEURONS)
        .map(|(color, words)| (Some(color), words))
        .to_vec();
    if planes.len() < all.len() {
        remarks.push((None, format!("{MAPS} of {} planes", whole(all.len()))));
    }
    if planes.iter().any(|pixels| pixels.len() > most) {
        remarks.push((None, format!("at most {most} pixels each")));
    }
    let canvas = remark(canvas, &remarks);
    for (place, pixels) in planes.into_iter().enumerate() {
        let corner = (COLUMN * (place % 3) as f64, ROW * (place / 3) as f64);
        let (map, (width, height)) = (canvas.part(corner, MAP_SIZE), MAP_SIZE);
        let frame = [
            (0.0, 0.0),
            (width, 0.0),
            (width, height),
            (0.0, height),
            (0.0, 0.0),
        ];
        map.line(HAIRLINE, 0.5, frame);
        plot_pixels(map, &thinned(pixels, most), NEURONS);
        map.write(
            &format!("plane {}", pixels[0].0.plane),
            &text(6.0, INK),
            (2.0, 2.0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_many_cells_draws_a_bounded_number() {
        let cells: Vec<usize> = (0..100_000).collect();
        let plotted = thinned(&cells, MOST_DOTS);
        assert_eq!(plotted.len(), MOST_DOTS);
        assert_eq!((plotted[0], plotted[MOST_DOTS - 1]), (0, 99_987));
        assert_eq!(thinned(&cells[..3], MOST_DOTS), cells[..3]);
        assert!(thinned(&cells[..0], MOST_DOTS).is_empty());
    }

    #[test]
    fn pixels_are_counted_and_told_apart_by_colour() {
        let words = |least| legend(least).map(|(_, words)| words);
        assert_eq!(words(NEURONS), ["1", "2", "3 to 4", "5 or more"]);
        assert_eq!(words(COLLISIONS)[0], "1 to 9");
    }
}
