//! From `T` samples to as many points as a page can show.

use std::ops::Range;

/// The points of a line through `values`: one stretch for each run of numbers, NaN between them.
///
/// The time axis is `columns` wide. Where several frames share a column, their least and greatest value stand for
/// them, each at its own frame, so that no peak is lost.
pub(super) fn line_segments(values: &[f32], columns: usize) -> Vec<Vec<(usize, f32)>> {
    runs_where(values, |value| value.is_finite())
        .map(|run| envelope(values, run, columns))
        .collect()
}

/// The runs of frames without a value. Runs closer together than a column are one.
pub(super) fn gaps(values: &[f32], columns: usize) -> Vec<Range<usize>> {
    let column = |frame: usize| column_of(frame, values.len(), columns);
    let mut gaps: Vec<Range<usize>> = Vec::new();
    for run in runs_where(values, |value| !value.is_finite()) {
        match gaps.last_mut() {
            Some(last) if column(last.end - 1) == column(run.start) => last.end = run.end,
            _ => gaps.push(run),
        }
    }
    gaps
}

/// The frames to plot a tick at: the first spike of each column.
pub(super) fn spike_ticks(spikes: &[u8], columns: usize) -> Vec<usize> {
    let mut ticks: Vec<usize> = (0..spikes.len())
        .filter(|&frame| spikes[frame] != 0)
        .collect();
    ticks.dedup_by_key(|frame| column_of(*frame, spikes.len(), columns));
    ticks
}

/// The runs of consecutive places in `values` where `wanted` holds.
pub(super) fn runs_where<T>(
    values: &[T],
    wanted: impl Fn(&T) -> bool,
) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = next + values[next..].iter().position(&wanted)?;
        let length = values[start..].iter().position(|value| !wanted(value));
        next = length.map_or(values.len(), |length| start + length);
        Some(start..next)
    })
}

/// Least and greatest finite value, if there is a finite value.
pub(super) fn extent(values: &[f32]) -> Option<(f64, f64)> {
    let finite = values.iter().filter(|value| value.is_finite());
    let extent = finite.map(|&value| (f64::from(value), f64::from(value)));
    extent.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
}

fn envelope(values: &[f32], run: Range<usize>, columns: usize) -> Vec<(usize, f32)> {
    let column = |frame: usize| column_of(frame, values.len(), columns);
    let mut points = Vec::new();
    let mut start = run.start;
    while start < run.end {
        let length = values[start..run.end].len();
        let end = (start + 1..start + length)
            .find(|&frame| column(frame) != column(start))
            .unwrap_or(run.end);
        let by_value = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
        let least = (start..end).min_by(by_value).unwrap_or(start);
        let greatest = (start..end).max_by(by_value).unwrap_or(start);
        points.push((least.min(greatest), values[least.min(greatest)]));
        if least != greatest {
            points.push((least.max(greatest), values[least.max(greatest)]));
        }
        start = end;
    }
    points
}

/// Column of a frame among `columns` columns that share `frames` frames.
fn column_of(frame: usize, frames: usize, columns: usize) -> usize {
    if frames <= columns {
        frame
    } else {
        (frame as u128 * columns as u128 / frames as u128) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trace that looks random, with a lone peak.
    fn trace(frames: usize, peak: usize) -> Vec<f32> {
        (0..frames)
            .map(|frame| {
                if frame == peak {
                    9.0
                } else {
                    ((frame * 7919) % 101) as f32 / 101.0
                }
            })
            .collect()
    }

    #[test]
    fn rule_8_3_thinning_a_trace_keeps_every_extreme() {
        for (frames, peak) in [(1, 0), (10, 3), (1000, 999), (10_007, 5_001), (100_000, 0)] {
            let values = trace(frames, peak);
            let points: Vec<_> = line_segments(&values, 500).concat();
            assert!(points.contains(&(peak, 9.0)), "{frames} frames");
            assert!(points.len() <= frames.min(1000));
            assert!(points.is_sorted_by(|a, b| a.0 < b.0));
            let plotted: Vec<f32> = points.iter().map(|point| point.1).collect();
            assert_eq!(extent(&plotted), extent(&values));
        }
    }

    #[test]
    fn rule_8_3_a_trace_with_fewer_frames_than_columns_is_plotted_whole() {
        let values = trace(499, 7);
        let points: Vec<_> = values.iter().copied().enumerate().collect();
        assert_eq!(line_segments(&values, 500), [points]);
    }

    #[test]
    fn rule_8_3_nan_breaks_the_line_and_is_a_gap() {
        let nan = f32::NAN;
        let values = [nan, 1.0, 2.0, nan, nan, 3.0, f32::INFINITY];
        let lines = line_segments(&values, 100);
        assert_eq!(lines, [vec![(1, 1.0), (2, 2.0)], vec![(5, 3.0)]]);
        assert_eq!(gaps(&values, 100), [0..1, 3..5, 6..7]);
        assert_eq!(
            gaps(&values, 2).first(),
            Some(&(0..7)),
            "closer than a column"
        );
        assert!(line_segments(&[nan; 4], 100).is_empty());
        assert_eq!(gaps(&[nan; 4], 100).first(), Some(&(0..4)));
        assert!(line_segments(&[], 100).is_empty() && gaps(&[], 100).is_empty());
    }

    #[test]
    fn rule_8_3_a_column_of_spikes_is_one_tick() {
        assert_eq!(spike_ticks(&[0, 1, 0, 1, 1], 100), [1, 3, 4]);
        assert_eq!(spike_ticks(&[0, 1, 0, 1, 1, 0], 2), [1, 3]);
        assert!(spike_ticks(&[0; 9], 4).is_empty());
        assert_eq!(spike_ticks(&[1; 100_000], 700).len(), 700);
    }
}
