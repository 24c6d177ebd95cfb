//! Runners when the application's code panics, hangs, or keeps somebody waiting.

mod panics;
mod waiting;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use persisting_message_bus::{MessageDispatcher, MessageRepository, Retry, Runner};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

fn place(bus: &mut impl MessageRepository, numbers: std::ops::Range<u64>) {
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, numbers.map(OrderPlaced::number))
        .unwrap();
}

fn runner<D: Database + Send + 'static>(database: &Arc<D>) -> Runner<D::Bus> {
    let database = Arc::clone(database);
    Runner::new(move || Ok::<_, io::Error>(database.connect()))
        .idle_interval(Duration::from_millis(50))
        .retry(
            Retry::default()
                .base(Duration::from_millis(2))
                .cap(Duration::from_millis(50))
                .attempts(3),
        )
}
