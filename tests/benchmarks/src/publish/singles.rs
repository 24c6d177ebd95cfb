//! Publishers side by side, who commit each message.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::{MessageDispatcher, Topic};

use crate::Failure;
use crate::backends::{Backend, Database};
use crate::measure::Way;
use crate::on_topic::OnTopic;
use crate::raw::{NewRow, RawDriver};
use crate::topic::Orders;

pub fn singles<B: Backend>(
    library: &Database<'_, B>,
    raw: &Database<'_, B>,
    publishers: usize,
    topics: usize,
    duration: Duration,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let by_hand = by_hand(raw, publishers, topics, duration)?;
    let dispatched = dispatched(library, publishers, topics, duration)?;
    Ok(vec![("autocommit", by_hand), ("dispatch", dispatched)])
}

fn by_hand<B: Backend>(
    raw: &Database<'_, B>,
    publishers: usize,
    topics: usize,
    duration: Duration,
) -> Result<Way, Failure> {
    let topics = names_of(topics);
    let drivers = (0..publishers).map(|_| raw.connect_raw());
    let mut drivers = drivers.collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(move || {
        in_threads(&mut drivers, duration, |driver, publisher, number| {
            let row = NewRow::of(&Orders::number(number))?;
            driver.publish(&topics[publisher % topics.len()], &row)
        })
    }))
}

fn dispatched<B: Backend>(
    library: &Database<'_, B>,
    publishers: usize,
    topics: usize,
    duration: Duration,
) -> Result<Way, Failure> {
    let topics = names_of(topics);
    let connections = (0..publishers).map(|_| library.connect());
    let mut connections = connections.collect::<Result<Vec<_>, _>>()?;
    let dispatcher = MessageDispatcher::<Orders>::new();
    Ok(Box::new(move || {
        in_threads(
            &mut connections,
            duration,
            |connection, publisher, number| {
                let message = Orders::number(number);
                if let [_] = topics[..] {
                    dispatcher.dispatch(connection, &message)?;
                } else {
                    let topic = &topics[publisher % topics.len()];
                    dispatcher.dispatch(&mut OnTopic { connection, topic }, &message)?;
                }
                Ok(())
            },
        )
    }))
}

/// The topic as it is, or so many beside it.
fn names_of(topics: usize) -> Vec<String> {
    match topics {
        1 => vec![Orders::NAME.to_owned()],
        _ => (0..topics)
            .map(|topic| format!("{}-{topic}", Orders::NAME))
            .collect(),
    }
}

/// Lets each connection publish in a thread of its own for some time; returns how many messages a
/// second that were together. `publish` is told whose turn it is, and the number of the message.
fn in_threads<C: Send>(
    connections: &mut [C],
    duration: Duration,
    publish: impl Fn(&mut C, usize, u64) -> Result<(), Failure> + Sync,
) -> Result<f64, Failure> {
    let begin = Barrier::new(connections.len());
    let publish_for_some_time = |connection: &mut C, publisher| {
        begin.wait();
        let begun = Instant::now();
        let mut published = 0;
        while begun.elapsed() < duration {
            publish(connection, publisher, published)?;
            published += 1;
        }
        Ok(published as f64 / begun.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let publishers = connections.iter_mut().enumerate();
        let publishers = publishers.map(|(publisher, connection)| {
            scope.spawn(move || publish_for_some_time(connection, publisher))
        });
        let publishers: Vec<_> = publishers.collect();
        let rates = publishers.into_iter().map(|publisher| {
            publisher
                .join()
                .map_err(|_| "a publisher panicked".into())
                .flatten()
        });
        rates.sum()
    })
}
