use std::time::Duration;

use chrono::Utc;

use crate::error::Error;
use crate::memory::consumer_state::InMemoryMessageConsumerState;
use crate::store::inbox::{InboxEntry, InboxKey, MessageInbox};

impl MessageInbox for InMemoryMessageConsumerState {
    fn receive(&mut self, received: &InboxEntry<'_>) -> Result<bool, Error> {
        let id = [received.consumer, received.source, received.message_id].map(str::to_owned);
        self.consumers.write(|consumers| {
            let is_new = !consumers.inbox.contains_key(&id);
            consumers.inbox.entry(id).or_insert_with(Utc::now);
            Ok(is_new)
        })
    }

    fn prune_inbox(&mut self, key: InboxKey<'_>, window: Duration) -> Result<u64, Error> {
        let InboxKey { consumer, source } = key;
        let now = Utc::now();
        self.consumers.write(|consumers| {
            let inbox = &mut consumers.inbox;
            let before = inbox.len();
            inbox.retain(|[of, from, _], received_at| {
                // A time of receipt in the future counts as an age of zero.
                let age = (now - *received_at).to_std().unwrap_or_default();
                of != consumer || from != source || age < window
            });
            Ok((before - inbox.len()) as u64)
        })
    }
}
