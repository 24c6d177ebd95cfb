//! Failures at the worst possible moment.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use persisting_message_bus::backend::{
    LeaseRequest, MessageConsumerState, MessageRepository, NewFailure,
};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerKey, FailureState, MessageFailures, ParkedSelector};
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, MessageDispatcher, Position, ResetTo,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};

use super::consuming::raw;
use super::failing::{after, failed, place};
use super::{TestBus, consume, ignore, orders, stored};

/// An error that runs a closure when its text is formatted: after the rollback, and before the
/// failure is recorded.
struct Interleaved(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Interleaved {
    fn new(run: impl FnOnce() + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(run))))
    }
}

impl fmt::Display for Interleaved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = self.0.lock().unwrap().take();
        if let Some(run) = run {
            run();
        }
        formatter.write_str("late")
    }
}

impl fmt::Debug for Interleaved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Interleaved")
    }
}

impl StdError for Interleaved {}

pub fn refuse_second(bus: &mut impl TestBus) {
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        match message.payload().order() {
            2 => Err("no stock".into()),
            _ => Ok(()),
        }
    })
    .retry(after(1, FailurePolicy::Park));
    while consumer.handle_page(bus).unwrap() > 0 {}
}

pub fn a_late_failure_does_not_unpark<D: Database>() {
    let (database, mut bus) = place::<D>(1..4);
    let mut other = database.connect();
    let late_one = Cell::new(true);
    let mut late = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        if message.payload().order() == 2 && late_one.replace(false) {
            refuse_second(&mut other);
            return Err("late".into());
        }
        Ok(())
    })
    .lease_duration(Duration::ZERO)
    .retry(after(3, FailurePolicy::Park));
    drop(late.handle_page(&mut bus));
    drop(late);
    let parked = failed(&mut bus, "all", FailureState::Parked);
    assert_eq!(
        parked.len(),
        1,
        "{:?}",
        failed(&mut bus, "all", FailureState::Failing)
    );
}

pub fn a_late_failure_loses_nothing<D: Database>() {
    let (database, mut bus) = place::<D>(1..4);
    let mut other = database.connect();
    let mut late = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        if message.payload().order() == 2 {
            refuse_second(&mut other);
            return Err("late".into());
        }
        Ok(())
    })
    .lease_duration(Duration::ZERO)
    .retry(after(3, FailurePolicy::Park));
    drop(late.handle_page(&mut bus));
    drop(late);
    // Recording a later failure deletes those of messages that were handled since.
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(4))
        .unwrap();
    let mut again = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>("no stock".into())
    });
    drop(again.handle_page(&mut bus));
    let states = [
        FailureState::Failing,
        FailureState::Parked,
        FailureState::Stopped,
    ];
    let noted = states.map(|state| failed(&mut bus, "all", state)).concat();
    let at: Vec<_> = noted.iter().map(|failed| failed.position.get()).collect();
    assert_eq!(
        at,
        [4, 2],
        "order 2 was not handled, and its failure is not recorded"
    );
}

fn pay<B: MessageRepository>(bus: &mut B, message: &Message<Orders>) -> Result<(), HandlerError> {
    let order = message.payload().order();
    MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
    Ok(())
}

pub fn a_redriven_message_is_not_handled_twice_after_a_late_failure<D: Database>()
where
    D::Bus: Send + 'static,
{
    let (database, mut bus) = place::<D>(1..2);
    let mut refusing = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>("closed".into())
    })
    .retry(after(1, FailurePolicy::Park));
    refusing.handle_page(&mut bus).unwrap();
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let mut other = Some(database.connect());
    let mut late = MessageConsumer::<Orders>::transactional(
        "all",
        move |_: &mut D::Bus, _: &Message<Orders>| {
            let mut other = other.take().expect("once");
            // The lease has expired. After the rollback, another consumer acquires it.
            Err(Interleaved::new(move || {
                let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
                assert_eq!(consumer.handle_page(&mut other).unwrap(), 1);
            })
            .into())
        },
    )
    .lease_duration(Duration::ZERO);
    drop(late.handle_page(&mut bus));
    assert_eq!(stored(&mut bus, "payments").len(), 1);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
    consumer.handle_page(&mut bus).unwrap();
    assert_eq!(stored(&mut bus, "payments").len(), 1, "paid twice");
}

