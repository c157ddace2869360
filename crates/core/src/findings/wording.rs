//! Numbers and counts of neurons as messages show them.

use super::{Code, Finding};
pub(super) use crate::wording::{counted, hertz, whole};

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All frames of all neurons.
    Recording,
    /// Those of an excerpt.
    Excerpt,
}

impl Scope {
    /// What follows the name of a whole.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Recording => "",
            Self::Excerpt => " in the sample",
        }
    }
}

/// The neurons that something is true of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Touched {
    /// How many.
    pub(super) count: u64,
    /// Of how many.
    total: u64,
    /// The place of the first one, counted from 0.
    first: Option<u64>,
    scope: Scope,
}

impl Touched {
    /// Those of all neurons of a recording, in their order, of which something `holds`.
    pub(super) fn of<T>(neurons: impl IntoIterator<Item = T>, holds: impl Fn(T) -> bool) -> Self {
        let neurons = (0..).zip(neurons);
        Self::among(
            Scope::Recording,
            neurons.map(|(place, neuron)| (place, holds(neuron))),
        )
    }

    /// Those of which something holds, of neurons with their places.
    pub(super) fn among(scope: Scope, neurons: impl Iterator<Item = (usize, bool)>) -> Self {
        let mut touched = Self {
            count: 0,
            total: 0,
            first: None,
            scope,
        };
        for (place, holds) in neurons {
            touched.total += 1;
            if holds {
                touched.count += 1;
                touched.first = touched.first.or(Some(place as u64));
            }
        }
        touched
    }

    /// Their share, 0 to 1; 0 of none.
    pub(super) fn share(&self) -> f64 {
        share(self.count, self.total)
    }

    /// They as the beginning of a sentence: `1,204 of 71,721 neurons (1.7 %)`, `All 24 neurons`, `The only neuron`.
    pub(super) fn subject(&self) -> String {
        let suffix = self.scope.suffix();
        match (self.count, self.total) {
            (1, 1) => format!("The only neuron{suffix}"),
            (2, 2) => format!("Both neurons{suffix}"),
            (count, total) if count == total => format!("All {} neurons{suffix}", whole(total)),
            (count, total) => format!(
                "{} of {} neurons{suffix} ({})",
                whole(count),
                whole(total),
                percent(self.share())
            ),
        }
    }

    /// The form of a verb that agrees with them.
    pub(super) const fn verb(&self, one: &'static str, several: &'static str) -> &'static str {
        if self.count == 1 { one } else { several }
    }

    /// A finding about them, whose message is the subject and what follows it.
    pub(super) fn finding(
        &self,
        code: Code,
        predicate: &str,
        advice: impl Into<String>,
    ) -> Finding {
        Finding {
            neurons: self.count,
            share: self.share(),
            first_neuron: self.first,
            ..Finding::new(code, format!("{} {predicate}", self.subject()), advice)
        }
    }
}

/// The share of a part in a whole; 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// A number with two significant digits, or as a whole number with commas between its thousands: 0.0041, 14, 1,200.
pub(super) fn rounded(number: f64) -> String {
    if !number.is_finite() {
        return "unknown".to_owned();
    }
    let size = number.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-4) {
        return format!("{number:.1e}");
    }
    if size < 100.0 {
        let decimals = match size {
            size if size >= 9.95 => 0,
            size if size >= 0.995 || size == 0.0 => 1,
            size if size >= 0.0995 => 2,
            size if size >= 0.00995 => 3,
            _ => 4,
        };
        let text = format!("{number:.decimals$}");
        return match text.strip_suffix(".0") {
            Some(text) => text.replace("-0", "0"),
            None => text,
        };
    }
    let step = 10f64.powi(size.log10().floor() as i32 - 1);
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", whole(((size / step).round() * step) as u64))
}

/// A share, 0 to 1, in per cent: 1.7 %, 0.04 %, below 0.01 %, over 99 %.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        percent if percent >= 99.5 && share < 1.0 => "over 99 %".to_owned(),
        percent if percent >= 9.95 => format!("{percent:.0} %"),
        percent if percent >= 0.095 || percent == 0.0 => {
            format!("{percent:.1} %").replace(".0 %", " %")
        }
        percent if percent >= 0.01 => format!("{percent:.2} %"),
        _ => "below 0.01 %".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_two_significant_digits_and_no_more() {
        let shown = [
            0.0, 0.00412, 0.0996, 0.25, 1.0, -1.26, 9.96, 14.2, 99.4, 99.6, 1234.0, -65_535.0,
        ]
        .map(rounded);
        let expected = [
            "0", "0.0041", "0.10", "0.25", "1", "-1.3", "10", "14", "99", "100", "1,200", "-66,000",
        ];
        assert_eq!(shown, expected);
        assert_eq!(
            [-0.0, 3.2e-7, 1e30, f64::NAN].map(rounded),
            ["0", "3.2e-7", "1.0e30", "unknown"]
        );
    }

    #[test]
    fn neurons_are_counted_in_the_singular_and_in_the_plural() {
        let subject = |count, total| Touched::of(0..total, |neuron| neuron < count).subject();
        assert_eq!(subject(1_204, 71_721), "1,204 of 71,721 neurons (1.7 %)");
        assert_eq!(subject(1, 24), "1 of 24 neurons (4.2 %)");
        assert_eq!(subject(24, 24), "All 24 neurons");
        assert_eq!(subject(2, 2), "Both neurons");
        assert_eq!(subject(1, 1), "The only neuron");
        assert_eq!(
            Touched::of([false, true], |holds| holds).verb("has", "have"),
            "has"
        );
        assert_eq!(
            Touched::of([true, true], |holds| holds).verb("has", "have"),
            "have"
        );
        assert_eq!(
            Touched::of([false, true, true], |holds| holds).first,
            Some(1)
        );
        assert_eq!(
            [1, 1_200].map(|frames| counted(frames, "frame")),
            ["1 frame", "1,200 frames"]
        );
        let none = Touched::of([], |holds| holds);
        assert_eq!((none.share(), none.first), (0.0, None));
    }

    #[test]
    fn shares_are_shown_in_per_cent() {
        let shown = [0.0, 0.00001, 0.0004, 0.0168, 0.02, 0.5, 0.9999, 1.0].map(percent);
        let expected = [
            "0 %",
            "below 0.01 %",
            "0.04 %",
            "1.7 %",
            "2 %",
            "50 %",
            "over 99 %",
            "100 %",
        ];
        assert_eq!(shown, expected);
    }
}
