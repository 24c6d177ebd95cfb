//! Opens the connections of a consumer, and abandons those that are of no use.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use crate::bounded::{BoundedCalls, Unanswered};
use crate::classify::chain::class_of;
use crate::error::Error;
use crate::error::class::Class;
use crate::panics::catch;
use crate::signals::Signals;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

pub(super) type Connect<B> = dyn Fn() -> Result<B, Box<dyn StdError + Send + Sync>> + Send + Sync;

/// Opens connections, each within a limited time.
pub(super) struct Connector<B> {
    connect: Arc<Connect<B>>,
    calls: BoundedCalls,
    /// The number of connections that all consumers of the runner need.
    needed: usize,
}

impl<B: Send + 'static> Connector<B> {
    pub(super) fn new(connect: Arc<Connect<B>>, timeout: Duration, needed: usize) -> Self {
        Self {
            connect,
            calls: BoundedCalls::new(timeout),
            needed,
        }
    }

    /// Opens a connection. Returns `None` if the consumer must stop.
    ///
    /// The application's code opens it, which cannot be interrupted. After the timeout, that code
    /// goes on without the consumer, and its connection is dropped.
    pub(super) fn connect(&self, signals: &Signals) -> Option<Result<B, Error>> {
        let connect = Arc::clone(&self.connect);
        let (cause, may_be_pool) = match self.calls.run(signals, move || connect()) {
            Ok(Ok(connected)) => return Some(Ok(connected)),
            Ok(Err(cause)) => {
                let may_pass = class_of(&*cause) == Some(Class::Transient);
                (cause, may_pass)
            }
            Err(Unanswered::Stopped) => return None,
            Err(unanswered) => {
                let cause = format!(
                    "{unanswered} (Runner::connect_timeout): the server may accept connections and \
                     not answer"
                );
                (cause.into(), true)
            }
        };
        Some(Err(Error::connecting(
            may_be_pool.then_some(self.needed),
            cause,
        )))
    }
}

/// How many connections are tried for one call, because a pool can contain several useless ones.
const MAX_CONNECTIONS: usize = 3;

/// Calls `call` on the connection, or on a new one. If the error may be of that connection, abandons
/// it and tries another one. If no connection can be opened, returns that error at once.
pub(super) fn on_useful_connection<B, T>(
    bus: &mut Option<B>,
    mut connect: impl FnMut() -> Result<B, Error>,
    mut call: impl FnMut(&mut B) -> Result<T, Error>,
) -> Result<T, Error>
where
    B: MessageSource + MessageConsumerState,
{
    let mut tried = 0;
    loop {
        let mut connected = match bus.take() {
            Some(connected) => connected,
            None => connect()?,
        };
        tried += 1;
        match call(&mut connected) {
            Err(error) if error.may_be_of_connection() => {
                abandon(connected);
                if tried == MAX_CONNECTIONS {
                    return Err(error);
                }
                debug!(error = %format_args!("{error:#}"), "another connection is tried");
            }
            result => {
                *bus = Some(connected);
                return result;
            }
        }
    }
}

/// Abandons a connection, so that a pool does not hand it out again.
pub(super) fn abandon<B>(mut bus: B)
where
    B: MessageSource + MessageConsumerState,
{
    // Buses of the application can panic.
    let abandoned = catch(|| {
        bus.abandon_source();
        bus.abandon_state();
        drop(bus);
    });
    if let Err(panicked) = abandoned {
        debug!(panicked, "panic while a connection was abandoned");
    }
}
