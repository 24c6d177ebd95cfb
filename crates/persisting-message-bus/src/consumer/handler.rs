use std::error::Error as StdError;
use std::time::Duration;

use super::page::Page;
use crate::{Error, Lease};

/// What a handler fails with: any error, through `?`.
pub type HandlerError = Box<dyn StdError + Send + Sync>;

/// A kind of handler that can work on the bus `B`. Implemented by [`External`](crate::External) and
/// [`Transactional`](crate::Transactional) only.
pub trait HandlePages<S, B: ?Sized> {
    #[doc(hidden)]
    fn handle_page(
        &mut self,
        bus: &mut B,
        lease: &Lease,
        lease_duration: Duration,
        page: Page<S>,
    ) -> PageOutcome;
}

/// What became of a page.
#[derive(Debug, Default)]
pub struct PageOutcome {
    pub(super) handled: usize,
    pub(super) failure: Option<Error>,
    pub(super) lease_released: bool,
}

impl PageOutcome {
    pub(super) fn failed(error: Error) -> Self {
        Self {
            failure: Some(error),
            ..Self::default()
        }
    }

    /// A failure that came after the one there is, if there is one.
    pub(super) fn add_failure(&mut self, error: Error) {
        self.failure = Some(match self.failure.take() {
            Some(first) => first.followed_by(error),
            None => error,
        });
    }
}
