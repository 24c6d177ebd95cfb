//! Prolongs the leases of a slow handler, on a connection of its own.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use tracing::warn;

use crate::consumer::HeldLeases;
use crate::{Error, Lease, MessageConsumerState};

/// No lease is prolonged more often.
const SHORTEST: Duration = Duration::from_millis(10);

pub(super) type Connect<B> = dyn Fn() -> Result<B, Box<dyn StdError + Send + Sync>> + Send + Sync;

/// Prolongs the leases that a consumer holds, three times in the time of a lease, until it is dropped.
/// Each consumer has its own, so that none waits for the others.
pub(super) struct Heartbeat {
    thread: Thread,
    ended: Arc<AtomicBool>,
}

impl Heartbeat {
    pub(super) fn start<B: MessageConsumerState + 'static>(
        held: Arc<HeldLeases>,
        lease_duration: Duration,
        connect: Arc<Connect<B>>,
    ) -> Self {
        let ended = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&ended);
        let beat = thread::spawn(move || {
            let interval = (lease_duration / 3).max(SHORTEST);
            let (mut bus, mut before) = (None, Vec::new());
            loop {
                thread::park_timeout(interval);
                if seen.load(Ordering::Acquire) {
                    return;
                }
                let now = held.now();
                // Whatever is new has been taken a moment ago, and most of it is soon given back.
                for lease in now.iter().filter(|lease| before.contains(*lease)) {
                    prolong(lease, lease_duration, &mut bus, &*connect);
                }
                before = now;
            }
        });
        Self {
            thread: beat.thread().clone(),
            ended,
        }
    }
}

/// It is not waited for: it may be waiting for a database that is away.
impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.thread.unpark();
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
        warn!(
            messaging.consumer.group.name = lease.consumer,
            error = %format_args!("{error:#}"),
            "a lease was not prolonged"
        );
    }
}
