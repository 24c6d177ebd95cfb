//! A consumer's memory of interrupted attempts: deadlocks, timeouts, lost connections.
//!
//! As far as the library can tell, an interruption is not the fault of a message. Interruptions
//! must end nevertheless, so pages become smaller, and then the interruptions of one message count
//! as failed attempts.

use std::time::{Duration, Instant};

use crate::consume::errors::HandlerError;
use crate::position::Position;

/// An interrupted attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interruption {
    /// The first unhandled message.
    pub(super) first: Position,
    /// The last message of the page.
    pub(super) last: Position,
    /// The number of messages that were tried together.
    pub(super) tried: usize,
    /// The interrupted message, if it is known.
    pub(super) known: Option<Known>,
}

impl Interruption {
    /// Returns an interruption of an attempt at nothing but this position.
    pub(super) fn alone(position: Position) -> Self {
        Self {
            first: position,
            last: position,
            tried: 1,
            known: None,
        }
    }
}

/// The interrupted message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) position: Position,
    /// The number of messages that were tried before it.
    pub(super) before: usize,
}

/// The limits for interruptions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The number of interruptions in a row after which the consumer tries fewer messages together.
    pub(crate) attempts: u32,
    /// The time for which one message is tried before its interruptions count.
    pub(crate) timeout: Duration,
}

/// The consequence of an interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The consumer tries again.
    TryAgain,
    /// The interruption is a failed attempt of the one message that was tried.
    Counts,
}

/// The place where attempts are interrupted. Pages are smaller there until the cursor has passed
/// it.
#[derive(Debug, Default)]
pub(super) struct Caution {
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    first: Position,
    /// The number of interruptions in a row with this number of messages.
    times: u32,
    since: Instant,
    /// The last message of the page in which the interruptions began.
    until: Position,
    /// The maximum number of messages that are tried together.
    size: usize,
    /// A failure that counts, but could not be noted because the connection was lost.
    owed: Option<HandlerError>,
}

impl Trouble {
    fn at(first: Position, now: Instant) -> Self {
        Self {
            first,
            times: 0,
            since: now,
            until: first,
            size: usize::MAX,
            owed: None,
        }
    }

    /// Returns the trouble of the same page after more of it is handled.
    fn moved_to(self, first: Position, now: Instant) -> Self {
        if self.first == first {
            return self;
        }
        Self {
            until: self.until,
            size: self.size,
            ..Self::at(first, now)
        }
    }
}

impl Caution {
    /// Returns the maximum number of messages for a page after the cursor.
    pub(super) fn page_size(&self, cursor: Position, usual: usize) -> usize {
        match &self.trouble {
            Some(trouble) if cursor < trouble.until => usual.min(trouble.size),
            _ => usual,
        }
    }

    /// Records that all messages up to the cursor are handled.
    pub(super) fn passed(&mut self, cursor: Position) {
        self.trouble
            .take_if(|trouble| trouble.until <= cursor && trouble.first <= cursor);
    }

    /// Records an interruption and returns its consequence.
    pub(super) fn interrupted(
        &mut self,
        at: Interruption,
        patience: Patience,
        now: Instant,
    ) -> Verdict {
        let mut trouble = match self.trouble.take() {
            Some(trouble) => trouble.moved_to(at.first, now),
            None => Trouble::at(at.first, now),
        };
        trouble.times = trouble.times.saturating_add(1);
        match at.known {
            Some(Known { before: 0, .. }) => {}
            // The messages before it are tried on their own.
            Some(known) => {
                (trouble.size, trouble.until) = (known.before, known.position.before());
            }
            None => {
                trouble.until = trouble.until.max(at.last);
                if trouble.times >= patience.attempts && at.tried > 1 {
                    (trouble.size, trouble.times) = (at.tried / 2, 0);
                }
            }
        }
        let is_known = at.tried == 1 || at.known.is_some_and(|known| known.before == 0);
        let has_lasted = now.duration_since(trouble.since) >= patience.timeout;
        self.trouble = Some(trouble);
        if is_known && has_lasted {
            Verdict::Counts
        } else {
            Verdict::TryAgain
        }
    }

    /// Remembers a failure that counts, but could not be noted.
    pub(super) fn owe(&mut self, first: Position, cause: HandlerError) {
        if let Some(trouble) = &mut self.trouble
            && trouble.first == first
        {
            trouble.owed = Some(cause);
        }
    }

    /// Takes the failure of a message that must still be noted.
    pub(super) fn owed(&mut self, first: Position) -> Option<HandlerError> {
        let trouble = self.trouble.as_mut()?;
        (trouble.first == first).then(|| trouble.owed.take())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        attempts: 3,
        timeout: Duration::from_secs(900),
    };

