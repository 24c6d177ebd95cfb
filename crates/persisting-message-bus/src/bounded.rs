//! Calls that may never return, such as connecting to a server that accepts a connection and says
//! nothing. A thread in such a call cannot be interrupted, so calls run on another thread, and the
//! caller stops waiting. The thread is used again for the next call, unless it hangs.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::locks::lock;
use crate::signals::Signals;

/// The number of calls whose threads can hang at the same time.
const MAX_HANGING: usize = 16;

/// How often a waiting caller checks whether it must stop.
const STEP: Duration = Duration::from_millis(10);

/// Runs calls, each for a limited time.
#[derive(Debug)]
pub(crate) struct BoundedCalls {
    timeout: Duration,
    /// The number of calls that have not ended.
    running: Arc<AtomicUsize>,
    /// The thread of the last call, if that has ended.
    idle: Mutex<Option<Worker>>,
}

type Call = Box<dyn FnOnce() + Send>;

/// A thread that runs calls until this is dropped.
#[derive(Debug)]
struct Worker(Sender<Call>);

/// The reason why a call has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The call takes longer than this.
    TimedOut(Duration),
    /// Earlier calls hang, so no other one was begun within this time.
    TooMany(Duration),
    /// The caller must stop.
    Stopped,
    /// The call panicked, or no thread could be started for it.
    Failed,
}

impl BoundedCalls {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            running: Arc::default(),
            idle: Mutex::default(),
        }
    }

    /// Returns the result of a call, unless it takes too long or the caller must stop. If the call
    /// ends later, its result is dropped on its thread.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        signals: &Signals,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        // A deadline after the end of the clock's range is as good as none.
        let deadline = Instant::now().checked_add(self.timeout);
        let left = || deadline.map_or(STEP, |end| end.saturating_duration_since(Instant::now()));
        while self.running.load(Ordering::Acquire) >= MAX_HANGING {
            if signals.is_stopping() {
                return Err(Unanswered::Stopped);
            }
            if left().is_zero() {
                return Err(Unanswered::TooMany(self.timeout));
            }
            thread::sleep(STEP.min(left()));
        }
        let (give, result) = channel();
        let running = Running::begin(&self.running);
        let idle = lock(&self.idle).take();
        let worker = idle.or_else(Worker::start).ok_or(Unanswered::Failed)?;
        let begun = worker.0.send(Box::new(move || {
            let result = call();
            drop(running);
            // The caller may have stopped waiting.
            let _dropped = give.send(result);
        }));
        begun.map_err(|_ended| Unanswered::Failed)?;
        loop {
            match result.recv_timeout(STEP.min(left())) {
                Ok(result) => {
                    *lock(&self.idle) = Some(worker);
                    return Ok(result);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Unanswered::Failed),
                Err(RecvTimeoutError::Timeout) if signals.is_stopping() => {
                    return Err(Unanswered::Stopped);
                }
                Err(RecvTimeoutError::Timeout) if left().is_zero() => {
                    return Err(Unanswered::TimedOut(self.timeout));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Worker {
    fn start() -> Option<Self> {
        let (calls, called) = channel::<Call>();
        let body = move || called.into_iter().for_each(|call| call());
        thread::Builder::new().spawn(body).ok()?;
        Some(Self(calls))
    }
}

/// A call in the count of those that run.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(timeout) => write!(
                formatter,
                "there was no answer within {timeout:?}, although the attempt has not failed"
            ),
            Self::TooMany(timeout) => write!(
                formatter,
                "{MAX_HANGING} earlier attempts still wait for an answer after further {timeout:?}"
            ),
            Self::Stopped => formatter.write_str("a stop was requested"),
            Self::Failed => formatter.write_str("its thread ended without a result"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    /// Returns a call that hangs until the sender is dropped.
    fn hanging() -> (Sender<()>, impl FnOnce() + Send) {
        let (end, ended): (_, Receiver<()>) = channel();
        (end, move || {
            // The sender is dropped at the end of the test.
            let _ended = ended.recv();
        })
    }

    #[test]
    fn a_call_that_ends_returns_its_result() {
        let calls = BoundedCalls::new(Duration::MAX);
        assert_eq!(calls.run(&Signals::default(), || 7), Ok(7));
        let panics = calls.run::<()>(&Signals::default(), || {
            std::panic::resume_unwind(Box::new(()))
        });
        assert_eq!(panics, Err(Unanswered::Failed));
    }

    #[test]
    fn a_call_that_hangs_ends_at_the_timeout_or_a_stop() {
        let signals = Signals::default();
        let (end, call) = hanging();
        let calls = BoundedCalls::new(SHORT);
        assert_eq!(calls.run(&signals, call), Err(Unanswered::TimedOut(SHORT)));
        signals.stop();
        let (end_second, call) = hanging();
        let calls = BoundedCalls::new(Duration::MAX);
        assert_eq!(calls.run(&signals, call), Err(Unanswered::Stopped));
        drop((end, end_second));
    }

    #[test]
    fn only_a_few_calls_hang_at_a_time() {
        let signals = Signals::default();
        let calls = BoundedCalls::new(SHORT);
        let hang = || {
            let (end, call) = hanging();
            (end, calls.run(&signals, call))
        };
        let hanging: Vec<_> = (0..MAX_HANGING).map(|_| hang()).collect();
        let late = Err(Unanswered::TimedOut(SHORT));
        assert!(hanging.iter().all(|(_, result)| *result == late));
        assert_eq!(hang().1, Err(Unanswered::TooMany(SHORT)));
        drop(hanging);
        let calls = BoundedCalls {
            timeout: Duration::MAX,
            ..calls
        };
        assert_eq!(calls.run(&signals, || 7), Ok(7));
    }
}
