//! The times that every backend keeps.

use chrono::{DateTime, Utc};

/// Returns the time as every backend keeps it. Fractions of a microsecond are cut off, and a leap
/// second becomes the second after it.
pub(crate) fn storable(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}
