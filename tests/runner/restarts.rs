//! Servers that are killed and started again while many threads publish and consume.

use persisting_message_bus::operate::ConsumerKey;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use diesel::{Connection, MysqlConnection, PgConnection};
use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, TransactionControlOn,
};
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{RetryPolicy, Runner};
use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};
use persisting_message_bus_tests::waiting::wait_until;

use super::load::{MAILERS, PAYERS, PUBLISHERS, Seen, payment, payments, publish, with_consumers};

/// Runs publishers and consumers while the server is killed repeatedly.
fn nothing_is_lost<C>(url: String, mut restart: impl FnMut())
where
    C: Connection
        + MessageRepository
        + MessageSource
        + MessageConsumerState
        + TransactionControlOn<C>
        + Send
        + 'static,
{
    let connect_to = url.clone();
    let runner = Runner::new(move || C::establish(&connect_to))
        .idle_interval(Duration::from_millis(20))
        .retry(
            RetryPolicy::default()
                .initial_delay(Duration::from_millis(10))
                .max_delay(Duration::from_millis(100)),
        );
    let seen = [(); 4].map(|()| Seen::default());
    let running = with_consumers(runner, &seen).start();
    let ended = AtomicBool::new(false);
    let [certain, perhaps] = thread::scope(|scope| {
        let start = |number| {
            let (url, ended) = (&url, &ended);
            scope.spawn(move || publish::<C>(url, number, ended))
        };
        let publishers: Vec<_> = (0..PUBLISHERS).map(start).collect();
        let all_go_on = || {
            let count = || seen.each_ref().map(|seen| seen.lock().unwrap().len());
            let had = count();
            wait_until("all go on", || {
                count().iter().zip(had).all(|(has, had)| *has > had + 100)
            });
        };
        for _ in 0..3 {
            all_go_on();
            restart();
        }
        all_go_on();
        ended.store(true, Ordering::Release);
        let mut published = [(); 2].map(|()| BTreeSet::new());
        for publisher in publishers {
            for (all, of_one) in published.iter_mut().zip(publisher.join().unwrap()) {
                all.extend(of_one);
            }
        }
        published
    });
    let mut bus = C::establish(&url).unwrap();
    for name in MAILERS.into_iter().chain(PAYERS) {
        wait_until("everything is handled", || {
            let status = bus
                .stored_consumer(ConsumerKey {
                    consumer: name,
                    topic: "orders",
                })
                .unwrap()
                .unwrap();
            status.cursor == Some(bus.current_head("orders").unwrap())
        });
    }
    for consumer in running.stop_within(Duration::from_secs(30)).unwrap() {
        assert!(consumer.error.is_none(), "{consumer:?}");
    }
    let [orders, others, ..] = seen.map(|seen| seen.lock().unwrap().clone());
    assert_eq!(orders, others);
    let lost: Vec<_> = certain.difference(&orders).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(
        orders
            .iter()
            .all(|order| certain.contains(order) || perhaps.contains(order))
    );
    let expected = orders
        .iter()
        .flat_map(|order| [0, 1].map(|payer| payment(*order, payer)));
    assert!(
        payments(&mut bus).into_iter().eq(expected),
        "not exactly once"
    );
}

#[test]
fn nothing_is_lost_and_effects_happen_once_while_postgres_is_killed() {
    let mut server = PostgresServer::start();
    migrate(&mut PgConnection::establish(&server.url()).unwrap()).unwrap();
    nothing_is_lost::<PgConnection>(server.url(), || {
        server.kill();
        server.start_again();
    });
}

#[test]
fn nothing_is_lost_and_effects_happen_once_while_mariadb_is_killed() {
    let mut server = MariadbServer::start();
    migrate(&mut MysqlConnection::establish(&server.url()).unwrap()).unwrap();
    nothing_is_lost::<MysqlConnection>(server.url(), || {
        server.kill();
        server.start_again();
    });
}