    fn at(position: i64) -> Position {
        Position::new(position)
    }

    /// Handles messages 1 to `last` in pages of `usual`. The messages in `bad` are interrupted each
    /// time. Returns the number of attempts until each of them has counted, and the counted
    /// messages.
    fn run(last: i64, usual: usize, bad: &[i64], known: bool) -> (u32, Vec<i64>) {
        let (mut caution, mut cursor, mut now) = (Caution::default(), 0, Instant::now());
        let (mut attempts, mut counted) = (0, Vec::new());
        while cursor < last {
            attempts += 1;
            now += Duration::from_secs(60);
            let size = caution.page_size(at(cursor), usual);
            let end = last.min(cursor + i64::try_from(size).unwrap_or(i64::MAX - cursor));
            let fault = bad
                .iter()
                .copied()
                .find(|it| (cursor + 1..=end).contains(it));
            let Some(fault) = fault else {
                cursor = end;
                caution.passed(at(cursor));
                continue;
            };
            let interruption = Interruption {
                first: at(cursor + 1),
                last: at(end),
                tried: usize::try_from(end - cursor).unwrap_or_default(),
                known: known.then(|| Known {
                    position: at(fault),
                    before: usize::try_from(fault - cursor - 1).unwrap_or_default(),
                }),
            };
            if caution.interrupted(interruption, PATIENCE, now) == Verdict::Counts {
                counted.push(fault);
                cursor = fault;
                caution.passed(at(cursor));
            }
            assert!(attempts < 10_000, "it does not end");
        }
        (attempts, counted)
    }

    #[test]
    fn only_what_is_interrupted_each_time_counts_at_last_and_the_others_are_handled() {
        for known in [false, true] {
            for bad in [vec![1], vec![500], vec![250, 251], vec![7, 300, 499]] {
                let (_, counted) = run(500, 500, &bad, known);
                assert_eq!(counted, bad, "known: {known}");
            }
        }
    }

    #[test]
    fn where_it_is_known_which_message_it_is_those_before_it_are_handled_at_the_next_attempt() {
        let (attempts, _) = run(100, 100, &[60], true);
        // The page, the messages before, the message itself for 15 minutes, the messages after.
        assert_eq!(attempts, 1 + 1 + 16 + 1);
    }

    #[test]
    fn a_page_is_tried_as_often_as_a_message_before_it_is_halved() {
        let mut caution = Caution::default();
        let now = Instant::now();
        let page = Interruption {
            first: at(1),
            last: at(10),
            tried: 10,
            known: None,
        };
        for _ in 0..2 {
            caution.interrupted(page, PATIENCE, now);
            assert_eq!(caution.page_size(Position::START, 10), 10);
        }
        caution.interrupted(page, PATIENCE, now);
        assert_eq!(caution.page_size(Position::START, 10), 5);
        caution.passed(at(5));
        assert_eq!(
            caution.page_size(at(5), 10),
            5,
            "it may be in the other half"
        );
        caution.passed(at(10));
        assert_eq!(caution.page_size(at(10), 10), 10);
    }

    #[test]
    fn a_message_that_is_interrupted_once_makes_no_page_smaller() {
        let mut caution = Caution::default();
        let first = Known {
            position: at(1),
            before: 0,
        };
        let page = Interruption {
            first: at(1),
            last: at(10),
            tried: 10,
            known: Some(first),
        };
        caution.interrupted(page, PATIENCE, Instant::now());
        assert_eq!(caution.page_size(Position::START, 10), 10);
    }

    #[test]
    fn a_message_is_not_blamed_for_what_does_not_last() {
        let mut caution = Caution::default();
        let begun = Instant::now();
        let alone = Interruption {
            first: at(1),
            last: at(1),
            tried: 1,
            known: None,
        };
        for minute in 0..15 {
            let now = begun + Duration::from_secs(60 * minute);
            assert_eq!(caution.interrupted(alone, PATIENCE, now), Verdict::TryAgain);
        }
        let now = begun + Duration::from_secs(60 * 15);
        assert_eq!(caution.interrupted(alone, PATIENCE, now), Verdict::Counts);
    }

    #[test]
    fn what_is_owed_is_owed_for_that_message_only_and_once() {
        let mut caution = Caution::default();
        let alone = Interruption {
            first: at(3),
            last: at(3),
            tried: 1,
            known: None,
        };
        caution.interrupted(alone, PATIENCE, Instant::now());
        caution.owe(at(4), "of another one".into());
        assert!(caution.owed(at(3)).is_none());
        caution.owe(at(3), "gone away".into());
        assert!(caution.owed(at(4)).is_none());
        assert!(caution.owed(at(3)).is_some());
        assert!(caution.owed(at(3)).is_none());
    }
}
