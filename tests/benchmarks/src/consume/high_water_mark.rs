//! The cost of the high-water mark: a consumer is compared with one that reads all visible rows.

use std::hint::black_box;
use std::time::Instant;

use benchmark_rows::backends::Database;
use benchmark_rows::topic::Orders;
use benchmark_rows::{Done, Failure, Way};
use persisting_message_bus::backend::{
    MessageConsumerState, MessageSource, SlotObservations, TransactionControl,
};
use persisting_message_bus::{Error, Message, MessageBus, MessageConsumer, Position, StartAt};
use persisting_message_bus_tests::forward_source;
use uuid::Uuid;

use crate::with_driver::WithDriver;

/// The number of pages that a consumer handles for each read of the high-water mark.
#[derive(Clone, Copy)]
pub enum Look {
    /// One page, as a consumer that waits for new messages.
    EachPage,
    /// As many pages as it handles in a time slice.
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
            "without the high-water mark",
            Box::new(move || consume(&mut without, look, page, after)),
        ),
        (
            "with it",
            Box::new(move || consume(&mut with, look, page, after)),
        ),
    ])
}

/// Consumes with a new consumer.
fn consume<C>(bus: &mut C, look: Look, page: usize, after: i64) -> Result<Done, Failure>
where
    C: MessageSource + MessageConsumerState + TransactionControl,
{
    let name = format!("high-water mark {}", Uuid::now_v7());
    let handler = |message: &Message<Orders>| {
        black_box(message);
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::external(name, handler).page_size(page);
    consumer.reset(bus, StartAt::Position(Position::new(after)))?;
    let begun = Instant::now();
    let handled = match look {
        Look::OnceInAWhile => consumer.handle_new_messages(bus)?,
        Look::EachPage => {
            let mut handled = 0;
            loop {
                match consumer.handle_page(bus)? {
                    0 => break handled,
                    more => handled += more,
                }
            }
        }
    };
    Ok(Done::since(begun, handled))
}

/// A source that ignores publishers that are in flight.
struct WhateverThereIs<C>(C);

impl<C: MessageSource> MessageSource for WhateverThereIs<C> {
    fn high_water_mark(
        &mut self,
        _topic: &str,
        _observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        Ok(Position::new(i64::MAX))
    }

    forward_source! { |this| this.0 => head, last_position, read_page }
}
