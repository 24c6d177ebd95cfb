//! Renews the leases of a slow handler, on a connection of its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::consume::shared_leases::SharedLeases;
use crate::error::Error;
use crate::run::connecting::{Connect, on_useful_connection};
use crate::store::consumer_state::MessageConsumerState;
use crate::store::lease::Lease;
use crate::store::source::MessageSource;

/// The shortest interval at which a lease is renewed.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// If so many connections hang, no renewal begins, which can add one or two. The operating system ends
/// each of them eventually.
const MAX_HANGING: usize = 3;

/// About how often a lease whose row is locked is tried in one beat.
const TRIES: u32 = 10;

/// Renews the leases that a consumer holds, three times per lease duration, until it is dropped.
/// Each consumer has its own heartbeat, so that no consumer waits for another one.
///
/// A connection that is cut without notice does not answer, and hangs. So each renewal has a
/// deadline of one sixth of the lease duration. After the deadline, another thread renews the
/// remaining leases on another connection, before they expire.
pub(super) struct Heartbeat {
    /// When this is dropped, the heartbeat ends at once.
    _ended: Sender<()>,
}

impl Heartbeat {
    pub(super) fn start<B: MessageSource + MessageConsumerState + 'static>(
        held: Vec<Arc<SharedLeases>>,
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

/// The state of the heartbeat's thread.
struct Beat<B> {
    /// The leases of each thread of the consumer.
    held: Vec<Arc<SharedLeases>>,
    lease_duration: Duration,
    connect: Arc<Connect<B>>,
    worker: Option<Worker>,
    /// Workers that did not answer in time.
    hanging: Vec<Worker>,
}

/// A thread with a connection, which renews leases and reports each.
struct Worker {
    leases: Sender<Vec<Lease>>,
    done: Receiver<Lease>,
}

impl<B: MessageSource + MessageConsumerState + 'static> Beat<B> {
    fn run(mut self, is_ended: &Receiver<()>) {
        let interval = (self.lease_duration / 3).max(MIN_INTERVAL);
        let mut before = Vec::new();
        let mut wait = interval;
        while is_ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            let begun = Instant::now();
            let now: Vec<_> = self.held.iter().flat_map(|held| held.now()).collect();
            // A lease that is new since the last beat was just taken, and is mostly released soon.
            let kept = now.iter().filter(|lease| before.contains(*lease));
            let kept: Vec<_> = kept.cloned().collect();
            if !kept.is_empty() {
                // At the second beat, a lease that was taken right after a beat has a third of its
                // time left.
                self.renew(kept, interval / 2);
            }
            before = now;
            // A beat that had to wait for a row does not delay the next one.
            wait = interval.saturating_sub(begun.elapsed());
        }
    }

    fn renew(&mut self, leases: Vec<Lease>, deadline: Duration) {
        self.hanging.retain(Worker::hangs);
        if self.hanging.len() >= MAX_HANGING {
            warn_of(&leases, "no connection answered in time");
            return;
        }
        let worker = self.worker.take();
        let worker = worker.unwrap_or_else(|| self.new_worker(deadline));
        if worker.leases.send(leases.clone()).is_err() {
            warn_of(&leases, "the renewing thread panicked");
            return;
        }
        let (left, ended) = worker.wait(leases, deadline);
        match ended {
            Ok(()) => self.worker = Some(worker),
            Err(RecvTimeoutError::Timeout) => {
                warn_of(
                    &left,
                    "the connection did not answer in time; another connection is tried",
                );
                self.hanging.push(worker);
                // The worker starts at once, because the next beat can be too late.
                let worker = self.new_worker(deadline);
                if worker.leases.send(left.clone()).is_ok() && worker.wait(left, deadline).1.is_ok()
                {
                    self.worker = Some(worker);
                } else {
                    self.hanging.push(worker);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                warn_of(&left, "the renewing thread panicked");
            }
        }
    }

    fn new_worker(&self, deadline: Duration) -> Worker {
        let (leases, asked) = channel();
        let (tell, done) = channel();
        let (connect, duration) = (Arc::clone(&self.connect), self.lease_duration);
        let (held, patience) = (self.held.clone(), deadline / 2);
        let is_held = move |lease: &Lease| held.iter().any(|held| held.now().contains(lease));
        thread::spawn(move || work(&asked, &tell, (duration, patience), &is_held, &*connect));
        Worker { leases, done }
    }
}

