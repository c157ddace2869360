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

/// The finding that intervals differ from their median.
fn unevenness(intervals: impl Iterator<Item = f64>, median: f64) -> Option<Finding> {
    let (mut all, mut uneven, mut most) = (0_u64, 0_u64, (0, median, 0.0));
    for (place, interval) in intervals.enumerate() {
        let off = (interval / median - 1.0).abs();
        all += 1;
        // Comparisons with NaN are false.
        if !(off <= UNEVEN) {
            uneven += 1;
        }
        if !(off <= most.2) && most.2.is_finite() {
            most = (
                place,
                interval,
                if off.is_nan() { f64::INFINITY } else { off },
            );
        }
    }
    let (frame, interval, off) = most;
    let finding = |severity, message| Finding {
        severity,
        frames: uneven,
        share: uneven as f64 / all as f64,
        ..Finding::new(
            Code::UnevenRate,
            message,
            "The program counts frames and takes the time between any two for the same. Where frames were lost, write the series again with \
             frames of NaN in their places, or cut it there.",
        )
    };
    match uneven {
        0 if off > UNSTEADY => Some(finding(
            Severity::Note,
            format!(
                "The timestamps are not quite even: intervals between frames differ by up to {:.2} % from their median, {median:.6} s, of \
                 which the rate was made.",
                100.0 * off
            ),
        )),
        0 => None,
        _ => Some(finding(
            Severity::Warning,
            format!(
                "{uneven} of {all} intervals between frames differ by more than 10 % from their median, {median:.6} s, of which the rate was \
                 made: most does that after frame {frame}, {interval:.6} s."
            ),
        )),
    }
}
