//! More publishers than a topic has slots, which also need locks of each other.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{Error, Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::servers::MariadbServer;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};
use persisting_message_bus_tests::waiting::wait_until;

use super::slots::wait_until_waiting;
use super::{consume, orders};

/// The time in which everything must end. InnoDB waits 50 s for a lock.
const SOON: Duration = Duration::from_secs(40);

const SLOTS: u64 = 64;

type Dispatch = fn(&mut MysqlConnection, u64) -> Result<(), Error>;

fn create() -> Mariadb {
    let database = Mariadb::create();
    let mut bus = database.connect();
    bus.batch_execute(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, changes INTEGER NOT NULL);
         INSERT INTO accounts VALUES (1, 0), (2, 0), (3, 0)",
    )
    .unwrap();
    place(&mut bus, 0).unwrap();
    pay(&mut bus, 0).unwrap();
    database
}

fn place(bus: &mut MysqlConnection, order: u64) -> Result<(), Error> {
    orders()
        .dispatch(bus, &OrderPlaced::number(order))
        .map(drop)
}

fn pay(bus: &mut MysqlConnection, order: u64) -> Result<(), Error> {
    MessageDispatcher::<Payments>::new()
        .dispatch(bus, &Paid { order })
        .map(drop)
}

fn change(bus: &mut MysqlConnection, account: u64) -> Result<(), Error> {
    let sql = format!("UPDATE accounts SET changes = changes + 1 WHERE id = {account}");
    bus.batch_execute(&sql)?;
    Ok(())
}

/// Ends a transaction. Returns `true` if it was committed.
fn end(bus: &mut MysqlConnection, done: Result<(), Error>) -> bool {
    match done {
        Ok(()) => {
            bus.commit().unwrap();
            true
        }
        Err(error) => {
            let text = format!("{error:#}");
            assert!(error.is_retryable() && text.contains("Deadlock"), "{text}");
            bus.rollback().unwrap();
            false
        }
    }
}

/// Begins transactions that hold all slots of the topic.
fn hold_all_slots(database: &Mariadb) -> Vec<MysqlConnection> {
    let holders = (1..=SLOTS).map(|order| {
        let mut holder = database.connect();
        holder.begin().unwrap();
        place(&mut holder, order).unwrap();
        holder
    });
    holders.collect()
}

fn sorted(mut orders: Vec<u64>) -> Vec<u64> {
    orders.sort_unstable();
    orders
}

#[test]
fn a_publisher_that_waits_for_a_slot_ends_in_a_deadlock_with_the_holders() {
    let database = create();
    let mut last = database.connect();
    last.begin().unwrap();
    change(&mut last, 1).unwrap();
    let holders = hold_all_slots(&database);
    let begun = Instant::now();
    let committed = thread::scope(|scope| {
        let holders: Vec<_> = holders
            .into_iter()
            .zip(1..)
            .map(|(mut holder, order)| {
                scope.spawn(move || {
                    let changed = change(&mut holder, 1);
                    end(&mut holder, changed).then_some(order)
                })
            })
            .collect();
        wait_until_waiting(&database, 64);
        let placed = place(&mut last, 65);
        let mut committed: Vec<u64> = Vec::from_iter(end(&mut last, placed).then_some(65));
        committed.extend(holders.into_iter().filter_map(|it| it.join().unwrap()));
        committed
    });
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    // InnoDB ends one transaction of the cycle.
    assert_eq!(committed.len(), 64);
    let mut expected = committed;
    expected.push(0);
    assert_eq!(consume(&mut database.connect()), sorted(expected));
}

