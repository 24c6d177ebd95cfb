//! The events and figures that a program gets through `tracing` and `metrics`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::operate::{ConsumerKey, MessageFailures, ParkedSelector};
use persisting_message_bus::{
    Correlation, FailurePolicy, Message, MessageConsumer, MessageDispatcher, ParallelConsumer,
    RetryPolicy, Runner, StartAt,
};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;
use serde_json::Value;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

thread_local! {
    /// The log of this thread.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A writer to the log of the thread.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a closure, and returns its events as JSON.
///
/// All tests share one subscriber. With one for each test, events that one subscriber does not want
/// would be kept from the others.
fn events(run: impl FnOnce()) -> Vec<Value> {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(|| Log)
            .init();
    });
    run();
    let text = String::from_utf8(LOG.take()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn find<'a>(events: &'a [Value], message: &str) -> &'a Value {
    let found = events
        .iter()
        .find(|event| event["fields"]["message"] == message);
    found.unwrap_or_else(|| panic!("no {message:?} in {events:#?}"))
}

/// Handles four orders. The third one fails twice, is parked, and is then redriven.
fn run() {
    let mut bus = InMemoryMessageBus::default();
    let batch = (1..5).map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut bus, batch)
        .unwrap();
    let mut failures = 0;
    let mut consumer =
        MessageConsumer::<Orders>::external("mailer", |message: &Message<Orders>| {
            tracing::info!("in the handler");
            if message.payload().order() == 3 && failures < 2 {
                failures += 1;
                return Err("no stock".into());
            }
            Ok(())
        })
        .retry(
            RetryPolicy::default()
                .max_attempts(2)
                .on_exhausted(FailurePolicy::Park),
        );
    consumer.handle_page(&mut bus).unwrap_err();
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    bus.redrive(
        ConsumerKey {
            consumer: "mailer",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    consumer.reset(&mut bus, StartAt::Start).unwrap();
}

#[test]
fn events_of_a_handler_carry_its_message() {
    let events = events(run);
    let spans = find(&events, "in the handler")["spans"].as_array().unwrap();
    let [page, message] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(page["messaging.consumer.group.name"], "mailer");
    assert_eq!(message["messaging.destination.name"], "orders");
    assert_eq!(message["messaging.message.position"], 1);
    assert_eq!(message["messaging.message.type"], "OrderPlaced");
    let id = message["messaging.message.id"].as_str().unwrap();
    assert_eq!(id.len(), 36);
}

#[test]
fn work_and_failures_are_logged() {
    let events = events(run);
    let dispatched = &find(&events, "messages dispatched")["fields"];
    assert_eq!(dispatched["messaging.batch.message_count"], 4);
    assert!(dispatched["duration_ms"].as_f64().unwrap() > 0.0);
    let page = &find(&events, "page handled")["fields"];
    assert_eq!(page["messaging.batch.message_count"], 2);
    assert!(page["duration_ms"].as_f64().unwrap() > 0.0);
    let failed = find(&events, "message failed");
    assert_eq!(failed["level"], "WARN");
    assert_eq!(failed["fields"]["messaging.message.position"], 3);
    assert_eq!(failed["fields"]["attempts"], 1);
    let text = failed["fields"]["error"].as_str().unwrap();
    assert!(text.ends_with(": no stock"), "{text}");
    let parked = find(&events, "message parked");
    assert_eq!(
        (parked["level"].as_str(), parked["fields"]["then"].as_str()),
        (Some("ERROR"), Some("Park"))
    );
    find(&events, "consumer reset");
}

/// Handles the second of two orders twice, in one of two segments.
fn run_segments() {
    let mut bus = InMemoryMessageBus::default();
    let batch = (1..3).map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut bus, batch)
        .unwrap();
    let has_failed = Arc::<AtomicBool>::default();
    let make = move || {
        let has_failed = Arc::clone(&has_failed);
        MessageConsumer::<Orders>::external("mailer", move |message: &Message<Orders>| {
            tracing::info!("in the handler");
            let fails = message.payload().order() == 2 && !has_failed.swap(true, Ordering::SeqCst);
            if fails {
                return Err("no stock".into());
            }
            Ok(())
        })
        .retry(RetryPolicy::default().initial_delay(Duration::ZERO))
    };
    let mut consumer = ParallelConsumer::unordered(make).segments(2);
    consumer.handle_new_messages(&mut bus).unwrap_err();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
}

