//! Numbers as messages, pages and figures show them.

/// A whole number with commas between its thousands: 71,721.
pub fn whole(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things with their name: `1 frame`, `1,200 frames`.
pub fn counted(number: impl TryInto<u64>, name: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {name}{plural}", whole(number))
}

/// A sampling rate: 2 Hz, 7.5 Hz, 2.564 Hz.
pub fn hertz(rate_hz: f64) -> String {
    let text = format!("{rate_hz:.3}");
    format!("{} Hz", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_commas_between_their_thousands() {
        let shown = [0, 999, 1_000, 1_005, 71_721, 100_000, 1_045_200].map(whole);
        let expected = [
            "0",
            "999",
            "1,000",
            "1,005",
            "71,721",
            "100,000",
            "1,045,200",
        ];
        assert_eq!(shown, expected);
        assert_eq!(whole(1_234_567_usize), "1,234,567");
    }

    #[test]
    fn things_are_counted_in_the_singular_and_in_the_plural() {
        let shown = [0, 1, 2, 1_200].map(|number| counted(number, "frame"));
        assert_eq!(shown, ["0 frames", "1 frame", "2 frames", "1,200 frames"]);
        assert_eq!(counted(1_usize, "value"), "1 value");
    }

    #[test]
    fn rates_are_shown_as_they_are_to_a_thousandth() {
        assert_eq!(
            [2.0, 7.5, 2.5641, 30.0].map(hertz),
            ["2 Hz", "7.5 Hz", "2.564 Hz", "30 Hz"]
        );
    }
}
