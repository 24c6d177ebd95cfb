//! A divided consumer reads from a source that cannot be read in parts.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use persisting_message_bus::backend::{MessageAt, MessageSource, PageRequest, StoredMessage};
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{Error, MessageBus, MessageConsumer, ParallelConsumer, StartAt};

use super::handling::place;
use super::topic::Orders;

/// A source that passes all messages of a page, and not only those of a part.
struct Whole(InMemoryMessageBus);

impl MessageSource for Whole {
    persisting_message_bus_tests::forward_source! {
        |this| this.0 => high_water_mark, head, last_position, ids_at
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        self.0.read_page(request, receive)
    }
}

/// Each segment would handle all messages. The consumer was divided by a program with another source.
#[test]
fn a_source_that_cannot_be_read_in_parts_is_refused() {
    let mut bus = InMemoryMessageBus::default();
    place(&mut bus, 0..10);
    let handled = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&handled);
    let make = move || {
        let count = Arc::clone(&count);
        MessageConsumer::<Orders>::external("all", move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    };
    let mut consumer = ParallelConsumer::by_key(make).segments(3);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    let mut whole = MessageBus::new(Whole(bus.clone()), bus.state.clone());
    let refused = consumer.handle_new_messages(&mut whole).unwrap_err();
    assert!(!refused.is_retryable(), "{refused:?}");
    assert!(refused.to_string().contains("all"), "{refused}");
    assert_eq!(handled.load(Ordering::SeqCst), 10);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
}
