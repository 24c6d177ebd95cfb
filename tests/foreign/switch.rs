//! The library's own publishers and readers on a table with the guard.

use diesel::connection::Connection;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus_tests::statements::Log;

use crate::{Guarded, Reader, both_schemas, guarded_schema};

pub fn a_missing_guard_is_an_error_of_readers<D: Guarded>() {
    let database = D::create();
    let mut reader = Reader::on(&database, guarded_schema());
    let error = D::handle(&reader.schema, &mut reader.consumer, &mut reader.connection);
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("sql::guard_foreign_inserts"), "{error}");
    D::guard(&mut database.connect()).unwrap();
    D::place(&guarded_schema(), &mut database.connect(), 1..2).unwrap();
    assert_eq!(reader.read(), [1]);
}

pub fn with_the_guard_every_way_of_publishing_works<D: Guarded>() {
    for schema in both_schemas() {
        let database = D::create_guarded();
        let mut publisher = database.connect();
        let mut reader = Reader::on(&database, schema.clone());
        let mut next = 0;
        for in_transaction in [false, true] {
            for size in [1, 2, 40, 1_500, 5_000] {
                if in_transaction {
                    TransactionControl::begin(&mut publisher).unwrap();
                }
                D::place(&schema, &mut publisher, next..next + size).unwrap();
                if in_transaction {
                    TransactionControl::commit(&mut publisher).unwrap();
                }
                let expected: Vec<_> = (next..next + size).collect();
                assert_eq!(reader.read(), expected, "{size}, {in_transaction}");
                next += size;
            }
        }
    }
}

pub fn the_switch_takes_no_more_statements<D: Guarded>() {
    let database = D::create_guarded();
    let statements = |schema: &TableSchema, connection: &mut D::Plain| {
        // The first message of a session takes more.
        D::place(schema, connection, 0..1).unwrap();
        let log = Log::default();
        log.watch(connection);
        D::place(schema, connection, 0..1).unwrap();
        D::place(schema, connection, 0..10).unwrap();
        let outside = log.statements().len();
        connection
            .transaction(|connection| {
                D::place(schema, connection, 0..1).unwrap();
                Ok::<_, diesel::result::Error>(())
            })
            .unwrap();
        (outside, log.statements().len() - outside)
    };
    let (outside, inside) = statements(&guarded_schema(), &mut database.connect());
    // One statement for each call, and BEGIN and COMMIT.
    assert_eq!((outside, inside), (2, 3));
}

pub fn a_duplicate_is_recognised_with_the_guard<D: Guarded>() {
    for schema in both_schemas() {
        let database = D::create_guarded();
        let mut publisher = database.connect();
        D::dispatch_twice(&schema, &mut publisher);
        TransactionControl::begin(&mut publisher).unwrap();
        D::dispatch_twice(&schema, &mut publisher);
        TransactionControl::commit(&mut publisher).unwrap();
        let mut reader = Reader::on(&database, schema.clone());
        assert_eq!(reader.read().len(), 4);
    }
}
