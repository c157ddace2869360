//! Order statistics.

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
}
