use std::fmt;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{MessageRepository, MessageSource, TransactionControl};
use persisting_message_bus::{
    Coalescer, CoalescingDispatcher, Error, Headers, MessageDispatcher, OnDuplicate,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};
use persisting_message_bus_tests::waiting::wait_until;
use uuid::Uuid;

use super::{TestBus, orders, stored};

type Outcome = Result<usize, Error>;

/// A closure that dispatches.
type Caller = Box<dyn FnOnce(&Coalescer) -> Outcome + Send>;

/// Returns a coalescer on this connection only.
fn on<B>(connection: B) -> Coalescer
where
    B: MessageRepository + MessageSource + TransactionControl + Send + 'static,
{
    let connection = Mutex::new(Some(connection));
    Coalescer::new(move || connection.lock().unwrap().take().ok_or(fmt::Error))
}

/// Returns a coalescer whose connection is delayed until the sender is used.
fn held_up<D: Database>(database: &D) -> (Coalescer, mpsc::Sender<()>) {
    let (let_go, gate) = mpsc::channel();
    let held = Mutex::new((gate, Some(database.connect())));
    let coalescer = Coalescer::new(move || {
        let (gate, connection) = &mut *held.lock().unwrap();
        gate.recv().map_err(|_| fmt::Error)?;
        connection.take().ok_or(fmt::Error)
    });
    (coalescer, let_go)
}

fn dispatcher(coalescer: &Coalescer) -> CoalescingDispatcher<Orders> {
    orders().coalescing(coalescer)
}

/// Makes each caller dispatch on its own thread, in this order. A first message is delayed until
/// all callers wait.
fn dispatch_together<D: Database>(database: &D, callers: Vec<Caller>) -> Vec<Outcome> {
    let (coalescer, let_go) = held_up(database);
    let coalescer = &coalescer;
    thread::scope(|scope| {
        let first = scope.spawn(move || {
            dispatcher(coalescer)
                .dispatch(&OrderPlaced::number(0))
                .map(|_| 1)
        });
        wait_until("the first message is being committed", || {
            coalescer.is_busy() && coalescer.waiting() == 0
        });
        let mut others = Vec::new();
        for caller in callers {
            let before = coalescer.waiting();
            others.push(scope.spawn(move || caller(coalescer)));
            wait_until("the caller waits", || coalescer.waiting() > before);
        }
        let_go.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), 1);
        others
            .into_iter()
            .map(|other| other.join().unwrap())
            .collect()
    })
}

fn numbers(bus: &mut impl TestBus) -> Vec<u64> {
    let orders = stored(bus, "orders");
    let payload = |raw: &str| serde_json::from_str::<OrderPlaced>(raw).unwrap();
    orders
        .iter()
        .map(|(_, message)| payload(&message.payload).order)
        .collect()
}

fn place(number: u64) -> Caller {
    Box::new(move |coalescer| {
        dispatcher(coalescer)
            .dispatch(&OrderPlaced::number(number))
            .map(|_| 1)
    })
}

/// Returns a caller that dispatches with an id that may already exist.
fn place_as(id: Uuid, number: u64, duplicates: OnDuplicate) -> Caller {
    Box::new(move |coalescer| {
        let dispatcher = orders().on_duplicate(duplicates).coalescing(coalescer);
        let headers = Headers::new().with_message_id(id);
        dispatcher
            .dispatch_with(&OrderPlaced::number(number), headers)
            .map(|_| 1)
    })
}

