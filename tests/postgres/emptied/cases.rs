//! The message table is emptied, and its positions begin again, under a connection and a consumer
//! that live on. The same cases on every database.

use std::convert::Infallible;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::{MessageConsumerState, MessageRepository, MessageSource};
use persisting_message_bus::handler::{External, HandlerError, PageHandler};
use persisting_message_bus::operate::{ConsumerCondition, ConsumerKey, ConsumerStatus};
use persisting_message_bus::{
    EventSet, Message, MessageConsumer, MessageDispatcher, Runner, StartAt,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, OrderShipped, Orders};
use persisting_message_bus_tests::waiting::wait_until;

/// A database whose message table can be emptied.
pub trait Emptied: Database<Bus: SimpleConnection> + Send + 'static {
    /// Deletes all messages, so that the next position is 1.
    fn empty(bus: &mut Self::Bus);
}

/// The orders that a consumer has handled.
pub type Seen = Arc<Mutex<Vec<u64>>>;

pub fn taken(seen: &Seen) -> Vec<u64> {
    std::mem::take(&mut *seen.lock().unwrap())
}

/// Publishes an order for each number: shipped for even numbers, and placed for the others.
pub fn publish(bus: &mut impl MessageRepository, numbers: impl IntoIterator<Item = u64>) {
    let orders = MessageDispatcher::<Orders>::new();
    for order in numbers {
        if order % 2 == 0 {
            orders.dispatch(bus, &OrderShipped { order }).unwrap();
        } else {
            orders.dispatch(bus, &OrderPlaced::number(order)).unwrap();
        }
    }
}

/// An external consumer that records the orders that it handles.
pub type Recording<S, F> = MessageConsumer<S, External<F>>;

/// Returns an external consumer of the whole topic, "all".
pub fn external(
    seen: &Seen,
) -> Recording<Orders, impl FnMut(&Message<Orders>) -> Result<(), HandlerError> + use<>> {
    let seen = Arc::clone(seen);
    MessageConsumer::external("all", move |message: &Message<Orders>| {
        seen.lock().unwrap().push(message.payload().order());
        Ok(())
    })
}

/// Returns a consumer of an event set, which leaves out the orders with odd numbers.
pub fn of_event_set(
    seen: &Seen,
) -> Recording<Closed, impl FnMut(&Message<Closed>) -> Result<(), HandlerError> + use<>> {
    let seen = Arc::clone(seen);
    MessageConsumer::external("all", move |message: &Message<Closed>| {
        let order = match message.payload() {
            Closed::Shipped(shipped) => shipped.order,
            Closed::Cancelled(cancelled) => cancelled.order,
        };
        seen.lock().unwrap().push(order);
        Ok(())
    })
}

/// A consumer, its record, whether it selects an order, and the database.
struct Case<D: Database, S, H> {
    consumer: MessageConsumer<S, H>,
    seen: Seen,
    selects: fn(u64) -> bool,
    /// The connection of the consumer.
    bus: D::Bus,
    /// The connection of another process.
    other: D::Bus,
    database: D,
}

/// Calls a method of the case of each kind of consumer.
macro_rules! each_kind {
    ($database:ident, $run:ident($($argument:expr),*)) => {
        let seen = Seen::default();
        let whole_topic = external(&seen);
        Case::<$database, _, _>::new(whole_topic, seen, |_| true).$run($($argument),*);
        let seen = Seen::default();
        let event_set = of_event_set(&seen);
        let selects = |order| order % 2 == 0;
        Case::<$database, _, _>::new(event_set, seen, selects).$run($($argument),*);
        let seen = Seen::default();
        let record = Arc::clone(&seen);
        let transactional = MessageConsumer::<Orders>::transactional(
            "all",
            move |_: &mut $database::Bus, message: &Message<Orders>| {
                record.lock().unwrap().push(message.payload().order());
                Ok(())
            },
        );
        Case::<$database, _, _>::new(transactional, seen, |_| true).$run($($argument),*);
    };
}

pub fn new_messages_after_the_table_was_emptied_are_not_skipped<D: Emptied>() {
    // None, fewer than before, as many, and more.
    for new in [0, 4, 10, 15] {
        each_kind!(D, emptied(new));
    }
}

pub fn a_runner_stops_when_the_table_was_emptied<D: Emptied>() {
    each_kind!(D, stopped());
}

/// Prunes each range of the oldest messages, of ten that were handled.
pub fn a_pruned_topic_is_no_alarm<D: Emptied>() {
    for up_to in [1, 4, 9, 10] {
        each_kind!(D, pruned(up_to));
    }
}

/// Handles ten messages, calls `between` with a connection, and handles three more.
pub fn continues_after<D: Emptied>(between: fn(&mut D::Bus)) {
    each_kind!(D, continues(between));
}

/// Deletes the messages up to a position.
pub fn prune(bus: &mut impl SimpleConnection, up_to: i64) {
    let delete = format!("DELETE FROM public_messages WHERE id <= {up_to}");
    bus.batch_execute(&delete).unwrap();
}

