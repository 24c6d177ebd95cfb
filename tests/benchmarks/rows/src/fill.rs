use persisting_message_bus::MessageDispatcher;

use crate::Failure;
use crate::backends::{Backend, Database};
use crate::on_topics::OnTopics;
use crate::topic::{Orders, names_of_topics};

/// The size of a batch. It is a multiple of all numbers of topics, so that each batch begins with
/// the first topic.
const BATCH: usize = 2_560;

/// Inserts messages into the database, on these topics in turn, and lets the database settle.
pub fn fill<B: Backend>(
    database: &Database<'_, B>,
    messages: u64,
    topics: usize,
) -> Result<(), Failure> {
    let topics = &names_of_topics(topics);
    let connection = &mut database.connect()?;
    let dispatcher = MessageDispatcher::<Orders>::new();
    for first in (0..messages).step_by(BATCH) {
        let batch = Orders::numbered(first..messages.min(first + BATCH as u64));
        match topics[..] {
            [_] => dispatcher.dispatch_batch(connection, batch)?,
            _ => dispatcher.dispatch_batch(&mut OnTopics { connection, topics }, batch)?,
        };
    }
    B::settle(&database.url)
}