#[test]
fn publishers_of_two_topics_in_opposite_orders_end() {
    let database = create();
    let all_hold = Barrier::new(128);
    let begun = Instant::now();
    let committed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for order in 0..128 {
            let (all_hold, committed) = (&all_hold, &committed);
            let mut bus = database.connect();
            scope.spawn(move || {
                let dispatch: [Dispatch; 2] = if order % 2 == 0 {
                    [place, pay]
                } else {
                    [pay, place]
                };
                bus.batch_execute("SET innodb_lock_wait_timeout = 2")
                    .unwrap();
                bus.begin().unwrap();
                // A few find no slot, because a search that reaches the end of its topic's slots
                // locks a slot of the next topic.
                let first = dispatch[0](&mut bus, order);
                all_hold.wait();
                bus.batch_execute("SET innodb_lock_wait_timeout = 50")
                    .unwrap();
                let Ok(()) = first else {
                    assert!(first.is_err_and(|error| error.is_retryable()));
                    bus.rollback().unwrap();
                    return;
                };
                let dispatched = dispatch[1](&mut bus, order);
                if end(&mut bus, dispatched) {
                    committed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let committed = committed.into_inner();
    assert!((1..128).contains(&committed), "{committed}");
    assert_eq!(consume(&mut database.connect()).len(), committed + 1);
}

/// Publishes ten orders, each in a transaction that also changes a row of the others, before or
/// after it dispatches. Returns the longest time that a transaction took.
fn publish_ten(bus: &mut MysqlConnection, publisher: u64) -> Duration {
    let mut longest = Duration::ZERO;
    for order in (0..10).map(|order| 1 + 10 * publisher + order) {
        let mut is_committed = false;
        while !is_committed {
            let begun = Instant::now();
            bus.begin().unwrap();
            let account = 1 + order % 3;
            let done = if (publisher + order).is_multiple_of(2) {
                change(bus, account).and_then(|()| place(bus, order))
            } else {
                place(bus, order).and_then(|()| change(bus, account))
            };
            is_committed = end(bus, done);
            longest = longest.max(begun.elapsed());
        }
    }
    longest
}

#[test]
fn a_hundred_publishers_that_share_rows_and_a_consumer_beside_them_get_on() {
    let database = create();
    let start = Barrier::new(100);
    let have_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            let mut bus = database.connect();
            let mut seen = Vec::new();
            let handler = |message: &Message<Orders>| -> Result<(), HandlerError> {
                seen.push(message.payload().order());
                Ok(())
            };
            let mut consumer = MessageConsumer::<Orders>::external("beside", handler);
            let mut beside = 0;
            while !have_ended.load(Ordering::Relaxed) {
                beside += consumer.handle_new_messages(&mut bus).unwrap();
            }
            while consumer.handle_new_messages(&mut bus).unwrap() > 0 {}
            drop(consumer);
            (beside, seen)
        });
        let publishers: Vec<_> = (0..100)
            .map(|publisher| {
                let mut bus = database.connect();
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    publish_ten(&mut bus, publisher)
                })
            })
            .collect();
        let longest: Vec<_> = publishers.into_iter().map(|it| it.join()).collect();
        have_ended.store(true, Ordering::Relaxed);
        let longest = longest.into_iter().map(|it| it.unwrap()).max().unwrap();
        let (beside, seen) = consumer.join().unwrap();
        assert!(longest < SOON, "{longest:?}");
        assert!(beside > 0);
        assert_eq!(sorted(seen), (0..=1_000).collect::<Vec<_>>());
    });
}

#[test]
fn a_waiting_publisher_takes_whichever_slot_becomes_free() {
    let database = create();
    for released in [0, 31, 63] {
        let mut holders = hold_all_slots(&database);
        let mut last = database.connect();
        last.begin().unwrap();
        let begun = Instant::now();
        thread::scope(|scope| {
            let last = scope.spawn(move || {
                place(&mut last, 65).unwrap();
                last.commit().unwrap();
            });
            wait_until_waiting(&database, 1);
            holders[released].commit().unwrap();
            last.join().unwrap();
        });
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

/// With this setting, the server rolls a transaction back after a lock wait timeout.
#[test]
fn waiting_does_not_roll_back_where_timeouts_do() {
    let server = MariadbServer::start_with(&["--innodb-rollback-on-timeout=ON"]);
    let connect = || MysqlConnection::establish(&server.url()).unwrap();
    migrate(&mut connect()).unwrap();
    place(&mut connect(), 0).unwrap();
    let mut holders: Vec<_> = (0..SLOTS).map(|_| connect()).collect();
    for (order, holder) in (1..).zip(&mut holders) {
        holder.begin().unwrap();
        place(holder, order).unwrap();
    }
    let mut last = connect();
    last.begin().unwrap();
    pay(&mut last, 65).unwrap();
    let log = super::slots::watched(&mut last);
    thread::scope(|scope| {
        let last = scope.spawn(|| {
            place(&mut last, 65).unwrap();
            last.commit().unwrap();
        });
        wait_until("the publisher has waited for three slots", || {
            let waits =
                |text: &&String| text.ends_with("FOR UPDATE") && text.contains("SET STATEMENT");
            log.statements().iter().filter(waits).count() > 3
        });
        holders[0].commit().unwrap();
        last.join().unwrap();
    });
    drop(holders);
    let mut bus = connect();
    let paid: i64 = diesel::dsl::sql::<diesel::sql_types::BigInt>(
        "SELECT count(*) FROM public_messages WHERE topic = 'payments'",
    )
    .get_result(&mut bus)
    .unwrap();
    assert_eq!(paid, 1);
    assert_eq!(sorted(consume(&mut bus)), [0, 1, 65]);
}
