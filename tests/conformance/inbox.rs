use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{MessageRepository, MessageSource};
use persisting_message_bus::{Error, Inbox, InboxKey, MessageDispatcher};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Paid, Payments};

use super::stored;

const SOURCE: &str = "https://payments.example/webhook";

fn of(source: &str) -> Result<Inbox, Error> {
    Inbox::new(InboxKey {
        consumer: "billing",
        source,
    })
}

fn inbox() -> Inbox {
    of(SOURCE).unwrap()
}

/// Applies the effect of a delivery: a payment.
fn pay<B: MessageRepository + MessageSource>(bus: &mut B, order: u64) -> Result<(), Error> {
    let payments = MessageDispatcher::<Payments>::new();
    payments.dispatch(bus, &Paid { order }).map(drop)
}

fn payments(bus: &mut (impl MessageRepository + MessageSource)) -> usize {
    stored(bus, "payments").len()
}

pub fn a_message_from_outside_has_its_effect_once<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut handled = Vec::new();
    for id in ["evt 1", "evt 2", "evt 1", "evt 1", "evt 2"] {
        let first = inbox()
            .process_once(&mut bus, id, |bus| pay(bus, 1))
            .unwrap();
        handled.push(first.is_some());
    }
    assert_eq!(handled, [true, true, false, false, false]);
    assert_eq!(payments(&mut bus), 2);
}

pub fn a_delivery_can_be_repeated_when_it_failed<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let failed = inbox().process_once(&mut bus, "evt 1", |bus| {
        pay(bus, 1)?;
        Err::<(), _>(Error::permanent("paying", "no money"))
    });
    failed.unwrap_err();
    assert_eq!(payments(&mut bus), 0);
    let again = inbox()
        .process_once(&mut bus, "evt 1", |bus| pay(bus, 1))
        .unwrap();
    assert_eq!(again, Some(()));
    assert_eq!(payments(&mut bus), 1);
}

pub fn consumers_sources_and_ids_are_distinguished<D: Database>() {
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
        let inbox = Inbox::new(InboxKey { consumer, source }).unwrap();
        let first = inbox
            .process_once(&mut bus, id, |_| Ok::<_, Error>(()))
            .unwrap();
        assert_eq!(first, Some(()), "{consumer} {source} {id}");
    }
    for bad in ["", &"x".repeat(256), "a\nb"] {
        let error = inbox()
            .process_once(&mut bus, bad, |_| Ok::<_, Error>(()))
            .unwrap_err();
        assert!(error.is_invalid_name(), "{error:?}");
        assert!(of(bad).unwrap_err().is_invalid_name());
    }
}

pub fn simultaneous_deliveries_have_one_effect<D: Database>() {
    let database = D::create();
    let start = Barrier::new(6);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut bus = database.connect();
                start.wait();
                for id in 0..20 {
                    let id = format!("evt {id}");
                    // A sender of webhooks retries, too.
                    while let Err(error) = inbox().process_once(&mut bus, &id, |bus| pay(bus, 1)) {
                        assert!(error.is_retryable(), "{error:?}");
                    }
                }
            });
        }
    });
    assert_eq!(payments(&mut database.connect()), 20);
}

pub fn entries_older_than_the_retention_are_pruned<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let receive = |bus: &mut D::Bus, source: &str| {
        let inbox = of(source).unwrap();
        inbox
            .process_once(bus, "evt 1", |_| Ok::<_, Error>(()))
            .unwrap()
    };
    receive(&mut bus, SOURCE);
    receive(&mut bus, "elsewhere");
    assert_eq!(inbox().prune(&mut bus).unwrap(), 0);
    assert_eq!(receive(&mut bus, SOURCE), None);
    let short = inbox().retention(Duration::ZERO);
    assert_eq!(short.prune(&mut bus).unwrap(), 1);
    assert_eq!(receive(&mut bus, SOURCE), Some(()));
    assert_eq!(receive(&mut bus, "elsewhere"), None);
}
