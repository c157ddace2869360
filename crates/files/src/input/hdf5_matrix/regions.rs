//! Boxes of elements: where a part of one dataset lies in another, and what a set of boxes leaves out.

use std::ops::Range;

use super::links::Selection;

/// Cells that the edges of boxes may cut a matrix into.
const MOST_CELLS: usize = 1 << 22;

/// A box of elements of a dataset, a range for each axis.
pub(super) type Region = Vec<Range<usize>>;

/// The number of elements in a box.
pub(super) fn volume(bounds: &[Range<usize>]) -> usize {
    let lengths = bounds.iter().map(ExactSizeIterator::len);
    lengths.fold(1, usize::saturating_mul)
}

/// Where a region of a source lies in the virtual dataset that shows its part `there` as its part `here`: `Some(None)` where it is
/// not shown, `None` where that cannot be said.
pub(super) fn translate(
    region: &Region,
    there: &Selection,
    here: &Selection,
) -> Option<Option<Region>> {
    let (there, here) = (there.filled()?, here.filled()?);
    // Axes of one element may be added or left out.
    let long = |bounds: &[Range<usize>]| -> Vec<usize> {
        let axes = bounds.iter().enumerate();
        axes.filter(|(_, range)| range.len() > 1)
            .map(|(axis, _)| axis)
            .collect()
    };
    let (from, to) = (long(there), long(here));
    let lengths = |bounds: &[Range<usize>], axes: &[usize]| -> Vec<usize> {
        axes.iter().map(|axis| bounds[*axis].len()).collect()
    };
    if lengths(there, &from) != lengths(here, &to) {
        return None;
    }
    let mut shown: Region = Vec::new();
    for (bound, range) in there.iter().zip(region) {
        let both = bound.start.max(range.start)..bound.end.min(range.end);
        if both.is_empty() {
            return Some(None);
        }
        shown.push(both);
    }
    let mut region = here.to_vec();
    for (from, to) in from.into_iter().zip(to) {
        let offset = |place: usize| here[to].start + place - there[from].start;
        region[to] = offset(shown[from].start)..offset(shown[from].end);
    }
    Some(Some(region))
}

/// What of regions lies within a shape.
pub(super) fn clipped(regions: Vec<Region>, shape: &[usize]) -> Vec<Region> {
    let clipped = regions.into_iter().filter_map(|region| {
        let ranges = region.into_iter().zip(shape);
        let region: Region = ranges
            .map(|(range, extent)| range.start..range.end.min(*extent))
            .collect();
        region
            .iter()
            .all(|range| !range.is_empty())
            .then_some(region)
    });
    clipped.collect()
}

/// What of a matrix lies in none of the boxes; `None` where that is too much to say.
pub(super) fn outside(boxes: &[&[Range<usize>]], shape: [usize; 2]) -> Option<Vec<Region>> {
    let edges = |axis: usize| {
        let ends = boxes
            .iter()
            .flat_map(|bounds| [bounds[axis].start, bounds[axis].end]);
        let mut edges: Vec<usize> = ends.filter(|edge| *edge < shape[axis]).collect();
        edges.extend([0, shape[axis]]);
        edges.sort_unstable();
        edges.dedup();
        edges
    };
    let (rows, columns) = (edges(0), edges(1));
    let wide = columns.len() - 1;
    let cells = (rows.len() - 1)
        .checked_mul(wide)
        .filter(|cells| *cells <= MOST_CELLS)?;
    let mut filled = vec![false; cells];
    for bounds in boxes {
        let across = cells_within(&columns, &bounds[1]);
        for row in cells_within(&rows, &bounds[0]) {
            filled[row * wide..][across.clone()].fill(true);
        }
    }
    let mut regions: Vec<Region> = Vec::new();
    for (row, filled) in rows.windows(2).zip(filled.chunks(wide)) {
        for (column, _) in columns
            .windows(2)
            .zip(filled)
            .filter(|(_, filled)| !**filled)
        {
            match regions.last_mut() {
                Some(last) if last[0].start == row[0] && last[1].end == column[0] => {
                    last[1].end = column[1];
                }
                _ => regions.push(vec![row[0]..row[1], column[0]..column[1]]),
            }
        }
    }
    Some(regions)
}

/// The cells between edges that a range covers, which ends at one of them or beyond the last.
fn cells_within(edges: &[usize], range: &Range<usize>) -> Range<usize> {
    let cell = |place: usize| {
        edges
            .partition_point(|edge| *edge < place)
            .min(edges.len() - 1)
    };
    let end = cell(range.end);
    cell(range.start).min(end)..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(bounds: &[Range<usize>]) -> Selection {
        Selection {
            bounds: Some(bounds.to_vec()),
            elements: volume(bounds),
        }
    }

    #[test]
    fn a_region_of_a_source_lies_where_its_part_is_shown() {
        let shown = |region: [Range<usize>; 2]| {
            let (there, here) = (selection(&[10..60, 5..15]), selection(&[0..50, 20..30]));
            translate(&region.to_vec(), &there, &here)
        };
        assert_eq!(shown([0..20, 0..7]), Some(Some(vec![0..10, 20..22])));
        assert_eq!(shown([59..90, 14..15]), Some(Some(vec![49..50, 29..30])));
        assert_eq!(shown([0..10, 0..15]), Some(None), "beside it");
        // A plane of a stack of planes.
        let (there, here) = (selection(&[3..4, 0..50, 0..9]), selection(&[0..50, 2..11]));
        let region = vec![0..8, 10..20, 4..90];
        assert_eq!(
            translate(&region, &there, &here),
            Some(Some(vec![10..20, 6..11]))
        );
        // Turned, or every second element.
        let turned = selection(&[0..9, 0..50]);
        assert_eq!(
            translate(&vec![0..1, 0..1], &selection(&[0..50, 0..9]), &turned),
            None
        );
        let every_second = Selection {
            elements: 225,
            ..selection(&[0..50, 0..9])
        };
        assert_eq!(
            translate(&vec![0..1, 0..1], &every_second, &every_second),
            None
        );
    }

    #[test]
    fn what_boxes_leave_out_is_all_but_them() {
        for boxes in [
            vec![],
            vec![[0..5, 0..7]],
            vec![[0..5, 0..3], [0..5, 3..7]],
            vec![[0..5, 0..3], [0..4, 4..9]],
            vec![[1..2, 1..2], [3..9, 3..5], [0..3, 6..7]],
            vec![[7..9, 8..9]],
        ] {
            let slices: Vec<&[Range<usize>]> = boxes.iter().map(|region| &region[..]).collect();
            let regions = outside(&slices, [5, 7]).expect("few cells");
            for (row, column) in (0..5).flat_map(|row| (0..7).map(move |column| (row, column))) {
                let among = |region: &[Range<usize>]| {
                    region[0].contains(&row) && region[1].contains(&column)
                };
                let left_out = regions.iter().filter(|region| among(region)).count();
                let filled = slices.iter().any(|region| among(region));
                assert_eq!(
                    left_out,
                    usize::from(!filled),
                    "{boxes:?}: ({row}, {column})"
                );
            }
        }
    }
}
