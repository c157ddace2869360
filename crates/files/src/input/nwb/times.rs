//! When the frames of a series were recorded: its rate (rule 2.7), its first frame, and how even its frames are.

use spikegrid_core::findings::{Code, Finding, Severity};

use super::node::Node;
use crate::input::error::InputError;
use crate::input::hdf5_values;

/// By how much of their median intervals differ that say something about the microscope's clock, and those that say that frames were lost.
const UNSTEADY: f64 = 1e-4;
const UNEVEN: f64 = 0.1;
/// What is added to a number of frames before its fraction is dropped: times are sums of rounded numbers.
const ROUNDING: f64 = 1e-3;

/// Times of the frames of a series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Times {
    /// Hz.
    pub(super) rate: Option<f64>,
    /// Time of the first frame in seconds.
    pub(super) start: Option<f64>,
    /// That the intervals between frames differ.
    pub(super) finding: Option<Finding>,
}

impl Times {
    /// What a series says: the rate of `starting_time`, or that of its timestamps.
    ///
    /// # Errors
    /// If its times cannot be read.
    pub(super) fn read(series: &Node) -> Result<Self, InputError> {
        let name = "starting_time";
        let start = series.numbers(name)?;
        let start = start.and_then(|start| start.values.first().copied());
        let rate = series.dataset(name)?;
        let rate = rate.and_then(|dataset| hdf5_values::number_attribute(&dataset, "rate"));
        if let Some(rate) = rate.and_then(usable) {
            return Ok(Self {
                rate: Some(rate),
                start,
                finding: None,
            });
        }
        match series.numbers("timestamps")? {
            Some(timestamps) => Ok(Self::of(&timestamps.values)),
            None => Ok(Self {
                start,
                ..Self::default()
            }),
        }
    }

    /// The rate of these timestamps: 1 / median of the intervals.
    fn of(timestamps: &[f64]) -> Self {
        let intervals = || timestamps.windows(2).map(|pair| pair[1] - pair[0]);
        let mut sorted: Vec<f64> = intervals().collect();
        sorted.sort_by(f64::total_cmp);
        let median = match sorted.len() {
            0 => f64::NAN,
            length => 0.5 * (sorted[(length - 1) / 2] + sorted[length / 2]),
        };
        let Some(rate) = usable(1.0 / median) else {
            return Self {
                start: timestamps.first().copied(),
                ..Self::default()
            };
        };
        Self {
            rate: Some(rate),
            start: timestamps.first().copied(),
            finding: unevenness(intervals(), median),
        }
    }
}

