//! Observes that a lease is renewed.

use std::time::Duration;

use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus_tests::waiting::wait_for;

use super::stored;

/// Waits until a lease is renewed after the time at which it would have expired. Asserts that it is
/// still the same holder's.
#[track_caller]
pub fn assert_kept(bus: &mut impl MessageConsumerState, consumer: &str, lease: Duration) {
    let before = stored(bus, consumer).expect("a stored consumer");
    let expiry = before.lease_expires_at.expect("a lease");
    let awaited = format!("the lease of {consumer} is renewed after {expiry}");
    let kept = wait_for(&awaited, || {
        let now = stored(bus, consumer).expect("a stored consumer");
        // The lease was renewed or taken one lease duration before its expiry.
        if now.lease_expires_at > Some(expiry + lease) {
            Ok(now)
        } else {
            Err(Box::new(now))
        }
    });
    assert_eq!(
        (&kept.lease_owner, kept.lease_epoch),
        (&before.lease_owner, before.lease_epoch),
        "another consumer took the lease of {consumer}"
    );
}
