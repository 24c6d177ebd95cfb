use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use persisting_message_bus::{Error, Inbox, MessageDispatcher, MessageRepository};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Paid, Payments};

use super::stored;

const SOURCE: &str = "https://payments.example/webhook";

fn inbox() -> Inbox {
    Inbox::new("billing", SOURCE).unwrap()
}

/// The effect of a delivery: a payment.
fn pay<B: MessageRepository>(bus: &mut B, order: u64) -> Result<(), Error> {
    let payments = MessageDispatcher::<Payments>::new();
    payments.dispatch(bus, &Paid { order }).map(drop)
}

fn payments(bus: &mut impl MessageRepository) -> usize {
    stored(bus, "payments").len()
}

pub fn a_message_from_outside_has_its_effect_once<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut handled = Vec::new();
    for id in ["evt 1", "evt 2", "evt 1", "evt 1", "evt 2"] {
        let first = inbox().once(&mut bus, id, |bus| pay(bus, 1)).unwrap();
        handled.push(first.is_some());
    }
    assert_eq!(handled, [true, true, false, false, false]);
    assert_eq!(payments(&mut bus), 2);
}

pub fn what_failed_may_come_again<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let failed = inbox().once(&mut bus, "evt 1", |bus| {
        pay(bus, 1)?;
        Err::<(), _>(Error::repository("paying", "no money", false))
    });
    failed.unwrap_err();
    assert_eq!(payments(&mut bus), 0);
    let again = inbox().once(&mut bus, "evt 1", |bus| pay(bus, 1)).unwrap();
    assert_eq!(again, Some(()));
    assert_eq!(payments(&mut bus), 1);
}

pub fn consumers_sources_and_ids_are_told_apart<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for (consumer, source, id) in [
        ("billing", "a", "1"),
        ("Billing", "a", "1"),
        ("billing", "A", "1"),
        ("billing", "a", "é"),
        ("billing", "a", "e"),
        ("billing", "a1", "1"),
    ] {
        let inbox = Inbox::new(consumer, source).unwrap();
        let first = inbox.once(&mut bus, id, |_| Ok::<_, Error>(())).unwrap();
        assert_eq!(first, Some(()), "{consumer} {source} {id}");
    }
    for bad in ["", &"x".repeat(256), "a\nb"] {
        let error = inbox()
            .once(&mut bus, bad, |_| Ok::<_, Error>(()))
            .unwrap_err();
        assert!(error.is_invalid_name(), "{error:?}");
        assert!(Inbox::new("billing", bad).unwrap_err().is_invalid_name());
    }
}

pub fn of_many_deliveries_at_once_one_has_an_effect<D: Database>() {
    let database = D::create();
    let start = Barrier::new(6);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut bus = database.connect();
                start.wait();
                for id in 0..20 {
                    let id = format!("evt {id}");
                    // As a sender of webhooks does.
                    while let Err(error) = inbox().once(&mut bus, &id, |bus| pay(bus, 1)) {
                        assert!(error.is_retryable(), "{error:?}");
                    }
                }
            });
        }
    });
    assert_eq!(payments(&mut database.connect()), 20);
}

pub fn what_is_older_than_the_window_is_forgotten<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let receive = |bus: &mut D::Bus, source: &str| {
        let inbox = Inbox::new("billing", source).unwrap();
        inbox.once(bus, "evt 1", |_| Ok::<_, Error>(())).unwrap()
    };
    receive(&mut bus, SOURCE);
    receive(&mut bus, "elsewhere");
    assert_eq!(inbox().prune(&mut bus).unwrap(), 0);
    assert_eq!(receive(&mut bus, SOURCE), None);
    let short = inbox().window(Duration::ZERO);
    assert_eq!(short.prune(&mut bus).unwrap(), 1);
    assert_eq!(receive(&mut bus, SOURCE), Some(()));
    assert_eq!(receive(&mut bus, "elsewhere"), None);
}