pub fn callers_sharing_a_commit_get_their_own_outcomes<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let taken = orders()
        .dispatch(&mut bus, &OrderPlaced::number(100))
        .unwrap();
    let new = Uuid::now_v7();
    let outcomes = dispatch_together(
        &database,
        vec![
            place(1),
            place_as(taken, 2, OnDuplicate::Fail),
            Box::new(|coalescer| {
                let batch = (3..6).map(OrderPlaced::number);
                dispatcher(coalescer).dispatch_batch(batch)
            }),
            place_as(taken, 6, OnDuplicate::Ignore),
            place_as(new, 7, OnDuplicate::Fail),
            place_as(new, 8, OnDuplicate::Fail),
            Box::new(|coalescer| {
                let headers = Headers::new().with("__reserved", 1);
                dispatcher(coalescer)
                    .dispatch_with(&OrderPlaced::number(9), headers)
                    .map(|_| 1)
                    .or_else(|error| {
                        assert!(error.is_invalid_name(), "{error:?}");
                        dispatcher(coalescer)
                            .dispatch(&OrderPlaced::number(10))
                            .map(|_| 1)
                    })
            }),
            Box::new(|coalescer| {
                let payments = MessageDispatcher::<Payments>::new().coalescing(coalescer);
                payments.dispatch(&Paid { order: 1 }).map(|_| 1)
            }),
        ],
    );
    let is_duplicate = |index: usize| outcomes[index].as_ref().unwrap_err().is_duplicate();
    assert!(is_duplicate(1) && is_duplicate(5), "{outcomes:?}");
    let written = |index: usize| *outcomes[index].as_ref().unwrap();
    assert_eq!([0, 2, 4, 6, 7].map(written), [1, 3, 1, 1, 1]);
    assert!(outcomes[3].is_ok());
    assert_eq!(numbers(&mut bus), [100, 0, 1, 3, 4, 5, 7, 10]);
    assert_eq!(stored(&mut bus, "payments").len(), 1);
}

pub fn a_refused_batch_does_not_fail_others_in_its_commit<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let half_new = |duplicates| -> Caller {
        Box::new(move |coalescer| {
            let twice = Uuid::now_v7();
            let decorate = move |headers: &mut Headers| headers.set_message_id(twice);
            let dispatcher = MessageDispatcher::<Orders>::new()
                .with_decorator(decorate)
                .on_duplicate(duplicates)
                .coalescing(coalescer);
            let batch = (20..23).map(OrderPlaced::number);
            dispatcher.dispatch_batch(batch)
        })
    };
    let outcomes = dispatch_together(
        &database,
        vec![
            place(1),
            half_new(OnDuplicate::Fail),
            half_new(OnDuplicate::Ignore),
            place(2),
        ],
    );
    let error = outcomes[1].as_ref().unwrap_err();
    assert!(error.is_duplicate(), "{error:?}");
    let written = |index: usize| *outcomes[index].as_ref().unwrap();
    assert_eq!([0, 2, 3].map(written), [1, 1, 1]);
    assert_eq!(numbers(&mut bus), [0, 1, 20, 2]);
}

pub fn a_caller_writes_nothing_when_the_queue_timeout_expires<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let (coalescer, let_go) = held_up(&database);
    let impatient = coalescer.clone().queue_timeout(Duration::from_millis(20));
    let dispatch = |coalescer: &Coalescer, number| {
        dispatcher(coalescer).dispatch(&OrderPlaced::number(number))
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| dispatch(&coalescer, 0));
        wait_until("the first message is being committed", || {
            coalescer.is_busy() && coalescer.waiting() == 0
        });
        let waiting = scope.spawn(|| dispatch(&coalescer, 1));
        wait_until("one message waits", || coalescer.waiting() == 1);
        let error = dispatch(&impatient, 2).unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains("nothing was written"), "{error}");
        let last = scope.spawn(|| dispatch(&coalescer, 3));
        wait_until("two messages wait", || coalescer.waiting() == 2);
        let_go.send(()).unwrap();
        for dispatched in [first, waiting, last] {
            dispatched.join().unwrap().unwrap();
        }
    });
    assert_eq!(numbers(&mut bus), [0, 1, 3]);
}

pub fn a_caller_waits_for_room_when_the_queue_is_full<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let (coalescer, let_go) = held_up(&database);
    let small = coalescer.max_queue_size(2).max_batch_size(1);
    let dispatch = |coalescer: &Coalescer, number| {
        dispatcher(coalescer).dispatch(&OrderPlaced::number(number))
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| dispatch(&small, 0));
        wait_until("the first message is being committed", || {
            small.is_busy() && small.waiting() == 0
        });
        let two = [1, 2].map(|number| {
            let small = &small;
            scope.spawn(move || dispatch(small, number))
        });
        wait_until("two messages wait", || small.waiting() == 2);
        let impatient = small.clone().queue_timeout(Duration::from_millis(20));
        let error = dispatch(&impatient, 3).unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        let patient = scope.spawn(|| dispatch(&small, 4));
        let_go.send(()).unwrap();
        for dispatched in two.into_iter().chain([first, patient]) {
            dispatched.join().unwrap().unwrap();
        }
    });
    let mut numbers = numbers(&mut bus);
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 4]);
}

