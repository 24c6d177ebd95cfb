//! Servers that are killed and started again while many threads share commits.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use diesel::{Connection, MysqlConnection, PgConnection};
use persisting_message_bus::backend::{
    MessageRepository, MessageSource, PageRequest, TransactionControl, TypeFilter,
};
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{Coalescer, Position};
use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};
use persisting_message_bus_tests::topics::OrderPlaced;
use persisting_message_bus_tests::waiting::wait_until;
use uuid::Uuid;

use super::orders;

const THREADS: u64 = 8;

fn ids<C: MessageRepository + MessageSource>(connection: &mut C) -> Vec<Uuid> {
    let request = PageRequest {
        topic: "orders",
        part: persisting_message_bus::backend::Part::Whole,
        message_types: TypeFilter::All,
        after: Position::START,
        up_to: Position::new(i64::MAX),
        limit: usize::MAX,
    };
    let mut ids = Vec::new();
    connection
        .read_page(&request, &mut |message| {
            ids.push(message.message_id);
            ControlFlow::Continue(())
        })
        .unwrap();
    ids
}

/// Publishes through errors while the server is killed repeatedly. Every acknowledged message must
/// be stored.
fn acknowledged_messages_are_stored<C>(url: &str, mut restart: impl FnMut())
where
    C: Connection + MessageRepository + MessageSource + TransactionControl + Send + 'static,
{
    let address = url.to_owned();
    let coalescer = Coalescer::new(move || C::establish(&address)).max_connections(2);
    let (ended, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let publish = |thread: u64| {
        let orders = orders(&coalescer);
        let mut ids = Vec::new();
        while !ended.load(Ordering::Acquire) {
            match orders.dispatch(&OrderPlaced::number(thread)) {
                Ok(id) => {
                    ids.push(id);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    assert!(error.is_retryable(), "{error:?}");
                    // A caller that retries pauses, too.
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
        ids
    };
    let said: Vec<_> = thread::scope(|scope| {
        let publish = &publish;
        let publishers: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || publish(thread)))
            .collect();
        for round in 1..=4 {
            let awaited = format!("{} messages are acknowledged", round * 300);
            wait_until(&awaited, || {
                acknowledged.load(Ordering::Relaxed) >= round * 300
            });
            if round < 4 {
                restart();
            }
        }
        ended.store(true, Ordering::Release);
        publishers
            .into_iter()
            .flat_map(|publisher| publisher.join().unwrap())
            .collect()
    });
    let there = ids(&mut C::establish(url).unwrap());
    let once: BTreeSet<_> = there.iter().copied().collect();
    assert_eq!(there.len(), once.len(), "a message is stored twice");
    let lost: Vec<_> = said.iter().filter(|id| !once.contains(id)).collect();
    assert!(lost.is_empty(), "acknowledged but not stored: {lost:?}");
}

#[test]
fn acknowledged_messages_are_stored_while_postgres_is_killed() {
    let mut server = PostgresServer::start();
    migrate(&mut PgConnection::establish(&server.url()).unwrap()).unwrap();
    acknowledged_messages_are_stored::<PgConnection>(&server.url(), || {
        server.kill();
        server.start_again();
    });
}

#[test]
fn acknowledged_messages_are_stored_while_mariadb_is_killed() {
    let mut server = MariadbServer::start();
    migrate(&mut MysqlConnection::establish(&server.url()).unwrap()).unwrap();
    acknowledged_messages_are_stored::<MysqlConnection>(&server.url(), || {
        server.kill();
        server.start_again();
    });
}
