//! Reads the rows of a consumer that may be divided.

use crate::error::Error;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState, SegmentRow};
use crate::store::key::ConsumerKey;

/// Returns the row of a consumer, and those of its segments, lowest number first. There are none if
/// the consumer is not divided.
pub(crate) fn read_with_segments<B>(
    bus: &mut B,
    key: ConsumerKey<'_>,
) -> Result<(Option<ConsumerRow>, Vec<SegmentRow>), Error>
where
    B: MessageConsumerState + ?Sized,
{
    let mut stored = bus.stored_consumer(key)?;
    loop {
        let Some(division) = stored.as_ref().and_then(|stored| stored.division) else {
            return Ok((stored, Vec::new()));
        };
        let error = match bus.segments(key, division) {
            Ok(segments) => return Ok((stored, segments)),
            Err(error) => error,
        };
        // The segments may have been replaced since the row was read. Each turn needs another change
        // of their number, so there are few.
        let Ok(again) = bus.stored_consumer(key) else {
            return Err(error);
        };
        let now = again.as_ref().and_then(|again| again.division);
        if now.is_some_and(|now| now.segments == division.segments) {
            return Err(error);
        }
        stored = again;
    }
}
