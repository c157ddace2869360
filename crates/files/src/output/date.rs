//! Times as dates, for messages and files.

const NANOSECONDS: i128 = 1_000_000_000;
const DAY_SEC: i128 = 86_400;

/// A time, in nanoseconds after (before, if negative) 1970 began, as a date: `2026-11-28 07:40:12 UTC`. With `exact`, with its
/// fraction of a second.
pub(super) fn date(nanoseconds: i64, exact: bool) -> String {
    let nanoseconds = i128::from(nanoseconds);
    let seconds = nanoseconds.div_euclid(NANOSECONDS);
    let (day, second) = (seconds.div_euclid(DAY_SEC), seconds.rem_euclid(DAY_SEC));
    let (year, month, day) = civil(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = match exact {
        true => format!(".{:09}", nanoseconds.rem_euclid(NANOSECONDS)),
        false => String::new(),
    };
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction} UTC")
}

/// A time as ISO 8601 has it, to the second: `2026-11-28T07:40:12+00:00`.
pub(super) fn iso_date(nanoseconds: i64) -> String {
    let date = date(nanoseconds, false);
    date.replacen(' ', "T", 1).replace(" UTC", "+00:00")
}

/// Year, month and day of a day that is counted from 1970-01-01, in the Gregorian calendar.
fn civil(days: i128) -> (i128, i128, i128) {
    // Years begin in March here, so that the leap day is the last of its year; 400 of them are an era of 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_dates_that_the_calendar_has() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_799, "2000-02-29 23:59:59"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_709_164_800, "2024-02-29 00:00:00"),
            (1_795_851_612, "2026-11-28 07:40:12"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (4_107_456_000, "2100-02-28 00:00:00"),
            (-2_203_891_200, "1900-03-01 00:00:00"),
        ] {
            let found = date(seconds * 1_000_000_000, false);
            assert_eq!(found, format!("{expected} UTC"), "{seconds}");
            let iso = format!("{}+00:00", expected.replace(' ', "T"));
            assert_eq!(iso_date(seconds * 1_000_000_000), iso);
        }
        assert_eq!(date(5, true), "1970-01-01 00:00:00.000000005 UTC");
        assert!(date(i64::MAX, false).starts_with("2262-04-11"));
        assert!(date(i64::MIN, false).starts_with("1677-09-21"));
    }

    #[test]
    fn days_follow_each_other_without_a_gap() {
        let mut before = civil(-800_000);
        for day in -799_999..800_000 {
            let now = civil(day);
            let (year, month, _) = before;
            let next_month = if month == 12 {
                (year + 1, 1, 1)
            } else {
                (year, month + 1, 1)
            };
            assert!(
                now == (before.0, before.1, before.2 + 1) || now == next_month,
                "{before:?} {now:?}"
            );
            assert!(now.2 <= 31 && before.2 >= 28 || now.2 != 1);
            before = now;
        }
    }
}
