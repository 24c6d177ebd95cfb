use std::time::Duration;

use coarsetime::Instant;

/// A moment to come. It is asked for at each message, so its clock is one that may be late by some
/// milliseconds and costs next to nothing.
#[derive(Debug)]
pub(super) struct Due(Instant);

impl Due {
    pub(super) fn after(duration: Duration) -> Self {
        let now = Instant::now_without_cache_update();
        Self(now.saturating_add(duration.into()))
    }

    pub(super) fn has_come(&self) -> bool {
        Instant::now_without_cache_update() >= self.0
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn it_comes_in_its_time_and_not_before() {
        let due = Due::after(Duration::from_millis(50));
        assert!(!due.has_come());
        thread::sleep(Duration::from_millis(100));
        assert!(due.has_come());
    }

    #[test]
    fn at_once_is_now() {
        assert!(Due::after(Duration::ZERO).has_come());
    }

    #[test]
    fn it_may_be_as_far_away_as_anything() {
        assert!(!Due::after(Duration::MAX).has_come());
    }
}
