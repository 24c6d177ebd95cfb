//! A consumer of a type that no message has, on a long topic.

use std::time::Instant;

use benchmark_rows::backends::Database;
use benchmark_rows::{Done, Failure, Way};
use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::{EventSet, Message, MessageConsumer, Topic};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::with_driver::WithDriver;

#[derive(Serialize, Deserialize)]
struct OrderRefunded {}

#[derive(Topic)]
#[topic(name = "orders")]
enum RefundedOrders {
    OrderRefunded(OrderRefunded),
}

#[derive(EventSet)]
#[event_set(topic = RefundedOrders)]
enum Refunds {
    OrderRefunded(OrderRefunded),
}

/// The statement that reads the first page of the type.
const ONE_STATEMENT: &str = "SELECT id, message_id, payload FROM public_messages
    WHERE topic = 'orders' AND id > 0 AND message_type IN ('OrderRefunded') ORDER BY id LIMIT 500";

/// One statement, and the library, whose statements end after 100 ms. The rate is that of the
/// messages that are passed over.
pub fn ways<B: WithDriver>(
    database: &Database<'_, B>,
    rows: u64,
) -> Result<Vec<(&'static str, Way)>, Failure>
where
    B::Connection: SimpleConnection,
{
    let rows = usize::try_from(rows)?;
    let (mut by_hand, mut bus) = (database.connect()?, database.connect()?);
    bus.batch_execute(B::STATEMENTS_END_AFTER_100_MS)?;
    Ok(vec![
        (
            "one statement",
            Box::new(move || {
                let begun = Instant::now();
                by_hand.batch_execute(ONE_STATEMENT)?;
                Ok(Done::since(begun, rows))
            }),
        ),
        (
            "consumer, with statements of at most 100 ms",
            Box::new(move || {
                let handler = |_: &Message<Refunds>| Ok(());
                let name = format!("refunds {}", Uuid::now_v7());
                let mut consumer = MessageConsumer::<Refunds>::external(name, handler);
                let begun = Instant::now();
                assert_eq!(consumer.handle_new_messages(&mut bus)?, 0);
                let done = Done::since(begun, rows);
                assert!(bus.last_position()?.get() >= i64::try_from(rows)?);
                Ok(done)
            }),
        ),
    ])
}
