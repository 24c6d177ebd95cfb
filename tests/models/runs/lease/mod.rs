//! The lease, the cursor, and failed messages: no message is skipped, effects come once, and
//! redriven messages are not forgotten.

mod comparing;
mod failing;
mod holding;

use persisting_message_bus_models::lease::*;

/// A page of two messages. A lease can expire, and a connection can be lost.
const TRANSACTIONAL: Leases = Leases {
    handler: Handler::Transactional,
    messages: 2,
    page_size: 2,
    may_fail_from: 1,
    failures: 0,
    attempts: 2,
    redrives: 0,
    resets: 0,
    expiries: 1,
    deaths: 0,
    losses: 1,
    crashes: 0,
    reads_uncommitted: false,
    lease_outlives_connection: false,
    mechanisms: Mechanisms::ALL,
};

const EXTERNAL: Leases = Leases {
    handler: Handler::External,
    ..TRANSACTIONAL
};

/// Returns the same model with one message, which is parked at its first failure.
const fn parks(leases: Leases) -> Leases {
    Leases {
        messages: 1,
        failures: 1,
        attempts: 1,
        ..leases
    }
}
