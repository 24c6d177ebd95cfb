use chrono::{DateTime, Utc};

/// The moment from which the server counts, the beginning of the year 2000, in microseconds since
/// the beginning of 1970.
const EPOCH: i64 = 946_684_800_000_000;

/// Returns a time in the binary form of PostgreSQL, which has no fractions of a microsecond.
pub(super) fn binary_time(time: DateTime<Utc>) -> [u8; 8] {
    (time.timestamp_micros() - EPOCH).to_be_bytes()
}