pub fn a_failure_recorded_by_a_late_holder_loses_no_message<D: Database>() {
    let (_database, mut bus) = place::<D>(1..10);
    let request = |owner| LeaseRequest {
        consumer: "all",
        topic: "orders",
        owner,
        duration: Duration::ZERO,
    };
    let failure = |position| NewFailure {
        extend_lease: Duration::from_secs(3_600),
        position: Position::new(position),
        message_id: None,
        message_type: None,
        error: "no",
        state: FailureState::Failing,
    };
    // The late holder is at position 9 when its lease expires and the consumer is reset.
    let late = bus.acquire(&request("late")).unwrap();
    let operator = bus.acquire(&request("operator")).unwrap();
    bus.reset(&operator, Some(Position::new(4))).unwrap();
    let now = bus.acquire(&request("now")).unwrap();
    bus.record_failure(&now, &failure(5)).unwrap();
    drop(bus.record_failure(&late, &failure(9)));
    let given_up = bus.give_up(&now, Position::new(5), FailurePolicy::Park);
    let cursor = bus
        .stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap()
        .unwrap()
        .cursor;
    let parked = bus
        .count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap();
    assert!(
        parked == 1 || cursor < Some(Position::new(5)),
        "lost: {given_up:?}, cursor {cursor:?}, parked {parked}"
    );
}

pub fn the_hook_runs_when_the_first_message_is_parked<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.persist(&[raw("OrderLost", "{}")], Default::default())
        .unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore)
        .retry(after(1, FailurePolicy::Park))
        .before_replay(move || {
            counted.fetch_add(1, SeqCst);
            Ok(())
        });
    for replays in 1..3 {
        while consumer.handle_page(&mut bus).unwrap() > 0 {}
        assert_eq!(calls.load(SeqCst), replays);
        consumer.reset(&mut bus, ResetTo::Start).unwrap();
    }
}

pub fn a_slow_redrive_keeps_the_lease<D: Database>() {
    let (database, mut bus) = place::<D>(1..6);
    let mut refusing = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>("closed".into())
    })
    .retry(after(1, FailurePolicy::Park));
    refusing.handle_page(&mut bus).unwrap();
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let handled = RefCell::new(Vec::new());
    let mut other = database.connect();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        let order = message.payload().order();
        handled.borrow_mut().push(order);
        // A third of the lease duration, so that the lease can be renewed in time.
        std::thread::sleep(Duration::from_millis(200));
        if order == 5 {
            let mut second =
                MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
                    handled.borrow_mut().push(message.payload().order());
                    Ok(())
                });
            drop(second.handle_page(&mut other));
        }
        Ok(())
    })
    .lease_duration(Duration::from_millis(600));
    drop(consumer.handle_page(&mut bus));
    drop(consumer);
    assert_eq!(handled.into_inner(), [1, 2, 3, 4, 5]);
}

pub fn a_redrive_notices_that_the_lease_is_lost<D: Database>() {
    let (database, mut bus) = place::<D>(1..6);
    let mut refusing = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>("closed".into())
    })
    .retry(after(1, FailurePolicy::Park));
    refusing.handle_page(&mut bus).unwrap();
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let mut other = database.connect();
    let handled = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        handled.borrow_mut().push(message.payload().order());
        if message.payload().order() == 1 {
            let mut second =
                MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
                    handled.borrow_mut().push(message.payload().order());
                    Ok(())
                });
            assert_eq!(second.handle_page(&mut other).unwrap(), 5);
        }
        Ok(())
    })
    .lease_duration(Duration::ZERO);
    let result = consumer.handle_page(&mut bus);
    drop(consumer);
    let handled = handled.into_inner();
    assert_eq!(
        handled,
        [1, 1, 2, 3, 4, 5],
        "only the current message may be repeated: {result:?}"
    );
}

pub fn a_message_redriven_after_a_replay_is_a_replay<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    assert_eq!(consume(&mut bus, "all"), [1, 2, 3]);
    MessageConsumer::<Orders>::external("all", ignore)
        .reset(&mut bus, ResetTo::Start)
        .unwrap();
    refuse_second(&mut bus);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let seen = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.borrow_mut()
            .push((message.payload().order(), message.is_replay()));
        Ok(())
    });
    consumer.handle_page(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(
        seen.into_inner(),
        [(2, true)],
        "the message was handled before the reset"
    );
}

pub fn pause_and_resume_are_idempotent<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    consume(&mut bus, "all");
    for _ in 0..2 {
        assert!(
            bus.resume(ConsumerKey {
                consumer: "all",
                topic: "orders"
            })
            .unwrap()
        );
    }
    for _ in 0..2 {
        assert!(
            bus.pause(ConsumerKey {
                consumer: "all",
                topic: "orders"
            })
            .unwrap()
        );
    }
}

struct Explosive;

impl fmt::Display for Explosive {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("a bug in the text of an error")
    }
}

impl fmt::Debug for Explosive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Explosive")
    }
}

impl StdError for Explosive {}

pub fn a_message_is_parked_when_the_text_of_its_error_panics<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>(Box::new(Explosive))
    })
    .retry(after(2, FailurePolicy::Park));
    // The result is dropped because printing such an error would panic, too.
    for _ in 0..6 {
        drop(consumer.handle_page(&mut bus));
    }
    let parked = failed(&mut bus, "all", FailureState::Parked);
    assert!(parked[0].error.contains("formatting the error failed"));
}
