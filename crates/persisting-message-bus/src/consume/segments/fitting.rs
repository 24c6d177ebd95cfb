//! Fits the pages of a segment into a time slice.

use std::time::Duration;

use crate::consume::consumer::MessageConsumer;
use crate::message::topic::EventSet;

/// How many messages fit into a time slice. A page that is larger would keep its segment longer than
/// that, or would be read again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fitting {
    /// The page size of the consumer's settings.
    usual: usize,
    time_slice: Duration,
    fits: usize,
}

impl Fitting {
    /// The size of a thread's first page.
    const FIRST: usize = 8;

    fn new(usual: usize, time_slice: Duration) -> Self {
        Self {
            usual,
            time_slice,
            fits: Self::FIRST.min(usual),
        }
    }

    /// Notes how long messages took. The size grows up to four times at once, because the first message
    /// of a thread can be slow, and shrinks at once.
    pub(crate) fn note(&mut self, handled: usize, took: Duration) {
        let Ok(messages) = u32::try_from(handled) else {
            return;
        };
        if messages == 0 {
            return;
        }
        let each = took / messages;
        let fits = self.time_slice.as_nanos() / each.as_nanos().max(1);
        let fits = usize::try_from(fits).unwrap_or(usize::MAX);
        self.fits = fits.min(self.fits.saturating_mul(4)).clamp(1, self.usual);
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Returns whether the threads of both can work on the same segments.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let lease_durations = [self, other].map(|it| it.settings.lease_duration);
        self.name == other.name && lease_durations[0] == lease_durations[1]
    }

    /// Returns the fitting for a new thread.
    pub(crate) fn fitting(&self) -> Fitting {
        Fitting::new(self.settings.page_size, self.settings.time_slice)
    }

    /// Sets the page size to what fits.
    pub(crate) fn fit(&mut self, fitting: &Fitting) {
        self.settings.page_size = fitting.fits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_slow_messages_fits_a_time_slice() {
        let mut fitting = Fitting::new(500, Duration::from_millis(200));
        fitting.note(8, Duration::from_millis(400));
        assert_eq!(fitting.fits, 4);
        fitting.note(4, Duration::from_secs(4));
        assert_eq!(fitting.fits, 1);
    }

    #[test]
    fn pages_of_fast_messages_grow_to_their_usual_size() {
        let mut fitting = Fitting::new(500, Duration::from_millis(200));
        let sizes = std::iter::from_fn(|| {
            let size = fitting.fits;
            fitting.note(size, Duration::ZERO);
            Some(size)
        });
        assert_eq!(sizes.take(5).collect::<Vec<_>>(), [8, 32, 128, 500, 500]);
    }
}
