//! Installing and removing the guard.

use std::thread;

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus_tests::waiting::wait_until;

use crate::{Guarded, Reader, guarded_schema, insert};

pub fn the_guard_is_installed_once<D: Guarded>() {
    let database = D::create();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    D::guard(&mut database.connect()).unwrap();
                }
            });
        }
    });
    // A publisher that is open does not matter to an installed guard.
    let (mut program, mut other) = (database.connect(), database.connect());
    program.begin().unwrap();
    insert(&mut program, 1).unwrap();
    D::guard(&mut other).unwrap();
    program.commit().unwrap();
    assert_eq!(Reader::on(&database, guarded_schema()).read(), [1]);
}

/// If the trigger became effective earlier, a consumer that relies on it would skip the message.
pub fn installing_waits_for_open_publishers<D: Guarded>() {
    let database = D::create();
    let mut program = database.connect();
    program.begin().unwrap();
    insert(&mut program, 1).unwrap();
    thread::scope(|scope| {
        let installing = scope.spawn(|| D::guard(&mut database.connect()));
        let mut observer = database.connect();
        wait_until("the installation waits for the publisher", || {
            D::waiting_installations(&mut observer) > 0
        });
        assert!(!installing.is_finished());
        program.commit().unwrap();
        installing.join().unwrap().unwrap();
    });
    assert_eq!(Reader::on(&database, guarded_schema()).read(), [1]);
}

pub fn installing_in_a_transaction_is_refused<D: Guarded>() {
    let database = D::create();
    let mut connection = database.connect();
    connection.begin().unwrap();
    for refused in [D::guard(&mut connection), D::unguard(&mut connection)] {
        let error = format!("{:#}", refused.unwrap_err());
        assert!(error.contains("call it outside"), "{error}");
    }
}

pub fn a_removed_guard_leaves_the_table_as_it_was<D: Guarded>() {
    let database = D::create_guarded();
    let mut connection = database.connect();
    D::unguard(&mut connection).unwrap();
    D::unguard(&mut connection).unwrap();
    D::place(&TableSchema::default(), &mut connection, 1..4).unwrap();
    let mut reader = Reader::on(&database, TableSchema::default());
    assert_eq!(reader.read(), [1, 2, 3]);
    let error = D::handle(
        &guarded_schema(),
        &mut reader.consumer,
        &mut database.connect(),
    );
    assert!(error.is_err());
    D::guard(&mut connection).unwrap();
    D::place(&guarded_schema(), &mut connection, 4..5).unwrap();
    assert_eq!(reader.read(), [4]);
}

pub fn an_installed_guard_of_another_version_is_replaced<D: Guarded>() {
    let database = D::create_guarded();
    let mut connection = database.connect();
    connection.batch_execute(&D::other_version()).unwrap();
    assert!(insert(&mut connection, 1).is_err());
    D::guard(&mut connection).unwrap();
    insert(&mut connection, 2).unwrap();
    assert_eq!(Reader::on(&database, guarded_schema()).read(), [2]);
}

pub fn the_statements_can_be_run_by_a_migration<D: Guarded>() {
    let database = D::create();
    let mut connection = database.connect();
    for statement in D::statements() {
        connection.batch_execute(&statement).unwrap();
    }
    D::begin_topics(&mut connection);
    // The same guard is installed, so nothing waits for the open program.
    let mut program = database.connect();
    program.begin().unwrap();
    insert(&mut program, 1).unwrap();
    D::guard(&mut connection).unwrap();
    D::place(&guarded_schema(), &mut connection, 2..3).unwrap();
    let mut reader = Reader::on(&database, guarded_schema());
    assert!(reader.read().is_empty());
    program.commit().unwrap();
    assert_eq!(reader.read(), [1, 2]);
}
