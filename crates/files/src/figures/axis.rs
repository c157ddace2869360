//! Axes with ticks at round numbers, and how numbers are written on a page.

use std::ops::Range;

/// A range with the places of its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// The range from edge to edge.
    pub range: Range<f64>,
    /// Places of the ticks, ascending, within the range.
    pub ticks: Vec<f64>,
    step: f64,
}

impl Axis {
    /// Exactly `range`, with about `ticks` ticks.
    pub(super) fn exact(range: Range<f64>, ticks: usize) -> Self {
        let step = round_step(range.end - range.start, ticks);
        Self::with_step(range, step)
    }

    /// Exactly `range`, with about `ticks` ticks, all at whole numbers.
    pub(super) fn whole_numbers(range: Range<f64>, ticks: usize) -> Self {
        let step = round_step(range.end - range.start, ticks).max(1.0);
        Self::with_step(range, step)
    }

    /// From `least` to `greatest` with a little room on both sides; a range where there is a single value.
    pub(super) fn around(least: f64, greatest: f64, ticks: usize) -> Self {
        let span = greatest - least;
        let room = if span > 1e-9 * least.abs().max(greatest.abs()) {
            0.05 * span
        } else {
            (0.1 * greatest.abs()).max(0.5)
        };
        Self::exact(least - room..greatest + room, ticks)
    }

    /// From zero to `greatest` with a little room above, and to 1 where that is zero.
    pub(super) fn from_zero(greatest: f64, ticks: usize) -> Self {
        let end = if greatest > 0.0 { 1.06 * greatest } else { 1.0 };
        Self::exact(0.0..end, ticks)
    }

    /// From zero to `greatest` with a little room above, ticks at whole numbers.
    pub(super) fn whole_from_zero(greatest: f64, ticks: usize) -> Self {
        Self::whole_numbers(Self::from_zero(greatest, ticks).range, ticks)
    }

    /// Exactly `range`, for what has no unit.
    pub(super) fn without_ticks(range: Range<f64>) -> Self {
        let ticks = Vec::new();
        Self {
            range,
            ticks,
            step: 1.0,
        }
    }

    /// Where `value` is between the edges, 0 to 1; a value far beyond an edge is near it.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value - self.range.start) / (self.range.end - self.range.start)).clamp(-1.0, 2.0)
    }

    /// The label of the tick at `value`.
    pub(super) fn label(&self, value: f64) -> String {
        let largest = self.range.start.abs().max(self.range.end.abs());
        if !(1e-4..1e7).contains(&largest) {
            let digits = largest.log10().floor() - self.step.log10().floor();
            return with_minus(format!("{value:.*e}", digits.clamp(0.0, 9.0) as usize));
        }
        let decimals = (-self.step.log10()).ceil().clamp(0.0, 9.0) as usize;
        let text = format!("{:.decimals$}", if value == 0.0 { 0.0 } else { value });
        with_minus(with_commas(&text))
    }

    fn with_step(range: Range<f64>, step: f64) -> Self {
        let (first, last) = (
            (range.start / step - 1e-9).ceil(),
            (range.end / step + 1e-9).floor(),
        );
        let count = (last - first).clamp(-1.0, 100.0) as i64;
        let ticks = (0..=count).map(|tick| (first + tick as f64) * step);
        Self {
            ticks: ticks.collect(),
            range,
            step,
        }
    }
}

/// A number with up to `digits` significant digits and no trailing zeros.
pub(crate) fn significant(number: f64, digits: usize) -> String {
    if number == 0.0 || !number.is_finite() {
        return with_minus(if number == 0.0 {
            "0".into()
        } else {
            number.to_string()
        });
    }
    let magnitude = number.abs().log10().floor();
    if !(-5.0..9.0).contains(&magnitude) {
        return with_minus(format!("{number:.*e}", digits.saturating_sub(1)));
    }
    let decimals = (digits as f64 - 1.0 - magnitude).clamp(0.0, 12.0) as usize;
    let text = format!("{number:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    with_minus(with_commas(text))
}

/// A step of 1, 2 or 5 times a power of ten that divides `span` into at most about `ticks` parts.
fn round_step(span: f64, ticks: usize) -> f64 {
    let rough = span / ticks.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= 0.999 * rough);
    factor.unwrap_or(10.0) * power
}

/// Commas between thousands where there are four digits or more before the point.
fn with_commas(text: &str) -> String {
    let start = usize::from(text.starts_with('-'));
    let end = text.find('.').unwrap_or(text.len());
    if end - start < 4 {
        return text.to_owned();
    }
    let mut grouped = text[..start].to_owned();
    for (place, digit) in text[start..end].chars().enumerate() {
        if place > 0 && (end - start - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + &text[end..]
}

/// A true minus sign in place of hyphens.
fn with_minus(text: String) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(
            labels(&Axis::exact(-0.25..520.0, 6)),
            ["0", "100", "200", "300", "400", "500"]
        );
        assert_eq!(
            labels(&Axis::exact(-0.13..0.32, 5)),
            ["−0.1", "0.0", "0.1", "0.2", "0.3"].map(str::to_owned)[..].to_vec()
        );
        assert_eq!(labels(&Axis::whole_numbers(-0.5..2.5, 8)), ["0", "1", "2"]);
        assert_eq!(
            labels(&Axis::exact(0.0..25_000.0, 3)),
            ["0", "10,000", "20,000"]
        );
    }

    #[test]
    fn every_range_gives_a_usable_axis() {
        let huge = f64::from(f32::MAX);
        for (least, greatest) in [
            (0.0, 0.0),
            (3.0, 3.0),
            (-huge, huge),
            (1e-30, 2e-30),
            (1e7, 1e7 + 1.0),
        ] {
            let axis = Axis::around(least, greatest, 5);
            assert!(axis.range.start < axis.range.end, "{axis:?}");
            assert!((1..=12).contains(&axis.ticks.len()), "{axis:?}");
            assert!(
                labels(&axis).iter().all(|label| label.len() < 20),
                "{:?}",
                labels(&axis)
            );
        }
    }

    #[test]
    fn numbers_are_short_and_grouped() {
        assert_eq!(significant(0.011_834, 3), "0.0118");
        assert_eq!(significant(30.0, 6), "30");
        assert_eq!(significant(-2.5, 3), "−2.5");
        assert_eq!(significant(1e-9, 3), "1.00e−9");
    }
}
