//! Partitioned tables are refused, because they cannot have a unique index on the message id alone.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::{Error, OnDuplicate};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::topics::OrderPlaced;

use super::{consume, orders};

fn publish(bus: &mut PgConnection, size: u64, on_duplicate: OnDuplicate) -> Result<(), Error> {
    let orders = orders().on_duplicate(on_duplicate);
    if size == 1 {
        return orders.dispatch(bus, &OrderPlaced::number(1)).map(drop);
    }
    let placed = (0..size).map(OrderPlaced::number);
    orders.dispatch_batch(bus, placed).map(drop)
}

/// Replaces the table by one that is partitioned by a column, with this primary key.
fn partition(bus: &mut PgConnection, by: &str, keys: &str) {
    let default = if by.starts_with("HASH") {
        ""
    } else {
        "CREATE TABLE partition PARTITION OF public_messages DEFAULT;"
    };
    bus.batch_execute(&format!(
        "ALTER TABLE public_messages RENAME TO former;
        ALTER SEQUENCE public_messages_id_seq RENAME TO former_id_seq;
        CREATE TABLE public_messages (LIKE former INCLUDING DEFAULTS, {keys}) PARTITION BY {by};
        {default}
        CREATE SEQUENCE public_messages_id_seq OWNED BY public_messages.id;
        ALTER TABLE public_messages ALTER id SET DEFAULT nextval('public_messages_id_seq')"
    ))
    .unwrap();
}

fn assert_refused(bus: &mut PgConnection, case: &str) {
    for size in [1, 3, 4_200] {
        for on_duplicate in [OnDuplicate::Fail, OnDuplicate::Ignore] {
            for is_in_transaction in [false, true] {
                if is_in_transaction {
                    bus.begin().unwrap();
                }
                let error = publish(bus, size, on_duplicate).expect_err(case);
                if is_in_transaction {
                    bus.rollback().unwrap();
                }
                let text = format!("{error:#}");
                assert!(!error.is_duplicate() && !error.is_retryable(), "{text}");
                for part in [
                    "\"public_messages\"",
                    "unique index",
                    "\"message_id\"",
                    "partition",
                ] {
                    assert!(text.contains(part), "{case}: {part} in {text}");
                }
            }
        }
    }
    assert!(consume(bus).is_empty());
}

#[test]
fn a_table_without_a_unique_index_on_the_message_id_is_refused() {
    for (by, keys) in [
        ("RANGE (id)", "PRIMARY KEY (id), UNIQUE (message_id, id)"),
        (
            "LIST (topic)",
            "PRIMARY KEY (id, topic), UNIQUE (message_id, topic)",
        ),
        (
            "RANGE (published_at)",
            "PRIMARY KEY (id, published_at), UNIQUE (message_id, published_at)",
        ),
    ] {
        let database = Postgres::create();
        let mut bus = database.connect();
        partition(&mut bus, by, keys);
        assert_refused(&mut bus, by);
    }
    for change in [
        "ALTER TABLE public_messages DROP CONSTRAINT public_messages_message_id_key",
        "ALTER TABLE public_messages DROP CONSTRAINT public_messages_message_id_key;
        CREATE UNIQUE INDEX ON public_messages (message_id) WHERE topic = 'payments'",
    ] {
        let database = Postgres::create();
        let mut bus = database.connect();
        bus.batch_execute(change).unwrap();
        assert_refused(&mut bus, change);
    }
}

#[test]
fn a_table_that_is_partitioned_by_the_message_id_works() {
    let database = Postgres::create();
    let mut bus = database.connect();
    partition(&mut bus, "HASH (message_id)", "UNIQUE (message_id)");
    for remainder in 0..2 {
        let attach = format!(
            "CREATE TABLE part_{remainder} PARTITION OF public_messages
             FOR VALUES WITH (MODULUS 2, REMAINDER {remainder})"
        );
        bus.batch_execute(&attach).unwrap();
    }
    for size in [1, 3, 4_200] {
        for on_duplicate in [OnDuplicate::Fail, OnDuplicate::Ignore] {
            publish(&mut bus, size, on_duplicate).unwrap();
            assert_eq!(consume(&mut bus).len() as u64, size);
        }
    }
}
