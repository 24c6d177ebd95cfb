use std::ops::Range;

/// Decides which range of a page a transactional handler receives next. The whole page comes first.
/// After a failure, the messages before the failing one come next. If the handler cannot tell which
/// message failed, halving finds it.
#[derive(Debug)]
pub(super) struct FailureBisection<T> {
    /// The number of handled messages.
    handled: usize,
    /// The end of the next attempt.
    end: usize,
    /// A message before this index fails, or this is the end of the page.
    limit: usize,
    /// The number of messages in the page.
    all: usize,
    /// The message that is known to fail, and the cause.
    failing: Option<(usize, T)>,
}

impl<T> FailureBisection<T> {
    pub(super) fn over(all: usize) -> Self {
        Self {
            handled: 0,
            end: all,
            limit: all,
            all,
            failing: None,
        }
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.handled..self.end
    }

    pub(super) fn handled(&self) -> usize {
        self.handled
    }

    /// Returns whether the next attempt is the page's last if it succeeds.
    pub(super) fn reaches_end(&self) -> bool {
        self.end == self.all
    }

    pub(super) fn is_done(&self) -> bool {
        self.handled == self.all
    }

    /// Records that the attempt on [`range`](Self::range) was committed.
    pub(super) fn succeeded(&mut self) {
        self.handled = self.end;
        if self.handled == self.limit {
            self.limit = self.all;
        }
        self.end = self.limit;
    }

    /// Records that the attempt on [`range`](Self::range) was rolled back. The message at `offset`
    /// in it failed, or an unknown message if `offset` is `None`.
    pub(super) fn failed(&mut self, offset: Option<usize>, cause: T) {
        if let Some(offset) = offset {
            self.end = self.handled + offset;
            self.failing = Some((self.end, cause));
        } else {
            self.limit = self.end;
            self.end = self.handled + (self.end - self.handled) / 2;
        }
    }

    /// Returns the failing message once all messages before it are handled.
    pub(super) fn failing_message(&mut self) -> Option<(usize, T)> {
        let handled = self.handled;
        self.failing.take_if(|(index, _)| *index == handled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a search over messages of which some fail. `tells` says whether the handler knows
    /// which.
    fn run(fails: &[bool], tells: bool) -> (Vec<Range<usize>>, Option<usize>) {
        let mut search = FailureBisection::over(fails.len());
        let mut committed = Vec::new();
        for _attempt in 0..100 {
            let range = search.range();
            let failing = range.clone().position(|index| fails[index]);
            match failing {
                None => {
                    committed.push(range);
                    search.succeeded();
                }
                Some(offset) => {
                    let offset = (tells || range.len() == 1).then_some(offset);
                    search.failed(offset, "failed");
                }
            }
            if let Some((index, _)) = search.failing_message() {
                return (committed, Some(index));
            }
            if search.is_done() {
                return (committed, None);
            }
        }
        unreachable!("a search over {} messages took 100 attempts", fails.len());
    }

    #[test]
    fn every_failing_message_is_found_and_all_before_it_are_handled_once_in_order() {
        for all in 0..=20 {
            for failing in 0..=all {
                for tells in [true, false] {
                    let fails: Vec<bool> = (0..all).map(|index| index >= failing).collect();
                    let (committed, fault) = run(&fails, tells);
                    let handled: Vec<usize> = committed.into_iter().flatten().collect();
                    assert_eq!(handled, (0..failing).collect::<Vec<_>>());
                    assert_eq!(fault, (failing < all).then_some(failing));
                }
            }
        }
    }

    #[test]
    fn a_page_without_failure_is_one_attempt() {
        let (committed, fault) = run(&[false; 7], false);
        assert_eq!(committed.first(), Some(&(0..7)));
        assert_eq!(fault, None);
    }
}