/// A rate that is one.
pub(super) fn usable(rate: f64) -> Option<f64> {
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

/// Whole frames by which series are behind each other: how many of each come before the first of the last one. A fraction of a frame
/// is the time between the planes of one volume.
pub(super) fn skipped(times: &[Times], rate: Option<f64>) -> Vec<usize> {
    let starts = times.iter().filter_map(|times| times.start);
    let last = starts.fold(f64::NEG_INFINITY, f64::max);
    let behind = |times: &Times| {
        let frames = (last - times.start?) * rate? + ROUNDING;
        // Not a number, or infinite, counts as none.
        (frames < u32::MAX.into()).then_some(frames as usize)
    };
    times
        .iter()
        .map(|times| behind(times).unwrap_or(0))
        .collect()
}

/// The finding that intervals differ from their median, which is positive: a note where a clock is unsteady, a warning where frames are
/// lost or doubled.
fn unevenness(intervals: impl Iterator<Item = f64>, median: f64) -> Option<Finding> {
    // What is no number differs without end.
    let off = |interval: f64| match (interval / median - 1.0).abs() {
        off if off.is_nan() => f64::INFINITY,
        off => off,
    };
    let (mut all, mut uneven) = (0_u64, 0_u64);
    let mut most = (0, median);
    for (frame, interval) in intervals.enumerate() {
        all += 1;
        uneven += u64::from(off(interval) > UNEVEN);
        if off(interval) > off(most.1) {
            most = (frame, interval);
        }
    }
    let (frame, interval) = most;
    match uneven {
        0 if off(interval) > UNSTEADY => {
            let message = format!(
                "The intervals between timestamps differ by up to {:.2} % from their median of {median:.6} s, which gives the rate.",
                100.0 * off(interval)
            );
            let advice = "If you know the rate better, give it with --sampling_rate HZ.";
            Some(Finding {
                severity: Severity::Note,
                ..Finding::new(Code::UnevenRate, message, advice)
            })
        }
        0 => None,
        _ => Some(Finding {
            frames: uneven,
            share: uneven as f64 / all as f64,
            ..Finding::new(
                Code::UnevenRate,
                format!(
                    "{uneven} of {all} intervals between timestamps differ by more than 10 % from their median of {median:.6} s, which \
                     gives the rate; the one after frame {frame} differs most, with {interval:.6} s."
                ),
                "The program takes all intervals for equal. If frames were lost, write the series again with NaN in their places, or cut \
                 it there.",
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Timestamps of a recording at 4 Hz of which each is moved.
    fn timestamps(moved: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..100)
            .map(|frame| 0.25 * frame as f64 + moved(frame))
            .collect()
    }

    #[test]
    fn rule_2_7_the_rate_is_that_of_the_median_interval() {
        let times = Times::of(&timestamps(|_| 7.5));
        assert_eq!((times.rate, times.start), (Some(4.0), Some(7.5)));
        assert_eq!(times.finding, None);
        for none in [
            &[][..],
            &[1.0],
            &[3.0, 3.0, 3.0],
            &[2.0, 1.0],
            &[f64::NAN; 3],
        ] {
            assert_eq!(Times::of(none).rate, None, "{none:?}");
        }
    }

    #[test]
    fn rule_9_3_uneven_timestamps_are_told_by_how_much_they_differ() {
        let finding = |moved: &dyn Fn(usize) -> f64| {
            let finding = Times::of(&timestamps(moved)).finding;
            finding.map(|finding| (finding.severity, finding.frames, finding.message))
        };
        assert_eq!(finding(&|frame| 1e-5 * (frame % 2) as f64), None);
        let (severity, frames, message) =
            finding(&|frame| 2e-3 * (frame % 2) as f64).expect("a note");
        assert_eq!((severity, frames), (Severity::Note, 0));
        assert!(message.contains("up to 1.59 %"), "{message}");
        let lost = |frame| if frame > 40 { 0.25 } else { 0.0 };
        let (severity, frames, message) = finding(&lost).expect("a warning");
        assert_eq!((severity, frames), (Severity::Warning, 1));
        assert!(
            message.contains("1 of 99")
                && message.contains("after frame 40")
                && message.contains("0.500000 s"),
            "{message}"
        );
        let unknown = |frame| if frame == 50 { f64::NAN } else { 0.0 };
        assert_eq!(finding(&unknown).map(|(_, frames, _)| frames), Some(2));
    }

    #[test]
    fn rule_2_6_whole_frames_are_skipped_where_series_start_at_different_times() {
        let times = |starts: &[Option<f64>]| -> Vec<Times> {
            let times = starts.iter().map(|&start| Times {
                start,
                ..Times::default()
            });
            times.collect()
        };
        let skipped = |starts: &[Option<f64>]| skipped(&times(starts), Some(4.0));
        assert_eq!(skipped(&[Some(0.0), Some(0.125)]), [0, 0], "half a frame");
        assert_eq!(skipped(&[Some(0.0), Some(0.24)]), [0, 0], "nearly a frame");
        assert_eq!(skipped(&[Some(1.1), Some(0.85), Some(0.6)]), [0, 1, 2]);
        assert_eq!(skipped(&[None, Some(5.0), Some(5.6)]), [0, 2, 0]);
        assert_eq!(skipped(&[Some(f64::NAN), Some(1.0)]), [0, 0]);
        assert_eq!(skipped(&[Some(f64::NEG_INFINITY), Some(1.0)]), [0, 0]);
        assert_eq!(
            super::skipped(&times(&[Some(0.0), Some(9.0)]), None),
            [0, 0]
        );
    }
}