pub fn a_closed_coalescer_has_committed_queued_messages<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let (coalescer, let_go) = held_up(&database);
    thread::scope(|scope| {
        let first = scope.spawn(|| dispatcher(&coalescer).dispatch(&OrderPlaced::number(0)));
        wait_until("the first message is being committed", || {
            coalescer.is_busy() && coalescer.waiting() == 0
        });
        let second = scope.spawn(|| dispatcher(&coalescer).dispatch(&OrderPlaced::number(1)));
        wait_until("one message waits", || coalescer.waiting() == 1);
        assert!(!coalescer.close(Duration::from_millis(20)));
        let error = dispatcher(&coalescer)
            .dispatch(&OrderPlaced::number(2))
            .unwrap_err();
        assert!(!error.is_retryable(), "{error:?}");
        let_go.send(()).unwrap();
        assert!(coalescer.close(Duration::from_secs(60)));
        assert_eq!(numbers(&mut bus), [0, 1]);
        first.join().unwrap().unwrap();
        second.join().unwrap().unwrap();
    });
}

pub fn a_coalescer_acknowledges_nothing_when_its_connection_is_in_a_transaction<D: Database>() {
    let database = D::create();
    let mut connection = database.connect();
    connection.begin().unwrap();
    let coalescer = on(connection);
    for _ in 0..2 {
        let error = dispatcher(&coalescer)
            .dispatch(&OrderPlaced::number(1))
            .unwrap_err();
        assert!(error.to_string().contains("messages"), "{error}");
    }
    let mut bus = database.connect();
    assert!(numbers(&mut bus).is_empty());
}

pub fn messages_of_many_threads_are_stored_once<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let coalescer = on(database.connect()).max_batch_size(7).max_queue_size(5);
    let mut said: Vec<_> = thread::scope(|scope| {
        let publish = |thread: u64| {
            let orders = dispatcher(&coalescer);
            let dispatch = move |number: u64| {
                orders
                    .dispatch(&OrderPlaced::number(100 * thread + number))
                    .unwrap()
            };
            scope.spawn(move || (0..25_u64).map(dispatch).collect::<Vec<_>>())
        };
        let publishers: Vec<_> = (0..16).map(publish).collect();
        publishers
            .into_iter()
            .flat_map(|publisher| publisher.join().unwrap())
            .collect()
    });
    let messages = stored(&mut bus, "orders");
    let mut there: Vec<_> = messages
        .iter()
        .map(|(_, message)| message.message_id)
        .collect();
    said.sort_unstable();
    there.sort_unstable();
    assert_eq!(there.len(), 16 * 25);
    assert_eq!(there, said);
}

pub fn several_connections_lose_nothing<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let connections: Vec<_> = (0..4).map(|_| database.connect()).collect();
    let connections = Mutex::new(connections);
    let coalescer = Coalescer::new(move || connections.lock().unwrap().pop().ok_or(fmt::Error))
        .max_connections(4)
        .max_batch_size(5);
    thread::scope(|scope| {
        for thread in 0..16_u64 {
            let orders = dispatcher(&coalescer);
            scope.spawn(move || {
                for number in 0..20 {
                    let order = OrderPlaced::number(100 * thread + number);
                    orders.dispatch(&order).unwrap();
                }
            });
        }
    });
    let numbers = numbers(&mut bus);
    for thread in 0..16 {
        // The messages of a thread come in the order in which it dispatched them.
        let of_thread = numbers.iter().filter(|number| **number / 100 == thread);
        assert!(of_thread.copied().eq(100 * thread..100 * thread + 20));
    }
    assert!(coalescer.close(Duration::from_secs(60)));
}