impl Worker {
    /// Waits until these leases are renewed, all within the deadline. Returns those that are left.
    fn wait(
        &self,
        mut leases: Vec<Lease>,
        deadline: Duration,
    ) -> (Vec<Lease>, Result<(), RecvTimeoutError>) {
        let begun = Instant::now();
        while !leases.is_empty() {
            let left = deadline.saturating_sub(begun.elapsed());
            match self.done.recv_timeout(left) {
                Ok(done) => leases.retain(|lease| *lease != done),
                Err(ended) => return (leases, Err(ended)),
            }
        }
        (leases, Ok(()))
    }

    /// Returns whether the worker has still not given its late answer.
    fn hangs(&self) -> bool {
        matches!(
            self.done.recv_timeout(Duration::ZERO),
            Err(RecvTimeoutError::Timeout)
        )
    }
}

/// Renews leases for this duration on request, until the heartbeat ends.
///
/// A lease whose row another transaction has locked is tried again for a while after the others. The
/// holder's own write can lock the row for a moment, too, and the next beat can be too late.
fn work<B: MessageSource + MessageConsumerState>(
    asked: &Receiver<Vec<Lease>>,
    tell: &Sender<Lease>,
    (duration, patience): (Duration, Duration),
    is_held: &dyn Fn(&Lease) -> bool,
    connect: &Connect<B>,
) {
    let mut bus = None;
    while let Ok(mut leases) = asked.recv() {
        let (begun, mut is_first) = (Instant::now(), true);
        loop {
            let mut locked = Vec::new();
            for lease in leases {
                // A lease that its holder has given up meanwhile must end when the holder said.
                let renewed = if is_first || is_held(&lease) {
                    renew(&lease, duration, &mut bus, connect)
                } else {
                    Ok(())
                };
                match renewed {
                    Err(error) if begun.elapsed() < patience && may_be_locked(&error) => {
                        debug!(error = %format_args!("{error:#}"), "the lease is renewed later");
                        locked.push(lease);
                        continue;
                    }
                    Err(error) => warn_of(std::slice::from_ref(&lease), &format!("{error:#}")),
                    Ok(()) => {}
                }
                if tell.send(lease).is_err() {
                    return;
                }
            }
            if locked.is_empty() {
                break;
            }
            (leases, is_first) = (locked, false);
            thread::sleep(patience / TRIES);
        }
    }
}

/// Returns whether the same statement can succeed a moment later.
fn may_be_locked(error: &Error) -> bool {
    error.is_retryable() && !error.may_be_of_connection()
}

/// Renews one lease. The next beat retries a failed renewal. The holder notices a lost lease when
/// it stores its cursor.
fn renew<B: MessageSource + MessageConsumerState>(
    lease: &Lease,
    duration: Duration,
    bus: &mut Option<B>,
    connect: &Connect<B>,
) -> Result<(), Error> {
    let connect = || connect().map_err(|cause| Error::permanent("connecting", cause));
    match on_useful_connection(bus, connect, |bus| bus.renew(lease, duration)) {
        Err(error) if !error.is_lease_lost() => Err(error),
        _ => Ok(()),
    }
}

fn warn_of(leases: &[Lease], error: &str) {
    for lease in leases {
        let segment = lease.segment.as_ref().map(|segment| segment.number);
        warn!(
            messaging.consumer.group.name = lease.consumer,
            messaging.destination.name = lease.topic,
            messaging.destination.partition.id = segment,
            error,
            "lease not renewed"
        );
    }
}
