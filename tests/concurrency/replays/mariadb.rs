use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::{Error, MessageDispatcher, Transactions};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::gate::Gate;
use crate::{Reader, place};

/// A statement that inserts stops where the row has its position, if the session's variable says so, as
/// long as the test holds a lock.
const STOPS: &str = "
    CREATE TRIGGER stops AFTER INSERT ON public_messages FOR EACH ROW
        SET @stopped = IF(@stops, GET_LOCK(database(), 30) + RELEASE_LOCK(database()), 0)";

const WAITING: &str = "
    SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock' AND db = database()";

/// As long as it is there, statements stop.
struct Stop(MysqlConnection);

impl Stop {
    /// Stops the statements of one connection.
    fn at_inserts_of(connection: &mut MysqlConnection, database: &Mariadb) -> Self {
        let mut holder = database.connect();
        holder.batch_execute(STOPS).unwrap();
        holder.batch_execute("DO GET_LOCK(database(), 0)").unwrap();
        connection.batch_execute("SET @stops = 1").unwrap();
        Self(holder)
    }

    fn wait_until_reached(&mut self) {
        let waiting = || diesel::dsl::sql::<BigInt>(WAITING);
        while waiting().get_result::<i64>(&mut self.0).unwrap() == 0 {
            thread::yield_now();
        }
    }
}

type Publish = fn(&mut MysqlConnection) -> Result<(), Error>;

/// The model `slots`, control *slot after drawing*: with the position, somebody has drawn its slot too.
#[test]
fn who_has_drawn_a_position_holds_its_slot() {
    let ways: [(Publish, &[u64]); 3] = [
        // In a statement, in a transaction, in a statement of several rows, whose positions are drawn
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

/// The model `slots`, control *rows in an earlier snapshot*: a publisher commits when the reader has read
/// the last position, and before it looks at the slots.
#[test]
fn who_commits_between_the_looks_of_a_reader_is_seen() {
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
