use std::sync::{Arc, Mutex};

use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::topics::Orders;

type Handler = Box<dyn FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send>;

/// A long-lived consumer of orders.
pub struct Reader<B> {
    bus: B,
    consumer: MessageConsumer<Orders, External<Handler>>,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl<B: MessageSource + MessageConsumerState> Reader<B> {
    pub fn new(bus: B) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handled = Arc::clone(&seen);
        let handler: Handler = Box::new(move |message| {
            handled.lock().unwrap().push(message.payload().order());
            Ok(())
        });
        let consumer = MessageConsumer::external("all", handler);
        Self {
            bus,
            consumer,
            seen,
        }
    }

    /// Handles pages until the consumer has caught up, and returns the numbers of the orders.
    pub fn read(&mut self) -> Vec<u64> {
        while self.consumer.handle_page(&mut self.bus).unwrap() > 0 {}
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}
