//! What the trigger of PostgreSQL does with every form of insert.

use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::backend::{MessageSource, TransactionControl};
use persisting_message_bus::sql::{TableSchema, guard_foreign_inserts};
use persisting_message_bus_tests::databases::{Database, Postgres, Server, become_role, drop_role};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use crate::{COLUMNS, Guarded, Reader, both_schemas, guarded_schema, insert, values, values_on};

fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    diesel::dsl::sql::<BigInt>(sql)
        .get_result(connection)
        .unwrap()
}

/// Runs a statement of another program that inserts orders 1 and 2, and commits after order 3.
#[track_caller]
fn assert_guarded(statement: &str) {
    let database = Postgres::create_guarded();
    let schema = TableSchema::default();
    let mut program = database.connect();
    let mut reader = Reader::on(&database, schema.clone());
    program.begin().unwrap();
    program.batch_execute(statement).unwrap();
    Postgres::place(&schema, &mut database.connect(), 3..4).unwrap();
    assert!(reader.read().is_empty(), "{statement}");
    program.commit().unwrap();
    assert_eq!(reader.read(), [1, 2, 3], "{statement}");
    // The sequence is not below the rows.
    Postgres::place(&schema, &mut program, 4..5).unwrap();
    assert_eq!(reader.read(), [4]);
}

#[test]
fn positions_that_a_program_gives_are_replaced() {
    let columns = COLUMNS.replacen('(', "(id, ", 1);
    for ids in [["1", "2"], ["-5", "-4"], ["900", "901"], ["0", "1000000"]] {
        let rows = [values(1).replacen('(', &format!("({}, ", ids[0]), 1), {
            values(2).replacen('(', &format!("({}, ", ids[1]), 1)
        }];
        let rows = rows.join(", ");
        assert_guarded(&format!(
            "INSERT INTO public_messages {columns} OVERRIDING SYSTEM VALUE VALUES {rows}"
        ));
    }
}

/// The server may compute the default of a row long before it calls the trigger. The statement draws
/// a position and then waits, so that a consumer passes that position.
#[test]
fn positions_that_are_drawn_early_are_replaced() {
    let database = Postgres::create_guarded();
    let schema = TableSchema::default();
    let (mut holder, mut program) = (database.connect(), database.connect());
    let mut reader = Reader::on(&database, schema.clone());
    let lock: i64 = number(
        &mut holder,
        "SELECT 'public_messages'::regclass::oid::bigint",
    );
    holder
        .batch_execute(&format!("SELECT pg_advisory_lock(1, {lock})"))
        .unwrap();
    let statement = format!(
        "WITH drawn AS MATERIALIZED (
            SELECT nextval('public_messages_id_seq') AS id, pg_advisory_xact_lock(1, {lock})
        ) INSERT INTO public_messages {} OVERRIDING SYSTEM VALUE
        SELECT id, column1::uuid, column2, column3, column4::json, column5::json,
            column6::timestamptz
        FROM drawn, (VALUES {}) AS given",
        COLUMNS.replacen('(', "(id, ", 1),
        values(1)
    );
    thread::scope(|scope| {
        let inserting = scope.spawn(|| program.batch_execute(&statement));
        let waits = format!(
            "SELECT count(*) FROM pg_locks
            WHERE locktype = 'advisory' AND objid = {lock} AND NOT granted"
        );
        wait_until("a drawn position", || number(&mut holder, &waits) == 1);
        Postgres::place(&schema, &mut database.connect(), 2..3).unwrap();
        assert_eq!(reader.read(), [2]);
        holder
            .batch_execute(&format!("SELECT pg_advisory_unlock(1, {lock})"))
            .unwrap();
        inserting.join().unwrap().unwrap();
    });
    assert_eq!(reader.read(), [1]);
}

#[test]
fn conflicts_are_guarded() {
    for action in [
        "DO NOTHING",
        "(message_id) DO UPDATE SET message_type = excluded.message_type",
    ] {
        let row = values(1);
        let database = Postgres::create_guarded();
        let schema = TableSchema::default();
        let mut program = database.connect();
        let mut reader = Reader::on(&database, schema.clone());
        let insert = |rows: &str| {
            format!("INSERT INTO public_messages {COLUMNS} VALUES {rows} ON CONFLICT {action}")
        };
        program.batch_execute(&insert(&row)).unwrap();
        program.begin().unwrap();
        program
            .batch_execute(&insert(&format!("{row}, {}", values(2))))
            .unwrap();
        Postgres::place(&schema, &mut database.connect(), 3..4).unwrap();
        assert_eq!(reader.read(), [1]);
        program.commit().unwrap();
        assert_eq!(reader.read(), [2, 3]);
    }
}

