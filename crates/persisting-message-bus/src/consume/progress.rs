//! The progress of a consumer, and its next step.

/// The number of messages that a step has handled, and the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) handled: usize,
    pub(super) next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another page can follow under the same leases.
    Page,
    /// The consumer polls again: it checks heads, pause and leases again.
    Poll,
    /// There are no new messages for now.
    CaughtUp,
}

impl Progress {
    pub(super) fn page(handled: usize) -> Self {
        let next = Next::Page;
        Self { handled, next }
    }

    pub(super) fn poll(handled: usize) -> Self {
        let next = Next::Poll;
        Self { handled, next }
    }

    pub(super) fn caught_up(handled: usize) -> Self {
        let next = Next::CaughtUp;
        Self { handled, next }
    }
}