#[test]
fn events_of_a_segment_carry_its_number_and_the_epoch_of_its_lease() {
    let events = events(run_segments);
    let first = &find(&events, "in the handler")["spans"][0];
    let partition = first["messaging.destination.partition.id"].as_u64();
    assert!(partition.is_some_and(|number| number < 2), "{first:#?}");
    let failed = &find(&events, "message failed")["fields"];
    let number = failed["messaging.destination.partition.id"].as_u64();
    assert!(number.is_some_and(|number| number < 2), "{failed:#?}");
    assert_eq!(failed["epoch"], 2, "the division has the first one");
}

/// The recorder of a thread does not see what other threads record.
#[test]
fn gauges_tell_how_many_segments_wait_and_how_many_threads_work() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::set_global_recorder(recorder).unwrap();
    let gauges = move || {
        let all = snapshotter.snapshot().into_vec();
        let gauge = |name: &str| {
            let mut of_name = all.iter().filter(|it| it.0.key().name() == name);
            of_name.find_map(|(_, _, _, value)| match value {
                DebugValue::Gauge(value) => Some(value.into_inner()),
                _ => None,
            })
        };
        ["message_bus_waiting_segments", "message_bus_busy_threads"].map(gauge)
    };
    let mut bus = InMemoryMessageBus::default();
    let batch = (0..100).map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut bus, batch)
        .unwrap();
    let is_open = Arc::<AtomicBool>::default();
    let gate = Arc::clone(&is_open);
    let make = move || {
        let gate = Arc::clone(&gate);
        MessageConsumer::<Orders>::external("mailer", move |_: &Message<Orders>| {
            wait_until("the gate opens", || gate.load(Ordering::SeqCst));
            Ok(())
        })
    };
    let running = Runner::new(move || Ok::<_, io::Error>(bus.clone()))
        .parallel(ParallelConsumer::unordered(make).segments(8).threads(3))
        .start();
    wait_until("three threads are at work, and five segments wait", || {
        gauges() == [Some(5.0), Some(3.0)]
    });
    is_open.store(true, Ordering::SeqCst);
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    running.stop_within(Duration::from_secs(60)).unwrap();
    assert_eq!(gauges(), [Some(0.0), Some(0.0)]);
}

#[test]
fn counters_and_histograms_are_kept() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    events(|| metrics::with_local_recorder(&recorder, run));
    let metrics: HashMap<_, _> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels = key.key().labels();
            let labels: Vec<_> = labels.map(|label| label.value().to_owned()).collect();
            ((key.key().name().to_owned(), labels.join(" ")), value)
        })
        .collect();
    let counter = |name: &str, labels: &str| {
        let value = &metrics[&(name.to_owned(), labels.to_owned())];
        let DebugValue::Counter(count) = value else {
            panic!("{value:?}");
        };
        *count
    };
    assert_eq!(
        counter("message_bus_dispatched_messages_total", "orders"),
        4
    );
    assert_eq!(counter("message_bus_handled_messages_total", "mailer"), 4);
    let both = "mailer orders";
    assert_eq!(counter("message_bus_failed_attempts_total", both), 2);
    assert_eq!(counter("message_bus_parked_messages_total", both), 1);
    let histogram = |name: &str, label: &str| {
        let value = &metrics[&(name.to_owned(), label.to_owned())];
        let DebugValue::Histogram(values) = value else {
            panic!("{value:?}");
        };
        assert!(values.iter().all(|value| value.into_inner() > 0.0));
        values.len()
    };
    // Four successful attempts, one of them after the redrive, and two failed ones.
    assert_eq!(
        histogram("message_bus_handler_duration_seconds", "mailer"),
        6
    );
    assert_eq!(histogram("message_bus_page_duration_seconds", "mailer"), 4);
    assert_eq!(
        histogram("message_bus_dispatch_duration_seconds", "orders"),
        1
    );
}

#[test]
fn a_header_from_outside_is_logged_once_when_it_is_changed() {
    let changed = "correlation id changed to a form that can be kept";
    let left_out = "empty correlation id left out";
    let invalid = "invalid traceparent left out";
    for (id, trace, expected) in [
        ("request 1", TRACE, vec![]),
        ("a\0b", TRACE, vec![changed]),
        ("", "no trace", vec![left_out, invalid]),
    ] {
        let events = events(|| {
            let mut bus = InMemoryMessageBus::default();
            let orders = MessageDispatcher::<Orders>::new();
            let request = Correlation::of_flow(id).with_traceparent(trace);
            let dispatched = request.scope(|| orders.dispatch(&mut bus, &OrderPlaced::number(1)));
            dispatched.unwrap();
        });
        let logged: Vec<_> = events
            .iter()
            .map(|event| event["fields"]["message"].as_str().unwrap())
            .filter(|message| *message != "messages dispatched")
            .collect();
        assert_eq!(logged, expected);
        assert!(events.iter().all(|event| event["level"] == "DEBUG"));
    }
}
