//! Publishers side by side, who commit each message.

use std::time::{Duration, Instant};

use persisting_message_bus::MessageDispatcher;

use crate::backends::{Backend, Database};
use crate::on_topics::OnTopics;
use crate::side_by_side::side_by_side;
use crate::topic::{Orders, names_of_topics};
use crate::{Failure, Way};

/// Who publishes.
#[derive(Clone, Copy)]
pub struct Publishers {
    pub publishers: usize,
    /// Each has some of these topics to itself, or they share them.
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
    /// One publisher's messages, one after the other. `publish` is told the number of the message, and
    /// which topic it is for.
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
