//! Runners outside of a runtime.

use persisting_message_bus::Message;
use persisting_message_bus::asynchronous::MessageConsumer;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus_tests::topics::Orders;

use crate::{current_thread, in_memory, place};

#[test]
fn a_runner_that_was_created_outside_of_a_runtime_starts_nothing() {
    let consumer = MessageConsumer::<Orders>::external("mailer", async |_: &Message<_>| Ok(()));
    let running = in_memory(&InMemoryMessageBus::default())
        .consumer(consumer)
        .start();
    let ended = current_thread().block_on(running);
    let text = format!("{:#}", ended[0].error.as_ref().unwrap());
    assert!(text.contains("outside of a tokio runtime"), "{text}");
}

#[test]
fn an_async_handler_needs_a_runtime_and_can_be_called_without_a_runner() {
    let mut bus = InMemoryMessageBus::default();
    place(&mut bus, 0..1);
    let mut consumer = MessageConsumer::<Orders>::external("mailer", async |_: &Message<_>| {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        Ok(())
    });
    let text = format!("{:#}", consumer.handle_page(&mut bus).unwrap_err());
    assert!(
        text.contains("there is no tokio runtime on this thread"),
        "{text}"
    );
    let runtime = crate::multi_thread();
    let _entered = runtime.enter();
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
}
