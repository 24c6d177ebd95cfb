//! Concurrent publishers that commit each message.

use std::time::{Duration, Instant};

use persisting_message_bus::MessageDispatcher;

use crate::backends::{Backend, Database};
use crate::on_topics::OnTopics;
use crate::side_by_side::side_by_side;
use crate::topic::{Orders, names_of_topics};
use crate::{Failure, Way};

/// The publishers.
#[derive(Clone, Copy)]
pub struct Publishers {
    pub publishers: usize,
    /// The number of topics. Each publisher has some topics to itself, or all share them.
    pub topics: usize,
    pub duration: Duration,
}

pub fn dispatched_one_by_one<B: Backend>(
    database: &Database<'_, B>,
    of: Publishers,
) -> Result<Way, Failure> {
    let topics = names_of_topics(of.topics);
    let connections = (0..of.publishers).map(|_| database.connect());
    let mut connections = connections.collect::<Result<Vec<_>, _>>()?;
    let dispatcher = MessageDispatcher::<Orders>::new();
    Ok(Box::new(move || {
        side_by_side(&mut connections, |connection, publisher| {
            of.publish(publisher, |number, topic| {
                let message = Orders::number(number);
                if of.topics == 1 {
                    dispatcher.dispatch(connection, &message)?;
                } else {
                    let topics = &topics[topic..=topic];
                    dispatcher.dispatch(&mut OnTopics { connection, topics }, &message)?;
                }
                Ok(())
            })
        })
    }))
}

impl Publishers {
    /// Publishes one publisher's messages in sequence. `publish` gets the number of the message and
    /// its topic.
    pub fn publish(
        self,
        publisher: usize,
        mut publish: impl FnMut(u64, usize) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let begun = Instant::now();
        let mut published = 0;
        let mut topic = publisher;
        while begun.elapsed() < self.duration {
            publish(published as u64, topic % self.topics)?;
            published += 1;
            topic += self.publishers;
        }
        Ok(published)
    }
}
