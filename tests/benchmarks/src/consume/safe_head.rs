//! What it costs to know how far can be read: the same consumer, and one that reads whatever there is.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

use benchmark_rows::backends::Database;
use benchmark_rows::topic::Orders;
use benchmark_rows::{Done, Failure, Way};
use persisting_message_bus::{
    Error, Message, MessageBus, MessageConsumer, MessageConsumerState, MessageSource, PageRequest,
    Position, ResetTo, Sightings, StoredMessage, Transactions,
};
use uuid::Uuid;

use crate::with_driver::WithDriver;

/// How many pages a consumer handles under one look at the safe head.
#[derive(Clone, Copy)]
pub enum Look {
    /// One, as a consumer that waits for new messages.
    EachPage,
    /// As many as there are in a fraction of a second.
    OnceInAWhile,
}

pub fn ways<B: WithDriver>(
    database: &Database<'_, B>,
    look: Look,
    page: usize,
    after: i64,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let [messages, state] = [database.connect()?, database.connect()?];
    let mut without = MessageBus::new(WhateverThereIs(messages), state);
    let mut with = MessageBus::new(database.connect()?, database.connect()?);
    Ok(vec![
        (
            "without the safe head",
            Box::new(move || consume(&mut without, look, page, after)),
        ),
        (
            "with it",
            Box::new(move || consume(&mut with, look, page, after)),
        ),
    ])
}

/// As a new consumer.
fn consume<C>(bus: &mut C, look: Look, page: usize, after: i64) -> Result<Done, Failure>
where
    C: MessageSource + MessageConsumerState + Transactions,
{
    let name = format!("safe head {}", Uuid::now_v7());
    let handler = |message: &Message<Orders>| {
        black_box(message);
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::external(name, handler).page_size(page);
    consumer.reset(bus, ResetTo::Position(Position::new(after)))?;
    let begun = Instant::now();
    let handled = match look {
        Look::OnceInAWhile => consumer.catch_up(bus)?,
        Look::EachPage => {
            let mut handled = 0;
            loop {
                match consumer.handle_new_messages(bus)? {
                    0 => break handled,
                    more => handled += more,
                }
            }
        }
    };
    Ok(Done::since(begun, handled))
}

/// A source that does not ask who is still at work.
struct WhateverThereIs<C>(C);

impl<C: MessageSource> MessageSource for WhateverThereIs<C> {
    fn horizon(&mut self, _topic: &str, _sightings: &mut Sightings) -> Result<Position, Error> {
        Ok(Position::new(i64::MAX))
    }

    fn head(&mut self, topic: &str, horizon: Position) -> Result<Position, Error> {
        self.0.head(topic, horizon)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.0.last_position()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.0.read_page(request, receive)
    }
}
