use crate::error::Error;
use crate::observe;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::failures::NewFailure;
use crate::store::lease::Lease;

/// Records a failure of a message, in the consumer state and in the telemetry. Returns how often
/// the message has failed.
pub(super) fn record_failure<B>(
    bus: &mut B,
    lease: &Lease,
    failure: &NewFailure<'_>,
) -> Result<u32, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let attempts = bus.record_failure(lease, failure)?;
    observe::failed(lease, failure.position, attempts, failure.error);
    Ok(attempts)
}
