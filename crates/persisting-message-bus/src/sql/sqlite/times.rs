use chrono::{DateTime, NaiveDate, Utc};

pub(super) const LENGTH: usize = 27;

/// Parses a time in the form in which this library writes it, `2026-03-01T12:00:00.000000Z`;
/// returns `None` for any other form.
pub(super) fn as_written(text: &[u8]) -> Option<DateTime<Utc>> {
    let text: &[u8; LENGTH] = text.try_into().ok()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', time @ ..] = text else {
        return None;
    };
    let [h0, h1, b':', n0, n1, b':', s0, s1, b'.', micros @ .., b'Z'] = time else {
        return None;
    };
    let year = i32::try_from(number(&[*y0, *y1, *y2, *y3])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&[*m0, *m1])?, number(&[*d0, *d1])?)?;
    let (hour, minute, second) = (
        number(&[*h0, *h1])?,
        number(&[*n0, *n1])?,
        number(&[*s0, *s1])?,
    );
    let time = date.and_hms_micro_opt(hour, minute, second, number(micros)?)?;
    Some(time.and_utc())
}

/// Parses digits. They must be so few that the number fits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| 10 * number + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use chrono::{SecondsFormat, TimeDelta};

    use super::*;

    fn parsed(text: &str) -> Option<DateTime<Utc>> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        Some(time.to_utc())
    }

    #[test]
    fn whatever_is_written_is_read_as_the_general_parser_reads_it() {
        let steps = [1, 999_999, 61_000_000, 3_601_000_123, 86_400_000_000 * 27];
        for first in [
            "0000-01-01T00:00:00Z",
            "1969-12-30T23:59:58Z",
            "2024-02-28T22:58:57.5Z",
        ] {
            let Some(mut time) = parsed(first) else {
                unreachable!("{first} is a time");
            };
            for step in steps.iter().cycle().take(1_000) {
                let text = time.to_rfc3339_opts(SecondsFormat::Micros, true);
                assert_eq!(as_written(text.as_bytes()), Some(time), "{text}");
                time += TimeDelta::microseconds(*step);
            }
        }
        let last = "9999-12-31T23:59:59.999999Z";
        assert_eq!(as_written(last.as_bytes()), parsed(last));
    }

    #[test]
    fn every_other_form_is_left_to_the_general_parser() {
        let written = "2026-03-01T12:34:56.789012Z";
        assert!(as_written(written.as_bytes()).is_some());
        for index in 0..written.len() {
            for other in [b'/', b':', b' ', b'z', b't', b'-', b'.', 0, 0xff] {
                let mut text = written.as_bytes().to_vec();
                if text[index] != other {
                    text[index] = other;
                    assert_eq!(as_written(&text), None, "{index}: {other}");
                }
            }
        }
        for text in [
            "",
            "2026-03-01T12:34:56Z",
            "2026-03-01T12:34:56.789Z",
            "2026-03-01T12:34:56.7890123Z",
            "2026-03-01T12:34:56.78901+00",
            "2026-13-01T12:34:56.789012Z",
            "2026-02-29T12:34:56.789012Z",
            "2026-00-01T12:34:56.789012Z",
            "2026-03-01T24:34:56.789012Z",
            "2026-03-01T12:60:56.789012Z",
            "2026-03-01T23:59:60.789012Z",
        ] {
            assert_eq!(as_written(text.as_bytes()), None, "{text}");
        }
    }
}
