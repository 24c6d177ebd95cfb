//! The message table is emptied, and its positions begin again, under a connection and a consumer
//! that live on. The same cases on every database.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::MessageRepository;
use persisting_message_bus::handler::{External, HandlerError, PageHandler};
use persisting_message_bus::operate::{ConsumerCondition, ConsumerKey, ConsumerStatus};
use persisting_message_bus::{
    EventSet, Message, MessageConsumer, MessageDispatcher, Runner, StartAt,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, OrderShipped, Orders};
use persisting_message_bus_tests::waiting::wait_until;

/// A database whose message table can be emptied.
pub trait Emptied: Database + Send + 'static {
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
type Recording<S, F> = MessageConsumer<S, External<F>>;

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

/// Calls a function with a consumer of each kind, its record, and whether it selects an order.
macro_rules! each_kind {
    ($database:ident, $case:ident $(, $argument:expr)*) => {
        let seen = Seen::default();
        $case::<$database, _, _>(external(&seen), &seen, |_| true $(, $argument)*);
        let seen = Seen::default();
        let of_event_set = of_event_set(&seen);
        $case::<$database, _, _>(of_event_set, &seen, |order| order % 2 == 0 $(, $argument)*);
        let seen = Seen::default();
        let record = Arc::clone(&seen);
        let transactional = MessageConsumer::<Orders>::transactional(
            "all",
            move |_: &mut $database::Bus, message: &Message<Orders>| {
                record.lock().unwrap().push(message.payload().order());
                Ok(())
            },
        );
        $case::<$database, _, _>(transactional, &seen, |_| true $(, $argument)*);
    };
}

