//! The median of values in scratch memory.

/// Median of `values`, the mean of the two middle ones for an even count; None of none. Reorders `values`.
pub(crate) fn median(values: &mut [f32]) -> Option<f32> {
    if values.is_empty() {
        return None;
    }
    let half = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (lower, &mut upper, _) = values.select_nth_unstable_by(half, f32::total_cmp);
    if odd {
        return Some(upper);
    }
    let below = lower.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    Some((below + upper) / 2.0)
}
