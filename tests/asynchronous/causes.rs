//! Causes and traces of messages that async handlers dispatch.

use std::cell::RefCell;
use std::sync::Mutex;

use persisting_message_bus::asynchronous::MessageConsumer;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::tracing::{TraceContext, set_trace_context};
use persisting_message_bus::{Correlation, Headers, MessageDispatcher};
use persisting_message_bus_tests::topics::{Orders, Paid, Payments};
use tracing::Span;

use crate::{SOON, in_memory, multi_thread, place};

/// Returns the headers of the payments.
fn payments(bus: &InMemoryMessageBus) -> Vec<serde_json::Value> {
    let messages = bus.messages.messages();
    let payments = messages.iter().filter(|it| it.topic == "payments");
    let headers = |it: &persisting_message_bus::backend::RawMessage| {
        serde_json::from_str(&it.headers).unwrap()
    };
    payments.map(headers).collect()
}

#[test]
fn messages_of_an_async_handler_and_of_its_tasks_are_caused_by_its_message() {
    multi_thread().block_on(async {
        let bus = InMemoryMessageBus::default();
        place(&mut bus.clone(), 0..1);
        let payments_bus = bus.clone();
        let consumer = MessageConsumer::<Orders>::external("payer", async move |_| {
            let pay = async |mut bus: InMemoryMessageBus, order| {
                // Another thread can poll the rest.
                tokio::task::yield_now().await;
                MessageDispatcher::<Payments>::new().dispatch(&mut bus, &Paid { order })
            };
            pay(payments_bus.clone(), 1).await?;
            let spawned = Correlation::current()
                .unwrap()
                .in_scope(pay(payments_bus.clone(), 2));
            tokio::spawn(spawned).await??;
            // A task without a scope starts a flow of its own.
            tokio::spawn(pay(payments_bus.clone(), 3)).await??;
            Ok(())
        });
        let running = in_memory(&bus).consumer(consumer).start();
        running.caught_up_within(SOON).await.unwrap();
        let cause = bus.messages.messages()[0].message_id.to_string();
        let causes = payments(&bus);
        let causes: Vec<_> = causes
            .iter()
            .map(|it| it["__causation_id"].as_str())
            .collect();
        assert_eq!(causes, [Some(&*cause), Some(&*cause), None]);
        // The scope has ended with the task.
        assert_eq!(Correlation::current(), None);
    });
}

thread_local! {
    static CURRENT: RefCell<Option<String>> = const { RefCell::new(None) };
}

static LINKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct OfThread;

impl TraceContext for OfThread {
    fn current(&self) -> Option<String> {
        CURRENT.with_borrow(Clone::clone)
    }

    fn link(&self, _: &Span, traceparent: &str) {
        LINKED.lock().unwrap().push(traceparent.to_owned());
        panic!("the trace context panics");
    }
}

const OF_REQUEST: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OF_CALLER: &str = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01";

/// A panic of the application's trace context fails nothing.
#[test]
fn the_trace_of_the_current_span_is_stored_and_linked_in_the_handlers_span() {
    multi_thread().block_on(async {
        set_trace_context(OfThread).unwrap();
        assert!(set_trace_context(OfThread).is_err());
        let bus = InMemoryMessageBus::default();
        CURRENT.set(Some(OF_REQUEST.to_owned()));
        let payments_dispatcher = MessageDispatcher::<Payments>::new();
        place(&mut bus.clone(), 0..1);
        let mut headers = Headers::new();
        headers.set("traceparent", OF_CALLER);
        payments_dispatcher
            .dispatch_with(&mut bus.clone(), &Paid { order: 0 }, headers)
            .unwrap();
        CURRENT.set(None);
        let payments_bus = bus.clone();
        let consumer = MessageConsumer::<Orders>::external("payer", async move |_| {
            payments_dispatcher.dispatch(&mut payments_bus.clone(), &Paid { order: 1 })?;
            Ok(())
        });
        let running = in_memory(&bus).consumer(consumer).start();
        running.caught_up_within(SOON).await.unwrap();
        assert_eq!(*LINKED.lock().unwrap(), [OF_REQUEST]);
        let traces = payments(&bus);
        let traces: Vec<_> = traces.iter().map(|it| it["traceparent"].as_str()).collect();
        assert_eq!(traces, [Some(OF_CALLER), Some(OF_REQUEST)]);
    });
}