pub fn status<D: Database>(bus: &mut D::Bus) -> ConsumerStatus {
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

/// Handles new messages, and returns the orders.
#[track_caller]
fn handle<D, S, H>(consumer: &mut MessageConsumer<S, H>, bus: &mut D::Bus, seen: &Seen) -> Vec<u64>
where
    D: Database,
    S: EventSet,
    H: PageHandler<S, D::Bus>,
{
    let handled = consumer.handle_new_messages(bus);
    let handled = handled.unwrap_or_else(|error| panic!("{error:#}"));
    let orders = taken(seen);
    assert_eq!(handled, orders.len());
    orders
}

pub fn new_messages_after_the_table_was_emptied_are_not_skipped<D: Emptied>() {
    // None, fewer than before, as many, and more.
    for new in [0, 4, 10, 15] {
        each_kind!(D, emptied, new);
    }
}

fn emptied<D, S, H>(
    mut consumer: MessageConsumer<S, H>,
    seen: &Seen,
    selects: fn(u64) -> bool,
    new: u64,
) where
    D: Emptied,
    S: EventSet,
    H: PageHandler<S, D::Bus>,
{
    let database = D::create();
    let mut bus = database.connect();
    publish(&mut bus, 1..=10);
    let orders = handle::<D, _, _>(&mut consumer, &mut bus, seen);
    assert_eq!(orders, selected(1..=10, selects));
    let mut other = database.connect();
    D::empty(&mut other);
    publish(&mut other, 101..101 + new);
    for _ in 0..2 {
        let error = consumer.handle_new_messages(&mut bus).unwrap_err();
        assert!(error.is_broken_cursor(), "{new}: {error:#}");
        assert_eq!(taken(seen), [0; 0]);
        let status = status::<D>(&mut bus);
        assert_eq!(status.condition, ConsumerCondition::BrokenCursor, "{new}");
        assert!(status.problem.is_some());
    }
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    let orders = handle::<D, _, _>(&mut consumer, &mut bus, seen);
    assert_eq!(orders, selected(101..101 + new, selects));
    publish(&mut other, 201..=203);
    let orders = handle::<D, _, _>(&mut consumer, &mut bus, seen);
    assert_eq!(orders, selected(201..=203, selects));
    assert_eq!(status::<D>(&mut bus).condition, ConsumerCondition::CaughtUp);
}

pub fn a_runner_stops_when_the_table_was_emptied<D: Emptied>() {
    each_kind!(D, stopped);
}

fn stopped<D, S, H>(consumer: MessageConsumer<S, H>, seen: &Seen, selects: fn(u64) -> bool)
where
    D: Emptied,
    S: EventSet + 'static,
    H: PageHandler<S, D::Bus> + Send + 'static,
{
    let database = Arc::new(D::create());
    let mut bus = database.connect();
    publish(&mut bus, 1..=10);
    let shared = Arc::clone(&database);
    let running = Runner::new(move || Ok::<_, std::convert::Infallible>(shared.connect()))
        .idle_interval(Duration::from_millis(50))
        .consumer(consumer)
        .start();
    wait_until("the cursor is at the end", || {
        status::<D>(&mut bus).condition == ConsumerCondition::CaughtUp
    });
    assert_eq!(taken(seen), selected(1..=10, selects));
    D::empty(&mut bus);
    publish(&mut bus, 101..=115);
    let (send, ended) = channel();
    thread::spawn(move || send.send(running.join()));
    let ended = ended.recv_timeout(Duration::from_secs(10)).unwrap();
    let error = ended[0].error.as_ref().expect("an error");
    assert!(error.is_broken_cursor(), "{error:#}");
    assert_eq!(taken(seen), [0; 0]);
    let condition = status::<D>(&mut bus).condition;
    assert_eq!(condition, ConsumerCondition::BrokenCursor);
}

/// Calls a function with each range of the oldest messages, of ten that were handled.
pub fn a_pruned_topic_is_no_alarm<D: Database>(prune: fn(&mut D::Bus, i64)) {
    for up_to in [1, 4, 9, 10] {
        each_kind!(D, pruned, up_to, prune);
    }
}

fn pruned<D, S, H>(
    mut consumer: MessageConsumer<S, H>,
    seen: &Seen,
    selects: fn(u64) -> bool,
    up_to: i64,
    prune: fn(&mut D::Bus, i64),
) where
    D: Database,
    S: EventSet,
    H: PageHandler<S, D::Bus>,
{
    let database = D::create();
    let (mut bus, mut other) = (database.connect(), database.connect());
    publish(&mut bus, 1..=10);
    handle::<D, _, _>(&mut consumer, &mut bus, seen);
    prune(&mut other, up_to);
    for _ in 0..2 {
        assert_eq!(handle::<D, _, _>(&mut consumer, &mut bus, seen), [0; 0]);
        assert_eq!(status::<D>(&mut bus).problem, None);
    }
    publish(&mut other, 11..=13);
    let orders = handle::<D, _, _>(&mut consumer, &mut bus, seen);
    assert_eq!(orders, selected(11..=13, selects));

    // The cursor is at 13, and the messages up to 15 are pruned before they were handled.
    publish(&mut other, 14..=18);
    prune(&mut other, 15);
    assert_eq!(status::<D>(&mut bus).problem, None);
    let orders = handle::<D, _, _>(&mut consumer, &mut bus, seen);
    assert_eq!(orders, selected(16..=18, selects));

    publish(&mut other, 19..=20);
    prune(&mut other, 20);
    assert_eq!(handle::<D, _, _>(&mut consumer, &mut bus, seen), [0; 0]);
    assert_eq!(status::<D>(&mut bus).problem, None);
    publish(&mut other, 21..=22);
    assert_eq!(status::<D>(&mut bus).problem, None);
    let orders = handle::<D, _, _>(&mut consumer, &mut bus, seen);
    assert_eq!(orders, selected(21..=22, selects));
    assert_eq!(status::<D>(&mut bus).condition, ConsumerCondition::CaughtUp);
}

/// Handles ten messages, calls `between` with a connection, and handles three more.
pub fn continues_after<D: Database>(between: fn(&mut D::Bus)) {
    each_kind!(D, continues, between);
}

fn continues<D, S, H>(
    mut consumer: MessageConsumer<S, H>,
    seen: &Seen,
    selects: fn(u64) -> bool,
    between: fn(&mut D::Bus),
) where
    D: Database,
    S: EventSet,
    H: PageHandler<S, D::Bus>,
{
    let database = D::create();
    let (mut bus, mut other) = (database.connect(), database.connect());
    publish(&mut bus, 1..=10);
    handle::<D, _, _>(&mut consumer, &mut bus, seen);
    between(&mut other);
    assert_eq!(handle::<D, _, _>(&mut consumer, &mut bus, seen), [0; 0]);
    assert_eq!(status::<D>(&mut bus).problem, None);
    publish(&mut other, 11..=13);
    let orders = handle::<D, _, _>(&mut consumer, &mut bus, seen);
    assert_eq!(orders, selected(11..=13, selects));
    assert_eq!(status::<D>(&mut bus).problem, None);
}
