//! Programs whose transactions overlap with those of publishers, step by step.

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::sql::TableSchema;

use crate::{COLUMNS, Guarded, Reader, both_schemas, insert, values, values_on};

/// The control: the order of events in which a message is lost.
pub fn without_the_guard_a_late_commit_of_another_program_is_skipped<D: Guarded>() {
    let database = D::create();
    let schema = TableSchema::default();
    let (mut program, mut publisher) = (database.connect(), database.connect());
    let mut reader = Reader::on(&database, schema.clone());
    program.begin().unwrap();
    insert(&mut program, 1).unwrap();
    D::place(&schema, &mut publisher, 2..3).unwrap();
    assert_eq!(reader.read(), [2]);
    program.commit().unwrap();
    assert!(reader.read().is_empty());
}

pub fn a_late_commit_of_another_program_is_not_skipped<D: Guarded>() {
    for schema in both_schemas() {
        let database = D::create_guarded();
        let (mut program, mut publisher) = (database.connect(), database.connect());
        let mut reader = Reader::on(&database, schema.clone());
        D::place(&schema, &mut publisher, 0..1).unwrap();
        assert_eq!(reader.read(), [0]);
        program.begin().unwrap();
        insert(&mut program, 1).unwrap();
        D::place(&schema, &mut publisher, 2..3).unwrap();
        assert!(reader.read().is_empty());
        // Another program overtakes it, too.
        insert(&mut publisher, 3).unwrap();
        assert!(reader.read().is_empty());
        program.commit().unwrap();
        assert_eq!(reader.read(), [1, 2, 3]);
    }
}

pub fn another_program_that_inserts_the_first_message_is_waited_for<D: Guarded>() {
    let database = D::create();
    D::guard(&mut database.connect()).unwrap();
    let mut program = database.connect();
    let schema = TableSchema::default();
    program.begin().unwrap();
    insert(&mut program, 1).unwrap();
    D::pay(&schema, &mut database.connect(), 1).unwrap();
    let mut reader = Reader::on(&database, schema);
    assert!(reader.read().is_empty());
    program.commit().unwrap();
    assert_eq!(reader.read(), [1]);
}

pub fn a_rolled_back_savepoint_keeps_the_announcement<D: Guarded>() {
    for schema in both_schemas() {
        let database = D::create_guarded();
        let (mut program, mut publisher) = (database.connect(), database.connect());
        let mut reader = Reader::on(&database, schema.clone());
        program.batch_execute("BEGIN; SAVEPOINT inner_one").unwrap();
        insert(&mut program, 1).unwrap();
        program
            .batch_execute("ROLLBACK TO SAVEPOINT inner_one")
            .unwrap();
        insert(&mut program, 2).unwrap();
        D::place(&schema, &mut publisher, 3..4).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(reader.read().is_empty());
        program
            .batch_execute("SAVEPOINT inner_one; ROLLBACK TO SAVEPOINT inner_one")
            .unwrap();
        assert!(reader.read().is_empty());
        program.batch_execute("COMMIT").unwrap();
        assert_eq!(reader.read(), [2, 3]);
    }
}

pub fn rows_of_several_topics_in_a_transaction_hold_back_both<D: Guarded>() {
    let database = D::create_guarded();
    let schema = TableSchema::default();
    let (mut program, mut publisher) = (database.connect(), database.connect());
    let mut reader = Reader::on(&database, schema.clone());
    program.begin().unwrap();
    let paid = values_on("payments", "Paid", 1);
    let pay = format!("INSERT INTO public_messages {COLUMNS} VALUES {paid}");
    program.batch_execute(&pay).unwrap();
    insert(&mut program, 1).unwrap();
    D::place(&schema, &mut publisher, 2..3).unwrap();
    assert!(reader.read().is_empty());
    program.commit().unwrap();
    assert_eq!(reader.read(), [1, 2]);
}

pub fn another_topic_is_not_held_back<D: Guarded>() {
    let database = D::create_guarded();
    let schema = TableSchema::default();
    let mut program = database.connect();
    let mut reader = Reader::on(&database, schema.clone());
    program.begin().unwrap();
    let paid = values_on("payments", "Paid", 1);
    let pay = format!("INSERT INTO public_messages {COLUMNS} VALUES {paid}");
    program.batch_execute(&pay).unwrap();
    D::place(&schema, &mut database.connect(), 2..3).unwrap();
    assert_eq!(reader.read(), [2]);
    program.commit().unwrap();
}

pub fn every_isolation_level_is_guarded<D: Guarded>() {
    for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let database = D::create_guarded();
        let schema = TableSchema::default();
        let (mut program, mut publisher) = (database.connect(), database.connect());
        let mut reader = Reader::on(&database, schema.clone());
        D::begin_with(&mut program, level);
        insert(&mut program, 1).unwrap();
        insert(&mut program, 2).unwrap();
        D::pay(&schema, &mut publisher, 3).unwrap();
        assert!(reader.read().is_empty(), "{level}");
        program.commit().unwrap();
        assert_eq!(reader.read(), [1, 2], "{level}");
    }
}

pub fn every_form_of_insert_is_guarded<D: Guarded>() {
    let from_table = format!(
        "CREATE TABLE other (message_id CHAR(36), topic VARCHAR(255), message_type VARCHAR(255), \
         payload TEXT, headers TEXT); \
         INSERT INTO other VALUES ('{}', 'orders', 'OrderPlaced', '{{\"order\":1,\"note\":\"\"}}', '{{}}'), \
         ('{}', 'orders', 'OrderPlaced', '{{\"order\":2,\"note\":\"\"}}', '{{}}')",
        uuid::Uuid::now_v7(),
        uuid::Uuid::now_v7()
    );
    let of_two = format!("VALUES {}, {}", values(1), values(2));
    for (prepare, statement) in [
        (String::new(), of_two),
        (from_table, D::INSERT_SELECT.to_owned()),
    ] {
        let database = D::create_guarded();
        let schema = TableSchema::default();
        let (mut program, mut publisher) = (database.connect(), database.connect());
        let mut reader = Reader::on(&database, schema.clone());
        if !prepare.is_empty() {
            program.batch_execute(&prepare).unwrap();
        }
        program.begin().unwrap();
        let insert = format!("INSERT INTO public_messages {COLUMNS} {statement}");
        program.batch_execute(&insert).unwrap();
        D::place(&schema, &mut publisher, 3..4).unwrap();
        assert!(reader.read().is_empty());
        program.commit().unwrap();
        assert_eq!(reader.read(), [1, 2, 3]);
    }
}

pub fn the_library_and_another_program_share_a_transaction<D: Guarded>() {
    for schema in both_schemas() {
        let database = D::create_guarded();
        let (mut shared, mut publisher) = (database.connect(), database.connect());
        let mut reader = Reader::on(&database, schema.clone());
        shared.begin().unwrap();
        insert(&mut shared, 1).unwrap();
        D::place(&schema, &mut shared, 2..3).unwrap();
        D::place(&schema, &mut shared, 3..6).unwrap();
        insert(&mut shared, 6).unwrap();
        D::place(&schema, &mut publisher, 7..8).unwrap();
        assert!(reader.read().is_empty());
        shared.commit().unwrap();
        assert_eq!(reader.read(), [1, 2, 3, 4, 5, 6, 7]);
    }
}
