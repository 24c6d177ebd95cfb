//! The times that every backend keeps.

use chrono::{DateTime, Utc};

/// Returns the time as every backend keeps it. Fractions of a microsecond are cut off, and a leap
/// second becomes the second after it.
pub(crate) fn storable(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_a_microsecond_are_cut_off() {
        let at = |seconds, nanoseconds| DateTime::from_timestamp(seconds, nanoseconds);
        let minute = 59_999_999_999;
        for (seconds, nanoseconds, kept) in [
            (0, 0, at(0, 0)),
            (7, 1_000, at(7, 1_000)),
            (7, 1_001, at(7, 1_000)),
            (7, 999, at(7, 0)),
            (-7, 999_999_999, at(-7, 999_999_000)),
            // A leap second.
            (minute, 1_000_000_000, at(minute + 1, 0)),
            (minute, 1_000_001_000, at(minute + 1, 1_000)),
            (minute, 1_999_999_999, at(minute + 1, 999_999_000)),
        ] {
            let time = at(seconds, nanoseconds);
            assert!(time.is_some());
            assert_eq!(time.map(storable), kept, "{time:?}");
        }
    }
}
