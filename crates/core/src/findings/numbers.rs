//! Order statistics, and numbers as messages show them.

/// The `percentile` (0 to 100) of ascending values as `numpy.percentile` interpolates it; NaN of none.
pub(super) fn percentile(ascending: &[f64], percentile: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = last as f64 * percentile / 100.0;
    let low = (place as usize).min(last);
    let high = (low + 1).min(last);
    ascending[low] + (ascending[high] - ascending[low]) * (place - low as f64)
}

/// Sorts values and takes away those that are NaN.
pub(super) fn ascending(mut values: Vec<f64>) -> Vec<f64> {
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The median of those values that are not NaN; NaN of none.
pub(super) fn median(values: Vec<f64>) -> f64 {
    percentile(&ascending(values), 50.0)
}

/// A whole number with commas between its thousands: 71,721.
pub(super) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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

/// A share, 0 to 1, in per cent: 1.7 %, 0.04 %, below 0.01 %.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
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
    fn percentiles_are_interpolated_as_numpy_does() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile(&values, 0.0), 1.0);
        assert_eq!(percentile(&values, 50.0), 3.0);
        assert_eq!(percentile(&values, 100.0), 8.0);
        assert!((percentile(&values, 8.0) - 1.24).abs() < 1e-12);
        assert_eq!(percentile(&[7.0], 8.0), 7.0);
        assert!(percentile(&[], 8.0).is_nan());
        assert_eq!(median(vec![3.0, f64::NAN, 1.0]), 2.0);
    }

    #[test]
    fn whole_numbers_have_commas_between_their_thousands() {
        let shown = [0, 999, 1_000, 71_721, 1_234_567].map(whole);
        assert_eq!(shown, ["0", "999", "1,000", "71,721", "1,234,567"]);
    }

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
    fn shares_are_shown_in_per_cent() {
        let shown = [0.0, 0.00001, 0.0004, 0.0168, 0.02, 0.5, 1.0].map(percent);
        let expected = [
            "0 %",
            "below 0.01 %",
            "0.04 %",
            "1.7 %",
            "2 %",
            "50 %",
            "100 %",
        ];
        assert_eq!(shown, expected);
    }
}
