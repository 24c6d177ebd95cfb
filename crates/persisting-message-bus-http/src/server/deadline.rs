use std::time::Duration;

use tokio::time::Instant;

/// Returns the time after a duration from now. The duration is limited to a day, because the clock
/// has an end.
pub(super) fn in_time(duration: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    Instant::now() + duration.min(DAY)
}