#[test]
fn copied_rows_are_guarded() {
    let database = Postgres::create_guarded();
    let schema = TableSchema::default();
    let mut program = database.connect();
    let mut reader = Reader::on(&database, schema.clone());
    let batch = |from: u64| (from..from + 4_500).map(OrderPlaced::number);
    program.begin().unwrap();
    // Diesel's COPY, without the statement that takes the fence before it.
    let row = |order: u64| {
        format!(
            "{}\torders\tOrderPlaced\t{{\"order\":{order},\"note\":\"\"}}\t{{}}\t2023-07-26 08:26:00\n",
            uuid::Uuid::now_v7()
        )
    };
    copy(&mut program, &(1..=2).map(row).collect::<String>());
    Postgres::place(&schema, &mut database.connect(), 3..4).unwrap();
    assert!(reader.read().is_empty());
    program.commit().unwrap();
    assert_eq!(reader.read(), [1, 2, 3]);
    // The library's own copies.
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut guarded_schema().bind(&mut program), batch(10))
        .unwrap();
    assert_eq!(reader.read().len(), 4_500);
}

diesel::table! {
    public_messages (message_id) {
        message_id -> Uuid,
        topic -> Text,
        message_type -> Text,
        payload -> Text,
        headers -> Text,
        published_at -> Timestamptz,
    }
}

fn copy(program: &mut PgConnection, rows: &str) {
    use self::public_messages as table;

    let columns = (
        table::message_id,
        table::topic,
        table::message_type,
        table::payload,
        table::headers,
        table::published_at,
    );
    diesel::copy_from(table::table)
        .from_raw_data(columns, |copy: &mut dyn std::io::Write| {
            copy.write_all(rows.as_bytes())
                .map_err(|cause| diesel::result::Error::SerializationError(Box::new(cause)))
        })
        .execute(program)
        .unwrap();
}

/// The trigger computes the key of the lock as the publishers of this library do.
#[test]
fn the_trigger_and_the_publishers_take_the_same_locks() {
    for topic in [
        "orders",
        "",
        "größer",
        "日本語のトピック",
        &"x".repeat(300),
        "it's \"quoted\" \\",
    ] {
        let database = Postgres::create_guarded();
        let mut program = database.connect();
        program.begin().unwrap();
        let quoted = topic.replace('\'', "''");
        let row = values_on(&quoted, "OrderPlaced", 1);
        program
            .batch_execute(&format!(
                "SET standard_conforming_strings = on; INSERT INTO public_messages {COLUMNS} VALUES {row}"
            ))
            .unwrap();
        insert(&mut database.connect(), 2).unwrap();
        let mut reader = database.connect();
        let mark = |reader: &mut PgConnection| {
            reader
                .high_water_mark(topic, &mut Default::default())
                .unwrap()
                .get()
        };
        let before = mark(&mut reader);
        program.commit().unwrap();
        assert!(before < mark(&mut reader), "{topic}");
    }
}

/// The second row of a topic, and a row of the library, find the lock in the transaction's setting.
#[test]
fn a_transaction_holds_one_lock_for_each_topic() {
    for schema in both_schemas() {
        let database = Postgres::create_guarded();
        let (mut program, mut watcher) = (database.connect(), database.connect());
        program.begin().unwrap();
        for order in 0..3 {
            insert(&mut program, order).unwrap();
            Postgres::place(&schema, &mut program, 10..11).unwrap();
            Postgres::place(&schema, &mut program, 10..15).unwrap();
            Postgres::pay(&schema, &mut program, order).unwrap();
        }
        assert_eq!(Postgres::fences(&mut watcher), 2);
        program.commit().unwrap();
    }
}

#[test]
fn a_single_message_takes_its_lock_once() {
    let database = Postgres::create_guarded();
    let mut connection = database.connect();
    let schema = guarded_schema();
    Postgres::place(&schema, &mut connection, 1..2).unwrap();
    connection
        .batch_execute(
            "CREATE TABLE locks (number bigint);
            CREATE FUNCTION count_locks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO locks SELECT count(*) FROM pg_locks
                WHERE locktype = 'advisory' AND pid = pg_backend_pid();
                RETURN NULL;
            END $$;
            CREATE TRIGGER counts AFTER INSERT ON public_messages FOR EACH ROW
                EXECUTE FUNCTION count_locks()",
        )
        .unwrap();
    Postgres::place(&schema, &mut connection, 2..3).unwrap();
    assert_eq!(number(&mut connection, "SELECT max(number) FROM locks"), 1);
}

