use std::time::Duration;

use coarsetime::Instant;

/// A point in time. It is checked after each message, so its clock costs almost nothing and can be
/// a few milliseconds late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(duration: Duration) -> Self {
        let now = Instant::now_without_cache_update();
        Self(now.saturating_add(duration.into()))
    }

    pub(super) fn has_passed(&self) -> bool {
        Instant::now_without_cache_update() >= self.0
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn it_comes_in_its_time_and_not_before() {
        let due = Deadline::after(Duration::from_millis(50));
        assert!(!due.has_passed());
        thread::sleep(Duration::from_millis(100));
        assert!(due.has_passed());
    }

    #[test]
    fn at_once_is_now() {
        assert!(Deadline::after(Duration::ZERO).has_passed());
    }

    #[test]
    fn it_may_be_as_far_away_as_anything() {
        assert!(!Deadline::after(Duration::MAX).has_passed());
    }
}
