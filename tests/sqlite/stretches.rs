//! Pages of a rare type, which take several statements, while another connection changes the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{Message, MessageConsumer, Position};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, OrderShipped};

use super::orders;

/// Deletes a message once the messages of a stretch were counted, and before they are read.
struct DeletesInBetween {
    database: Arc<Sqlite>,
    position: i64,
    is_done: AtomicBool,
}

impl Instrumentation for DeletesInBetween {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::FinishQuery { query, .. } = event
            && query.to_string().contains("THEN 1 ELSE 0 END FROM")
            && !self.is_done.swap(true, Ordering::SeqCst)
        {
            let delete = format!("DELETE FROM public_messages WHERE id = {}", self.position);
            self.database.connect().batch_execute(&delete).unwrap();
        }
    }
}

/// To the consumer, that is a page of an older state: it lacks a message that was counted.
#[test]
fn nothing_of_a_stretch_is_handled_when_one_of_its_messages_is_missing() {
    let database = Arc::new(Sqlite::create());
    let mut bus = database.connect();
    let batch = (0..10_100).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    // After the positions that the first statement reads, and in the stretch that is counted again.
    bus.batch_execute("DELETE FROM public_messages WHERE id BETWEEN 5000 AND 6000")
        .unwrap();
    let shipped = (1..=3).map(|order| OrderShipped { order });
    orders().dispatch_batch(&mut bus, shipped).unwrap();
    let mut handled = 0;
    let handler = |_: &Message<Closed>| {
        handled += 1;
        Ok(())
    };
    let mut consumer = MessageConsumer::<Closed>::external("closed", handler);
    let mut watched: SqliteConnection = database.connect();
    watched.set_instrumentation(DeletesInBetween {
        database: Arc::clone(&database),
        position: 10_102,
        is_done: AtomicBool::new(false),
    });
    let error = consumer.handle_page(&mut watched).unwrap_err();
    assert!(error.is_retryable(), "{error:#}");
    assert!(error.to_string().contains("older state"), "{error:#}");
    let key = ConsumerKey {
        consumer: "closed",
        topic: "orders",
    };
    let row = bus.stored_consumer(key).unwrap();
    let cursor = row.and_then(|row| row.cursor).unwrap_or_default();
    assert!(cursor < Position::new(10_101), "{cursor}");
    assert_eq!(consumer.handle_new_messages(&mut watched).unwrap(), 2);
    drop(consumer);
    assert_eq!(handled, 2);
}
