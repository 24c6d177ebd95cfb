use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::{Error, MessageDispatcher};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use super::gate::Gate;
use crate::{Reader, place};

/// A trigger that stops an insert once the row has its position. It applies to sessions that set
/// the variable `@stops`, while the test holds a lock.
const STOPS: &str = "
    CREATE TRIGGER stops AFTER INSERT ON public_messages FOR EACH ROW
        SET @stopped = IF(@stops, GET_LOCK(database(), 30) + RELEASE_LOCK(database()), 0)";

const WAITING: &str = "
    SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock' AND db = database()";

/// A guard: statements stop until it is dropped.
struct Stop(MysqlConnection);

impl Stop {
    /// Stops the inserts of one connection.
    fn at_inserts_of(connection: &mut MysqlConnection, database: &Mariadb) -> Self {
        let mut holder = database.connect();
        holder.batch_execute(STOPS).unwrap();
        holder.batch_execute("DO GET_LOCK(database(), 0)").unwrap();
        connection.batch_execute("SET @stops = 1").unwrap();
        Self(holder)
    }

    fn wait_until_reached(&mut self) {
        let waiting = || diesel::dsl::sql::<BigInt>(WAITING);
        wait_until("a statement stops", || {
            waiting().get_result::<i64>(&mut self.0).unwrap() > 0
        });
    }
}

type Publish = fn(&mut MysqlConnection) -> Result<(), Error>;

/// The model `slots`, control *slot after drawing*: a publisher that has a position also has its
/// slot.
#[test]
fn a_publisher_that_has_drawn_a_position_holds_its_slot() {
    let ways: [(Publish, &[u64]); 3] = [
        // One statement; a transaction; one statement with several rows, whose positions are drawn
        // at once.
        (|one| place(one, 1), &[1, 2]),
        (|one| one.in_transaction(|one| place(one, 1)), &[1, 2]),
        (
            |one| {
                let batch = [1, 1].map(OrderPlaced::number);
                MessageDispatcher::<Orders>::new()
                    .dispatch_batch(one, batch)
                    .map(drop)
            },
            &[1, 1, 2],
        ),
    ];
    for (publish, expected) in ways {
        let (mut reader, [mut one, mut other]) = Reader::<Mariadb>::create();
        let mut stop = Stop::at_inserts_of(&mut one, &reader.database);
        thread::scope(|scope| {
            scope.spawn(|| publish(&mut one).unwrap());
            stop.wait_until_reached();
            place(&mut other, 2).unwrap();
            assert!(reader.read().is_empty());
            drop(stop);
        });
        assert_eq!(reader.read(), expected);
    }
}

/// The model `slots`, control *rows in an earlier snapshot*: a publisher commits after the reader
/// has read the last position, and before it reads the slots.
#[test]
fn a_publisher_that_commits_between_two_reads_is_seen() {
    let (mut reader, [mut one, mut other]) = Reader::<Mariadb>::create();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    let looks = Gate::after(1, &mut reader.bus);
    let seen = thread::scope(|scope| {
        let looks = looks;
        let reads = scope.spawn(|| reader.read());
        looks.wait_until_reached();
        one.commit().unwrap();
        looks.open();
        reads.join().unwrap()
    });
    assert_eq!(seen, [1, 2]);
}
