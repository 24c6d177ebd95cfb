//! The times that every backend keeps.

use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Timelike, Utc};

/// The nanoseconds of a second. chrono counts those of a leap second on from here.
const NANOSECONDS: u32 = 1_000_000_000;

/// Returns the time as every backend keeps it. Fractions of a microsecond are cut off, and a leap
/// second becomes the second after it.
pub(crate) fn storable(time: DateTime<Utc>) -> DateTime<Utc> {
    if time.nanosecond() < NANOSECONDS {
        return time.trunc_subsecs(6);
    }
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

/// The text of a storable time, in which the digits are written over.
const PATTERN: [u8; 27] = *b"0000-00-00T00:00:00.000000Z";

/// Returns the time in the form of RFC 3339, with microseconds, as [`DateTime::to_rfc3339_opts`] does.
/// Each message is published with one, and chrono takes several times as long.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    let mut text = PATTERN;
    let date = [
        (4, time.year().unsigned_abs()),
        (7, time.month()),
        (10, time.day()),
    ];
    let clock = [(13, time.hour()), (16, time.minute()), (19, time.second())];
    let fraction = (26, time.nanosecond() / 1_000);
    for (end, number) in date.into_iter().chain(clock).chain([fraction]) {
        write_digits(&mut text[..end], number);
    }
    let has_its_length = (0..=9999).contains(&time.year()) && time.nanosecond() < NANOSECONDS;
    match str::from_utf8(&text) {
        Ok(text) if has_its_length => text.to_owned(),
        _ => time.to_rfc3339_opts(SecondsFormat::Micros, true),
    }
}

/// Writes a number at the end of the text, over as many digits as are there.
fn write_digits(text: &mut [u8], mut number: u32) {
    for byte in text
        .iter_mut()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
    {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
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
    #[test]
    fn texts_are_those_of_chrono() {
        let days = (-800_000..3_000_000).step_by(997);
        let times = days.flat_map(|day: i64| {
            let second = day * 86_400 + day.rem_euclid(86_400);
            [0, 1_000, 123_456_000, 999_999_999].map(|nanosecond| (second, nanosecond))
        });
        let leap = [(59_999_999_999, 1_500_000_000)];
        for (second, nanosecond) in times.chain(leap) {
            let time = DateTime::from_timestamp(second, nanosecond);
            assert!(time.is_some());
            let time = time.unwrap_or_default();
            let expected = time.to_rfc3339_opts(SecondsFormat::Micros, true);
            assert_eq!(rfc3339(time), expected);
        }
    }
}
