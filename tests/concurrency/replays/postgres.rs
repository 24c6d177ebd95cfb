use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::{Error, MessageDispatcher};
use persisting_message_bus_tests::databases::{Database, OwnPostgres};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use crate::{Reader, place};

/// The function `stops(here)` waits at the place that the session's setting names, while the test
/// holds a lock. One place is after a position has been drawn, where triggers run. The other places
/// are in the statement of a reader: before it reads the sequence, and before it reads the locks.
/// There, a function and a view of the server are replaced.
const STOPS: &str = "
    CREATE FUNCTION stops(here text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('replay.stops', true) = here THEN
            PERFORM pg_advisory_lock_shared(hashtext(current_database()));
            PERFORM pg_advisory_unlock_shared(hashtext(current_database()));
        END IF;
        RETURN true;
    END $$;
    CREATE FUNCTION stops_insert() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM stops('after drawing');
        RETURN NEW;
    END $$;
    CREATE TRIGGER stops BEFORE INSERT ON public_messages
        FOR EACH ROW EXECUTE FUNCTION stops_insert();
    ALTER FUNCTION pg_catalog.pg_sequence_last_value(regclass) RENAME TO last_value_of_server;
    CREATE FUNCTION pg_catalog.pg_sequence_last_value(sequence regclass) RETURNS bigint
    LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM public.stops('before the sequence');
        RETURN last_value_of_server(sequence);
    END $$;
    ALTER VIEW pg_catalog.pg_locks RENAME TO locks_of_server;
    CREATE VIEW pg_catalog.pg_locks AS
        SELECT locks.* FROM (SELECT public.stops('before the locks') AS is_past OFFSET 0) AS stop
        CROSS JOIN LATERAL (SELECT * FROM locks_of_server WHERE is_past OFFSET 0) AS locks;";

/// Counts the connections that wait in `stops`.
const WAITING: &str = "
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND NOT granted
        AND objid::bigint = hashtext(current_database())::bigint & 4294967295";

/// A guard: statements stop until it is dropped.
struct Stop(PgConnection);

impl Stop {
    /// Stops the statements of one connection.
    fn at(place: &str, connection: &mut PgConnection, database: &OwnPostgres) -> Self {
        let stops = format!("SET replay.stops = '{place}'");
        connection.batch_execute(&stops).unwrap();
        let mut holder = database.connect();
        holder
            .batch_execute("SELECT pg_advisory_lock(hashtext(current_database()))")
            .unwrap();
        Self(holder)
    }

    fn wait_until_reached(&mut self) {
        let waiting = || diesel::dsl::sql::<BigInt>(WAITING);
        wait_until("a statement stops", || {
            waiting().get_result::<i64>(&mut self.0).unwrap() > 0
        });
    }
}

fn create() -> (Reader<OwnPostgres>, [PgConnection; 2]) {
    let (reader, publishers) = Reader::<OwnPostgres>::create();
    reader.database.change_catalog(STOPS);
    (reader, publishers)
}

type Publish = fn(&mut PgConnection) -> Result<(), Error>;

fn place_many(connection: &mut PgConnection, orders: u64) -> Result<(), Error> {
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(connection, (0..orders).map(|_| OrderPlaced::number(1)))
        .map(drop)
}

/// The model `fence`, control *lock after drawing*: a publisher that has a position also has its
/// lock.
#[test]
fn a_publisher_that_has_drawn_a_position_holds_its_lock() {
    let ways: [(Publish, usize); 4] = [
        // One statement; a transaction; one statement with several rows; COPY.
        (|one| place(one, 1), 1),
        (|one| one.in_transaction(|one| place(one, 1)), 1),
        (|one| place_many(one, 3), 3),
        (|one| place_many(one, 4_000), 4_000),
    ];
    for (publish, messages) in ways {
        let (mut reader, [mut one, mut other]) = create();
        let mut stop = Stop::at("after drawing", &mut one, &reader.database);
        thread::scope(|scope| {
            scope.spawn(|| publish(&mut one).unwrap());
            stop.wait_until_reached();
            place(&mut other, 2).unwrap();
            assert!(reader.read().is_empty());
            drop(stop);
        });
        let mut expected = vec![1; messages];
        // When the publisher stopped, only the first of its rows had a position.
        expected.insert(1, 2);
        assert_eq!(reader.read(), expected);
    }
}

/// The model `fence`, control *locks before sequence*: publishers begin before one of the reader's
/// two reads.
#[test]
fn a_publisher_that_begins_between_two_reads_is_not_skipped() {
    for place_of_stop in ["before the locks", "before the sequence"] {
        let (mut reader, [mut one, mut other]) = create();
        place(&mut other, 1).unwrap();
        let mut stop = Stop::at(place_of_stop, &mut reader.bus, &reader.database);
        one.begin().unwrap();
        let seen = thread::scope(|scope| {
            let reads = scope.spawn(|| reader.read());
            stop.wait_until_reached();
            place(&mut one, 2).unwrap();
            place(&mut other, 3).unwrap();
            drop(stop);
            reads.join().unwrap()
        });
        assert_eq!(seen, [1], "{place_of_stop}");
        one.commit().unwrap();
        assert_eq!(reader.read(), [2, 3], "{place_of_stop}");
    }
}

/// The model `fence`, control *idle reader reads rows*: messages are committed after an idle
/// reader's statement has its snapshot.
#[test]
fn an_idle_reader_passes_no_message_that_is_committed_while_it_asks() {
    let (mut reader, [mut one, mut other]) = create();
    one.begin().unwrap();
    let mut stop = Stop::at("before the sequence", &mut reader.bus, &reader.database);
    let seen = thread::scope(|scope| {
        let reads = scope.spawn(|| reader.read());
        stop.wait_until_reached();
        place(&mut one, 1).unwrap();
        place(&mut other, 2).unwrap();
        drop(stop);
        reads.join().unwrap()
    });
    assert!(seen.is_empty());
    assert!(reader.read().is_empty());
    one.commit().unwrap();
    assert_eq!(reader.read(), [1, 2]);
}

/// The model `fence`, control *rows in an earlier snapshot*: a publisher commits after the
/// statement that reads the locks has its snapshot, and before it reads them.
#[test]
fn a_publisher_that_commits_between_two_reads_is_seen() {
    let (mut reader, [mut one, mut other]) = create();
    one.begin().unwrap();
    place(&mut one, 1).unwrap();
    place(&mut other, 2).unwrap();
    let mut stop = Stop::at("before the locks", &mut reader.bus, &reader.database);
    let seen = thread::scope(|scope| {
        let reads = scope.spawn(|| reader.read());
        stop.wait_until_reached();
        one.commit().unwrap();
        drop(stop);
        reads.join().unwrap()
    });
    assert_eq!(seen, [1, 2]);
}