fn status(bus: &mut (impl MessageSource + MessageConsumerState)) -> ConsumerStatus {
    let key = ConsumerKey {
        consumer: "all",
        topic: "orders",
    };
    ConsumerStatus::read(bus, key).unwrap()
}

pub fn selected(numbers: impl IntoIterator<Item = u64>, selects: fn(u64) -> bool) -> Vec<u64> {
    numbers
        .into_iter()
        .filter(|order| selects(*order))
        .collect()
}

impl<D: Emptied, S: EventSet, H: PageHandler<S, D::Bus>> Case<D, S, H> {
    fn new(consumer: MessageConsumer<S, H>, seen: Seen, selects: fn(u64) -> bool) -> Self {
        let database = D::create();
        Self {
            consumer,
            seen,
            selects,
            bus: database.connect(),
            other: database.connect(),
            database,
        }
    }

    fn selected(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
        selected(numbers, self.selects)
    }

    /// Handles new messages: the orders with these numbers that the consumer selects.
    #[track_caller]
    fn assert_handles(&mut self, numbers: impl IntoIterator<Item = u64>) {
        let handled = self.consumer.handle_new_messages(&mut self.bus);
        let handled = handled.unwrap_or_else(|error| panic!("{error:#}"));
        let orders = taken(&self.seen);
        assert_eq!(handled, orders.len());
        assert_eq!(orders, self.selected(numbers));
    }

    #[track_caller]
    fn assert_caught_up(&mut self) {
        let condition = status(&mut self.bus).condition;
        assert_eq!(condition, ConsumerCondition::CaughtUp);
    }

    #[track_caller]
    fn assert_no_problem(&mut self) {
        assert_eq!(status(&mut self.bus).problem, None);
    }

    fn emptied(mut self, new: u64) {
        publish(&mut self.bus, 1..=10);
        self.assert_handles(1..=10);
        D::empty(&mut self.other);
        publish(&mut self.other, 101..101 + new);
        for _ in 0..2 {
            let error = self.consumer.handle_new_messages(&mut self.bus);
            let error = error.unwrap_err();
            assert!(error.is_broken_cursor(), "{new}: {error:#}");
            assert_eq!(taken(&self.seen), [0; 0]);
            let status = status(&mut self.bus);
            assert_eq!(status.condition, ConsumerCondition::BrokenCursor, "{new}");
            assert!(status.problem.is_some());
        }
        self.consumer.reset(&mut self.bus, StartAt::Start).unwrap();
        self.assert_handles(101..101 + new);
        publish(&mut self.other, 201..=203);
        self.assert_handles(201..=203);
        self.assert_caught_up();
    }

    fn stopped(self)
    where
        S: 'static,
        H: Send + 'static,
    {
        let expected = self.selected(1..=10);
        let (mut bus, seen) = (self.bus, self.seen);
        publish(&mut bus, 1..=10);
        let database = Arc::new(self.database);
        let shared = Arc::clone(&database);
        let running = Runner::new(move || Ok::<_, Infallible>(shared.connect()))
            .idle_interval(Duration::from_millis(50))
            .consumer(self.consumer)
            .start();
        wait_until("the cursor is at the end", || {
            status(&mut bus).condition == ConsumerCondition::CaughtUp
        });
        assert_eq!(taken(&seen), expected);
        D::empty(&mut bus);
        publish(&mut bus, 101..=115);
        let (send, ended) = channel();
        thread::spawn(move || send.send(running.join()));
        let ended = ended.recv_timeout(Duration::from_secs(10)).unwrap();
        let error = ended[0].error.as_ref().expect("an error");
        assert!(error.is_broken_cursor(), "{error:#}");
        assert_eq!(taken(&seen), [0; 0]);
        let condition = status(&mut bus).condition;
        assert_eq!(condition, ConsumerCondition::BrokenCursor);
    }

    fn pruned(mut self, up_to: i64) {
        self.continue_after(|bus| prune(bus, up_to));

        // The cursor is at 13, and the messages up to 15 are pruned before they were handled.
        publish(&mut self.other, 14..=18);
        prune(&mut self.other, 15);
        self.assert_no_problem();
        self.assert_handles(16..=18);

        publish(&mut self.other, 19..=20);
        prune(&mut self.other, 20);
        self.assert_handles([]);
        self.assert_no_problem();
        publish(&mut self.other, 21..=22);
        self.assert_no_problem();
        self.assert_handles(21..=22);
        self.assert_caught_up();
    }

    fn continues(mut self, between: fn(&mut D::Bus)) {
        self.continue_after(between);
    }

    fn continue_after(&mut self, between: impl FnOnce(&mut D::Bus)) {
        publish(&mut self.bus, 1..=10);
        self.assert_handles(1..=10);
        between(&mut self.other);
        for _ in 0..2 {
            self.assert_handles([]);
            self.assert_no_problem();
        }
        publish(&mut self.other, 11..=13);
        self.assert_handles(11..=13);
        self.assert_no_problem();
    }
}
