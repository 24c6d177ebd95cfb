//! Servers that are killed and started again while messages are published and consumed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use diesel::{Connection, MysqlConnection, PgConnection};
use persisting_message_bus::diesel::migrate;
use persisting_message_bus::{
    Message, MessageConsumer, MessageConsumerState, MessageDispatcher, MessageRepository, Retry,
    Runner, TransactionsOn,
};
use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};

use super::wait_until;

/// Publishes until it is told to end, and returns what was committed for certain, and what perhaps.
fn publish<C>(url: &str, ended: &AtomicBool) -> [BTreeSet<u64>; 2]
where
    C: Connection + MessageRepository,
{
    let orders = MessageDispatcher::<Orders>::new();
    let [mut certain, mut perhaps] = [(); 2].map(|()| BTreeSet::new());
    let mut connection = None;
    let mut order = 0;
    while !ended.load(Ordering::Acquire) {
        let Some(open) = &mut connection else {
            connection = C::establish(url).ok();
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        order += 1;
        // A commit whose answer is lost may have happened.
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

/// Effects of a transactional consumer while the server is killed again and again.
fn effects_are_exactly_once<C>(url: String, mut restart: impl FnMut())
where
    C: Connection + MessageRepository + MessageConsumerState + TransactionsOn<C> + Send + 'static,
{
    let payer = MessageConsumer::<Orders>::transactional(
        "payer",
        |bus: &mut C, message: &Message<Orders>| {
            let order = message.payload().order();
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
            Ok(())
        },
    )
    .lease_duration(Duration::from_millis(500));
    let paid = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&paid);
    let reader = MessageConsumer::<Payments>::transactional(
        "reader",
        move |_: &mut C, message: &Message<Payments>| {
            let Payments::Paid(paid) = message.payload();
            seen.lock().unwrap().push((message.position(), paid.order));
            Ok(())
        },
    )
    .lease_duration(Duration::from_millis(500));
    let connect_to = url.clone();
    let running = Runner::new(move || C::establish(&connect_to))
        .idle_interval(Duration::from_millis(20))
        .retry(
            Retry::default()
                .base(Duration::from_millis(10))
                .cap(Duration::from_millis(100)),
        )
        .consumer(payer)
        .consumer(reader)
        .start();
    let ended = AtomicBool::new(false);
    let [certain, perhaps] = thread::scope(|scope| {
        let publisher = scope.spawn(|| publish::<C>(&url, &ended));
        for _ in 0..3 {
            let had = paid.lock().unwrap().len();
            wait_until("it goes on", || paid.lock().unwrap().len() > had + 50);
            restart();
        }
        let had = paid.lock().unwrap().len();
        wait_until("it goes on", || paid.lock().unwrap().len() > had + 50);
        ended.store(true, Ordering::Release);
        publisher.join().unwrap()
    });
    let all_are_paid = || {
        let paid = paid.lock().unwrap();
        let orders: BTreeSet<_> = paid.iter().map(|(_, order)| *order).collect();
        orders.is_superset(&certain)
    };
    let begun = Instant::now();
    wait_until("everything is handled", || {
        all_are_paid() || begun.elapsed() > Duration::from_secs(55)
    });
    running.stop_within(Duration::from_secs(30)).unwrap();
    let paid = paid.lock().unwrap();
    let positions: BTreeSet<_> = paid.iter().map(|(position, _)| *position).collect();
    let orders: BTreeSet<_> = paid.iter().map(|(_, order)| *order).collect();
    let lost: Vec<_> = certain.difference(&orders).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(positions.len(), orders.len(), "an effect happened twice");
    assert!(
        orders
            .iter()
            .all(|order| certain.contains(order) || perhaps.contains(order))
    );
}

#[test]
fn effects_are_exactly_once_while_postgres_is_killed() {
    let mut server = PostgresServer::start();
    migrate(&mut PgConnection::establish(&server.url()).unwrap()).unwrap();
    effects_are_exactly_once::<PgConnection>(server.url(), || {
        server.kill();
        server.start_again();
    });
}

#[test]
fn effects_are_exactly_once_while_mariadb_is_killed() {
    let mut server = MariadbServer::start();
    migrate(&mut MysqlConnection::establish(&server.url()).unwrap()).unwrap();
    effects_are_exactly_once::<MysqlConnection>(server.url(), || {
        server.kill();
        server.start_again();
    });
}
