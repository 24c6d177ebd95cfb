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
use super::redriving::park_all;
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

fn refuse_second(bus: &mut impl TestBus) {
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

pub fn a_new_process_that_has_nothing_to_do_only_reads<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    refuse_second(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    assert_eq!(consume(&mut bus, "all"), [2]);
    let epoch = |bus: &mut D::Bus| {
        bus.stored_consumer("all", "orders")
            .unwrap()
            .unwrap()
            .lease_epoch
    };
    let before = epoch(&mut bus);
    for _ in 0..3 {
        assert!(consume(&mut bus, "all").is_empty());
    }
    assert_eq!(epoch(&mut bus), before);
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

pub fn what_waits_to_be_handled_again_shows<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let status = persisting_message_bus::ConsumerStatus::read(&mut bus, "all", "orders").unwrap();
    assert_ne!(
        status.condition,
        persisting_message_bus::ConsumerCondition::CaughtUp,
        "there is something to do: {status:?}"
    );
}

pub fn a_redriven_unknown_message_is_skipped_where_others_are<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.persist(&[raw("OrderLost", "{}")], Default::default())
        .unwrap();
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let mut skipping = MessageConsumer::<Orders>::external("all", ignore)
        .unknown_messages(persisting_message_bus::UnknownMessages::Skip);
    skipping.handle_new_messages(&mut bus).unwrap();
    assert_eq!(skipping.skipped_messages(), 1);
    assert_eq!(bus.count_parked("all", "orders").unwrap(), 0);
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

pub fn what_is_redriven_of_two_topics_comes_in_order<D: Database>() {
    use persisting_message_bus_tests::topics::{Ledger, OrderShipped};
    let database = D::create();
    let mut bus = database.connect();
    for order in 1..4 {
        orders()
            .dispatch(&mut bus, &OrderShipped { order })
            .unwrap();
        MessageDispatcher::<Payments>::new()
            .dispatch(&mut bus, &Paid { order })
            .unwrap();
    }
    let mut refusing = MessageConsumer::<Ledger>::external("all", |_: &Message<Ledger>| {
        Err::<(), HandlerError>("closed".into())
    })
    .retry(after(1, GiveUp::Park));
    while refusing.handle_new_messages(&mut bus).unwrap() > 0 {}
    for topic in ["orders", "payments"] {
        assert_eq!(bus.redrive("all", topic, Parked::All).unwrap(), 3);
    }
    let seen = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Ledger>::external("all", |message: &Message<Ledger>| {
        seen.borrow_mut().push(message.position().get());
        Ok(())
    });
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(seen.into_inner(), [1, 2, 3, 4, 5, 6]);
}

pub fn a_pause_ends_a_long_redrive<D: Database>() {
    let (database, mut bus) = place::<D>(1..301);
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let mut operator = database.connect();
    let handled = Cell::new(0);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        if handled.replace(handled.get() + 1) == 0 {
            operator.set_paused("all", "orders", true)?;
        }
        Ok(())
    })
    .page_size(10);
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert!(
        handled.get() <= 100,
        "a page of 10, or of 100: {}",
        handled.get()
    );
}

/// Not a finding if it holds: operators and consumers at once.
pub fn operators_and_consumers_at_once<D: Database>() {
    use std::sync::atomic::{AtomicBool, AtomicU64};
    let (database, mut bus) = place::<D>(1..401);
    let shipped =
        (401..601).map(|order| persisting_message_bus_tests::topics::OrderShipped { order });
    for message in shipped {
        orders().dispatch(&mut bus, &message).unwrap();
    }
    let ended = AtomicBool::new(false);
    let discarded = AtomicU64::new(0);
    let other_errors = Mutex::new(Vec::<String>::new());
    let retryable = Mutex::new(Vec::<String>::new());
    let note = |error: persisting_message_bus::Error| {
        let text = format!("{error:?}");
        if error.is_locked() {
        } else if error.is_retryable() {
            retryable.lock().unwrap().push(text);
        } else {
            other_errors.lock().unwrap().push(text);
        }
    };
    std::thread::scope(|scope| {
        for which in [
            Parked::All,
            Parked::OfType("OrderPlaced"),
            Parked::At(Position::new(33)),
        ] {
            let (ended, note, database) = (&ended, &note, &database);
            scope.spawn(move || {
                let mut bus = database.connect();
                while !ended.load(SeqCst) {
                    bus.redrive("all", "orders", which).map_err(note).ok();
                    std::thread::sleep(Duration::from_millis(3));
                }
            });
        }
        for which in [
            Parked::OfType("OrderShipped"),
            Parked::At(Position::new(100)),
            Parked::OfType("OrderShipped"),
        ] {
            let (ended, note, database, discarded) = (&ended, &note, &database, &discarded);
            scope.spawn(move || {
                let mut bus = database.connect();
                while !ended.load(SeqCst) {
                    let count = bus
                        .discard("all", "orders", which)
                        .map_err(note)
                        .unwrap_or(0);
                    discarded.fetch_add(count, SeqCst);
                    std::thread::sleep(Duration::from_millis(7));
                }
            });
        }
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let (note, database) = (&note, &database);
                scope.spawn(move || {
                    let mut bus = database.connect();
                    let mut consumer = MessageConsumer::<Orders>::transactional(
                        "all",
                        |bus: &mut D::Bus, message: &Message<Orders>| {
                            pay(bus, message)?;
                            if fastrand_like(message.position().get()) {
                                return Err("by chance".into());
                            }
                            Ok(())
                        },
                    )
                    .page_size(20)
                    .retry(after(1, GiveUp::Park));
                    let begun = std::time::Instant::now();
                    while begun.elapsed() < Duration::from_secs(6) {
                        consumer.handle_new_messages(&mut bus).map_err(note).ok();
                    }
                })
            })
            .collect();
        for consumer in consumers {
            consumer.join().unwrap();
        }
        ended.store(true, SeqCst);
    });
    let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
    while consumer.handle_new_messages(&mut bus).unwrap() > 0 {}
    let mut paid: Vec<_> = stored(&mut bus, "payments")
        .into_iter()
        .map(|(_, raw)| serde_json::from_str::<Paid>(&raw.payload).unwrap().order)
        .collect();
    let all = paid.len() as u64;
    paid.sort_unstable();
    paid.dedup();
    let parked = bus.count_parked("all", "orders").unwrap();
    let retryable = retryable.into_inner().unwrap();
    eprintln!("retryable {} {:?}", retryable.len(), retryable.first());
    let other = other_errors.into_inner().unwrap();
    eprintln!("other {} {:?}", other.len(), other.first());
    assert_eq!(paid.len() as u64, all, "twice");
    assert_eq!(all + parked + discarded.load(SeqCst), 600);
    assert!(retryable.is_empty() && other.is_empty());
}

fn fastrand_like(position: i64) -> bool {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    (u64::from(nanos / 1000) ^ position.unsigned_abs()).is_multiple_of(3)
}