#[test]
fn a_role_without_rights_on_the_sequence_is_guarded() {
    let database = Postgres::create_guarded();
    let mut program = database.connect();
    let role = become_role(&mut program, |role| {
        format!("GRANT INSERT ON public_messages TO {role};")
    });
    let schema = TableSchema::default();
    let mut reader = Reader::on(&database, schema.clone());
    program.begin().unwrap();
    // Functions of the caller's own schema must not be called by the trigger.
    insert(&mut program, 1).unwrap();
    Postgres::place(&schema, &mut database.connect(), 2..3).unwrap();
    assert!(reader.read().is_empty());
    program.commit().unwrap();
    assert_eq!(reader.read(), [1, 2]);
    drop_role(&mut program, &role);
}

#[test]
fn a_prepared_transaction_of_a_program_holds_its_topic_back() {
    let database = Postgres::create_guarded();
    let schema = TableSchema::default();
    let mut program = database.connect();
    let mut reader = Reader::on(&database, schema.clone());
    let name = uuid::Uuid::now_v7();
    program.batch_execute("BEGIN").unwrap();
    insert(&mut program, 1).unwrap();
    program
        .batch_execute(&format!("PREPARE TRANSACTION '{name}'"))
        .unwrap();
    Postgres::place(&schema, &mut program, 2..3).unwrap();
    assert!(reader.read().is_empty());
    program
        .batch_execute(&format!("COMMIT PREPARED '{name}'"))
        .unwrap();
    assert_eq!(reader.read(), [1, 2]);
}

#[test]
fn a_trigger_of_the_application_may_set_the_topic() {
    let database = Postgres::create();
    let mut program = database.connect();
    program
        .batch_execute(
            "CREATE FUNCTION renames() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN NEW.topic := lower(NEW.topic); RETURN NEW; END $$;
            CREATE TRIGGER renames BEFORE INSERT ON public_messages FOR EACH ROW
                EXECUTE FUNCTION renames()",
        )
        .unwrap();
    guard_foreign_inserts(&mut program).unwrap();
    let schema = TableSchema::default();
    let mut reader = Reader::on(&database, schema.clone());
    program.begin().unwrap();
    let row = values_on("ORDERS", "OrderPlaced", 1);
    program
        .batch_execute(&format!(
            "INSERT INTO public_messages {COLUMNS} VALUES {row}"
        ))
        .unwrap();
    Postgres::place(&schema, &mut database.connect(), 2..3).unwrap();
    assert!(reader.read().is_empty());
    program.commit().unwrap();
    assert_eq!(reader.read(), [1, 2]);
}

#[test]
fn a_disabled_trigger_is_a_missing_one() {
    let database = Postgres::create_guarded();
    let mut connection = database.connect();
    connection
        .batch_execute("ALTER TABLE public_messages DISABLE TRIGGER USER")
        .unwrap();
    let schema = guarded_schema();
    let error = schema
        .bind(&mut connection)
        .current_head("orders")
        .unwrap_err();
    assert!(format!("{error:#}").contains("sql::guard_foreign_inserts"));
    guard_foreign_inserts(&mut connection).unwrap();
    schema.bind(&mut connection).current_head("orders").unwrap();
}

#[test]
fn a_table_with_other_names_in_another_schema_is_guarded() {
    let database = Postgres::create();
    let mut connection = database.connect();
    connection
        .batch_execute(
            "ALTER TABLE public_messages RENAME TO \"the \"\"Events\"\" it's\";
            ALTER TABLE \"the \"\"Events\"\" it's\" RENAME COLUMN id TO \"Position's\";
            ALTER TABLE \"the \"\"Events\"\" it's\" RENAME COLUMN topic TO \"To\\pic\"",
        )
        .unwrap();
    let mut schema = guarded_schema();
    schema.messages.table = "the \"Events\" it's".into();
    schema.messages.id = "Position's".into();
    schema.messages.topic = "To\\pic".into();
    guard_foreign_inserts(&mut schema.bind(&mut connection)).unwrap();
    guard_foreign_inserts(&mut schema.bind(&mut connection)).unwrap();
    Postgres::place(&schema, &mut connection, 1..2).unwrap();
    Postgres::place(&schema, &mut connection, 2..5).unwrap();
    assert_eq!(Reader::on(&database, schema).read(), [1, 2, 3, 4]);
}
