//! Publishers and consumers that keep a server busy and record their messages.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use diesel::Connection;
use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, TransactionControlOn,
};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Runner};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};

pub const PUBLISHERS: u64 = 4;
pub const MAILERS: [&str; 2] = ["mailer", "second mailer"];
pub const PAYERS: [&str; 2] = ["payer", "second payer"];

/// The orders that a handler received, including those whose transaction was rolled back.
pub type Seen = Arc<Mutex<BTreeSet<u64>>>;

/// Publishes until `ended` is set. Returns the orders that were committed for certain, and those
/// that may have been.
pub fn publish<C>(url: &str, first: u64, ended: &AtomicBool) -> [BTreeSet<u64>; 2]
where
    C: Connection + MessageRepository + MessageSource,
{
    let orders = MessageDispatcher::<Orders>::new();
    let [mut certain, mut perhaps] = [(); 2].map(|()| BTreeSet::new());
    let mut connection = None;
    let mut numbers = (first..).step_by(PUBLISHERS as usize);
    while !ended.load(Ordering::Acquire) {
        let Some(open) = &mut connection else {
            connection = C::establish(url).ok();
            // A publisher that retries pauses, too.
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let order = numbers.next().unwrap();
        // A commit whose answer is lost may have succeeded.
        match orders.dispatch(open, &OrderPlaced::number(order)) {
            Ok(_) => certain.insert(order),
            Err(_) => {
                connection = None;
                perhaps.insert(order)
            }
        };
    }
    [certain, perhaps]
}

/// Adds two external consumers that mail, and two transactional ones that pay.
pub fn with_consumers<C>(mut runner: Runner<C>, seen: &[Seen; 4]) -> Runner<C>
where
    C: MessageRepository
        + MessageSource
        + MessageConsumerState
        + TransactionControlOn<C>
        + Send
        + 'static,
{
    const LEASE: Duration = Duration::from_millis(500);
    let mut seen = seen.iter().cloned();
    for name in MAILERS {
        let seen = seen.next().unwrap();
        let mailer = MessageConsumer::external(name, move |message: &Message<Orders>| {
            seen.lock().unwrap().insert(message.payload().order());
            Ok(())
        });
        runner = runner.consumer(mailer.lease_duration(LEASE));
    }
    for (name, payer) in PAYERS.into_iter().zip(0..) {
        let seen = seen.next().unwrap();
        let pay = move |bus: &mut C, message: &Message<Orders>| {
            let order = message.payload().order();
            seen.lock().unwrap().insert(order);
            let order = payment(order, payer);
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
            Ok(())
        };
        let payer = MessageConsumer::transactional(name, pay);
        runner = runner.consumer(payer.lease_duration(LEASE));
    }
    runner
}

/// The number of a payer's payment for an order; each payer has its own.
pub fn payment(order: u64, payer: u64) -> u64 {
    order * PAYERS.len() as u64 + payer
}

/// Returns all payments in the order of their positions.
pub fn payments<C>(bus: &mut C) -> Vec<u64>
where
    C: MessageRepository + MessageSource + MessageConsumerState,
{
    let mut payments = Vec::new();
    let mut reader = MessageConsumer::external("reader", |message: &Message<Payments>| {
        let Payments::Paid(paid) = message.payload();
        payments.push(paid.order);
        Ok(())
    });
    while reader.handle_page(bus).unwrap() > 0 {}
    drop(reader);
    payments.sort_unstable();
    payments
}
