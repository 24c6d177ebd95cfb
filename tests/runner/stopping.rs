use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Orders, Paid, Payments};

use super::{place, runner, state};

const MINUTE: Duration = Duration::from_secs(60);

/// A handler that reports its message and continues on a signal.
struct Slow {
    at: Sender<u64>,
    go: Receiver<()>,
}

impl Slow {
    fn new() -> (Self, Receiver<u64>, Sender<()>) {
        let ((at, is_at), (go_on, go)) = (channel(), channel());
        (Self { at, go }, is_at, go_on)
    }

    fn handle(&self, message: &Message<Orders>) -> Result<(), HandlerError> {
        self.at.send(message.payload().order())?;
        Ok(self.go.recv_timeout(MINUTE)?)
    }
}

pub fn an_external_handler_finishes_its_current_message<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..11);
    let (slow, at, go) = Slow::new();
    let consumer = MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
        slow.handle(message)
    });
    let running = runner(&database).consumer(consumer).start();
    for order in 1..=3 {
        assert_eq!(at.recv_timeout(MINUTE), Ok(order));
        if order < 3 {
            go.send(()).unwrap();
        }
    }
    running.shutdown().request();
    assert!(running.shutdown().is_requested());
    go.send(()).unwrap();
    running.stop_within(MINUTE).unwrap();
    assert!(at.recv().is_err(), "the next message was started");
    assert_eq!(state(&mut database.connect(), "all"), (3, false));
}

pub fn a_transactional_handler_finishes_its_current_message<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..11);
    let (slow, at, go) = Slow::new();
    let consumer = MessageConsumer::<Orders>::transactional(
        "payer",
        move |bus: &mut D::Bus, message: &Message<Orders>| {
            let order = message.payload().order();
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
            slow.handle(message)
        },
    );
    let running = runner(&database).consumer(consumer).start();
    for order in 1..=3 {
        assert_eq!(at.recv_timeout(MINUTE), Ok(order));
        if order < 3 {
            go.send(()).unwrap();
        }
    }
    running.shutdown().request();
    go.send(()).unwrap();
    running.stop_within(MINUTE).unwrap();
    assert!(at.recv().is_err(), "the next message was started");
    assert_eq!(state(&mut database.connect(), "payer"), (3, false));

    let (sender, paid) = channel();
    let consumer = MessageConsumer::<Payments>::external("all", move |message: &Message<_>| {
        let Payments::Paid(paid) = message.payload();
        Ok(sender.send(paid.order)?)
    });
    let running = runner(&database).consumer(consumer).start();
    assert!(paid.iter().take(3).eq([1, 2, 3]));
    running.stop_within(MINUTE).unwrap();
    assert!(paid.recv().is_err());
}

pub fn a_consumer_that_does_not_stop_in_time_is_named<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..3);
    let (slow, at, go) = Slow::new();
    let consumer = MessageConsumer::<Orders>::external("slow", move |message: &Message<Orders>| {
        slow.handle(message)
    });
    let quick = MessageConsumer::<Orders>::external("quick", |_: &Message<Orders>| Ok(()));
    let running = runner(&database).consumer(consumer).consumer(quick).start();
    assert_eq!(at.recv_timeout(MINUTE), Ok(1));
    let still = running.stop_within(Duration::from_millis(300)).unwrap_err();
    assert_eq!(still.consumers, ["slow"]);
    assert!(still.to_string().contains("slow"), "{still}");
    go.send(()).unwrap();
}

pub fn dropping_the_handle_stops_the_consumers<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..2);
    let (sender, seen) = channel();
    let consumer =
        MessageConsumer::<Orders>::external("all", move |_: &Message<Orders>| Ok(sender.send(())?));
    let running = runner(&database).consumer(consumer).start();
    seen.recv_timeout(MINUTE).unwrap();
    drop(running);
    // The handler is dropped with its thread.
    assert!(seen.recv_timeout(MINUTE).is_err());
}
