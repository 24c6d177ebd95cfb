//! Prolongs the leases of a slow handler, on a connection of its own.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tracing::warn;

use crate::consumer::HeldLeases;
use crate::{Error, Lease, MessageConsumerState};

/// No lease is prolonged more often.
const SHORTEST: Duration = Duration::from_millis(10);

/// How many connections may hang at the same time. Each is given up by the operating system, sooner or later.
const MOST_HANGING: usize = 3;

pub(super) type Connect<B> = dyn Fn() -> Result<B, Box<dyn StdError + Send + Sync>> + Send + Sync;

/// Prolongs the leases that a consumer holds, three times in the time of a lease, until it is dropped.
/// Each consumer has its own, so that none waits for the others.
///
/// A connection that is cut in silence answers nothing, and hangs. So prolonging has a deadline of a sixth of
/// the lease: then it is done on another connection, by another thread, before the lease has expired.
pub(super) struct Heartbeat {
    /// When this is dropped, the beat ends at once.
    _ended: Sender<()>,
}

impl Heartbeat {
    pub(super) fn start<B: MessageConsumerState + 'static>(
        held: Arc<HeldLeases>,
        lease_duration: Duration,
        connect: Arc<Connect<B>>,
    ) -> Self {
        let (_ended, is_ended) = channel();
        let beat = Beat {
            held,
            lease_duration,
            connect,
            worker: None,
            hanging: Vec::new(),
        };
        thread::spawn(move || beat.run(&is_ended));
        Self { _ended }
    }
}

/// What the beat's thread knows.
struct Beat<B> {
    held: Arc<HeldLeases>,
    lease_duration: Duration,
    connect: Arc<Connect<B>>,
    worker: Option<Worker>,
    /// Workers that did not answer in time.
    hanging: Vec<Worker>,
}

/// A thread with a connection, which prolongs leases and says when it has.
struct Worker {
    leases: Sender<Vec<Lease>>,
    done: Receiver<()>,
}

impl<B: MessageConsumerState + 'static> Beat<B> {
    fn run(mut self, is_ended: &Receiver<()>) {
        let interval = (self.lease_duration / 3).max(SHORTEST);
        let mut before = Vec::new();
        while is_ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            let now = self.held.now();
            // Whatever is new has been taken a moment ago, and most of it is soon given back.
            let kept = now.iter().filter(|lease| before.contains(*lease));
            let kept: Vec<_> = kept.cloned().collect();
            if !kept.is_empty() {
                // A lease that was taken right after a beat has a third of its time left at the second one.
                self.prolong(kept, interval / 2);
            }
            before = now;
        }
    }

    fn prolong(&mut self, leases: Vec<Lease>, deadline: Duration) {
        self.hanging.retain(Worker::hangs);
        if self.hanging.len() >= MOST_HANGING {
            warn_of(&leases, "no connection answers in time");
            return;
        }
        let worker = self.worker.take();
        let worker = worker.unwrap_or_else(|| self.new_worker());
        if worker.leases.send(leases.clone()).is_err() {
            warn_of(&leases, "the thread that prolongs it has panicked");
            return;
        }
        match worker.done.recv_timeout(deadline) {
            Ok(()) => self.worker = Some(worker),
            Err(RecvTimeoutError::Timeout) => {
                warn_of(
                    &leases,
                    "the connection does not answer; another one is tried",
                );
                self.hanging.push(worker);
                // At once: the next beat may be too late.
                let worker = self.new_worker();
                if worker.leases.send(leases).is_ok() && worker.done.recv_timeout(deadline).is_ok()
                {
                    self.worker = Some(worker);
                } else {
                    self.hanging.push(worker);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                warn_of(&leases, "the thread that prolongs it has panicked");
            }
        }
    }

    fn new_worker(&self) -> Worker {
        let (leases, asked) = channel();
        let (tell, done) = channel();
        let (connect, duration) = (Arc::clone(&self.connect), self.lease_duration);
        thread::spawn(move || work(&asked, &tell, duration, &*connect));
        Worker { leases, done }
    }
}

impl Worker {
    /// Whether it still waits for the answer that it has not got in time.
    fn hangs(&self) -> bool {
        matches!(
            self.done.recv_timeout(Duration::ZERO),
            Err(RecvTimeoutError::Timeout)
        )
    }
}

/// Prolongs leases when it is asked to, until nobody asks any more.
fn work<B: MessageConsumerState>(
    asked: &Receiver<Vec<Lease>>,
    tell: &Sender<()>,
    duration: Duration,
    connect: &Connect<B>,
) {
    let mut bus = None;
    while let Ok(leases) = asked.recv() {
        for lease in &leases {
            prolong(lease, duration, &mut bus, connect);
        }
        if tell.send(()).is_err() {
            return;
        }
    }
}

/// What fails is tried again at the next beat. A lease that is lost is noticed by its holder, when it
/// stores its cursor.
fn prolong<B: MessageConsumerState>(
    lease: &Lease,
    duration: Duration,
    bus: &mut Option<B>,
    connect: &Connect<B>,
) {
    let connected = match bus.take() {
        Some(bus) => Ok(bus),
        None => connect().map_err(|cause| Error::repository("connecting", cause, false)),
    };
    let prolonged = connected.and_then(|mut connected| {
        connected.renew(lease, duration)?;
        *bus = Some(connected);
        Ok(())
    });
    if let Err(error) = prolonged
        && !error.is_lease_lost()
    {
        warn_of(std::slice::from_ref(lease), &format!("{error:#}"));
    }
}

fn warn_of(leases: &[Lease], error: &str) {
    for lease in leases {
        warn!(
            messaging.consumer.group.name = lease.consumer,
            error, "a lease was not prolonged"
        );
    }
}
