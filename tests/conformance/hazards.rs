//! What goes wrong at the worst moment.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use persisting_message_bus::{
    Failure, FailureState, GiveUp, HandlerError, LeaseRequest, Message, MessageConsumer,
    MessageConsumerState, MessageDispatcher, MessageFailures, MessageRepository, Parked, Position,
    ResetTo,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};

use super::consuming::raw;
use super::failing::{after, failed, place};
use super::{TestBus, consume, ignore, orders, stored};

/// An error that runs something when its text is asked for: behind the rollback, before the note.
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
    .retry(after(1, GiveUp::Park));
    while consumer.handle_new_messages(bus).unwrap() > 0 {}
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
    .retry(after(3, GiveUp::Park));
    drop(late.handle_new_messages(&mut bus));
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
    .retry(after(3, GiveUp::Park));
    drop(late.handle_new_messages(&mut bus));
    drop(late);
    // Any later failure forgets what was overcome.
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(4))
        .unwrap();
    let mut again = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>("no stock".into())
    });
    drop(again.handle_new_messages(&mut bus));
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
        "order 2 was handled by nobody, and nobody remembers it"
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
    .retry(after(1, GiveUp::Park));
    refusing.handle_new_messages(&mut bus).unwrap();
    bus.redrive("all", "orders", Parked::All).unwrap();
    let mut other = Some(database.connect());
    let mut late = MessageConsumer::<Orders>::transactional(
        "all",
        move |_: &mut D::Bus, _: &Message<Orders>| {
            let mut other = other.take().expect("once");
            // The lease has expired meanwhile; behind the rollback, another one takes it.
            Err(Interleaved::new(move || {
                let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
                assert_eq!(consumer.handle_new_messages(&mut other).unwrap(), 1);
            })
            .into())
        },
    )
    .lease_duration(Duration::ZERO);
    drop(late.handle_new_messages(&mut bus));
    assert_eq!(stored(&mut bus, "payments").len(), 1);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(stored(&mut bus, "payments").len(), 1, "twice");
}

pub fn what_a_late_holder_notes_makes_nothing_lost<D: Database>() {
    let (_database, mut bus) = place::<D>(1..10);
    let request = |owner| LeaseRequest {
        consumer: "all",
        topic: "orders",
        owner,
        duration: Duration::ZERO,
    };
    let failure = |position| Failure {
        hold: Duration::from_secs(3_600),
        position: Position::new(position),
        message_id: None,
        message_type: None,
        error: "no",
        state: FailureState::Failing,
    };
    // One is at 9 when its lease expires, and the consumer is reset.
    let late = bus.acquire(&request("late")).unwrap();
    let operator = bus.acquire(&request("operator")).unwrap();
    bus.reset(&operator, Some(Position::new(4))).unwrap();
    let now = bus.acquire(&request("now")).unwrap();
    bus.record_failure(&now, &failure(5)).unwrap();
    drop(bus.record_failure(&late, &failure(9)));
    let given_up = bus.give_up(&now, Position::new(5), GiveUp::Park);
    let cursor = bus
        .stored_consumer("all", "orders")
        .unwrap()
        .unwrap()
        .cursor;
    let parked = bus.count_parked("all", "orders").unwrap();
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
        .retry(after(1, GiveUp::Park))
        .before_replay(move || {
            counted.fetch_add(1, SeqCst);
            Ok(())
        });
    for replays in 1..3 {
        while consumer.handle_new_messages(&mut bus).unwrap() > 0 {}
        assert_eq!(calls.load(SeqCst), replays);
        consumer.reset(&mut bus, ResetTo::Start).unwrap();
    }
}

pub fn a_slow_redrive_keeps_the_lease<D: Database>() {
    let (database, mut bus) = place::<D>(1..6);
    let mut refusing = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>("closed".into())
    })
    .retry(after(1, GiveUp::Park));
    refusing.handle_new_messages(&mut bus).unwrap();
    bus.redrive("all", "orders", Parked::All).unwrap();
    let handled = RefCell::new(Vec::new());
    let mut other = database.connect();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        let order = message.payload().order();
        handled.borrow_mut().push(order);
        // A third of the lease: quick enough.
        std::thread::sleep(Duration::from_millis(200));
        if order == 5 {
            let mut second =
                MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
                    handled.borrow_mut().push(message.payload().order());
                    Ok(())
                });
            drop(second.handle_new_messages(&mut other));
        }
        Ok(())
    })
    .lease_duration(Duration::from_millis(600));
    drop(consumer.handle_new_messages(&mut bus));
    drop(consumer);
    assert_eq!(handled.into_inner(), [1, 2, 3, 4, 5]);
}

pub fn a_redrive_notices_that_the_lease_is_lost<D: Database>() {
    let (database, mut bus) = place::<D>(1..6);
    let mut refusing = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>("closed".into())
    })
    .retry(after(1, GiveUp::Park));
    refusing.handle_new_messages(&mut bus).unwrap();
    bus.redrive("all", "orders", Parked::All).unwrap();
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
            assert_eq!(second.handle_new_messages(&mut other).unwrap(), 5);
        }
        Ok(())
    })
    .lease_duration(Duration::ZERO);
    let result = consumer.handle_new_messages(&mut bus);
    drop(consumer);
    let handled = handled.into_inner();
    assert_eq!(
        handled,
        [1, 1, 2, 3, 4, 5],
        "only what was at hand: {result:?}"
    );
}

pub fn what_is_redriven_after_a_replay_is_one<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    assert_eq!(consume(&mut bus, "all"), [1, 2, 3]);
    MessageConsumer::<Orders>::external("all", ignore)
        .reset(&mut bus, ResetTo::Start)
        .unwrap();
    refuse_second(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let seen = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.borrow_mut()
            .push((message.payload().order(), message.is_replay()));
        Ok(())
    });
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(
        seen.into_inner(),
        [(2, true)],
        "it was handled before the reset"
    );
}

pub fn who_is_not_paused_can_be_resumed<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    consume(&mut bus, "all");
    for _ in 0..2 {
        assert!(bus.set_paused("all", "orders", false).unwrap());
    }
    for _ in 0..2 {
        assert!(bus.set_paused("all", "orders", true).unwrap());
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

pub fn an_error_whose_text_panics_is_an_error_like_others<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>(Box::new(Explosive))
    })
    .retry(after(2, GiveUp::Park));
    // Printing such an error would panic, too.
    for _ in 0..6 {
        drop(consumer.handle_new_messages(&mut bus));
    }
    let parked = failed(&mut bus, "all", FailureState::Parked);
    assert!(parked[0].error.contains("its text cannot be had"));
}
