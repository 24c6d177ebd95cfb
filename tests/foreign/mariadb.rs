//! What the trigger of MariaDB accepts, refuses and waits for.

use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use persisting_message_bus::OnDuplicate;
use persisting_message_bus::backend::{MessageRepository, TransactionControl};
use persisting_message_bus::sql::{TableSchema, guard_foreign_inserts};
use persisting_message_bus_tests::databases::{Database, Mariadb, Server};
use persisting_message_bus_tests::waiting::wait_until_every;

use crate::{COLUMNS, Guarded, Reader, guarded_schema, insert, values, values_on};

fn number(connection: &mut MysqlConnection, sql: &str) -> i64 {
    diesel::dsl::sql::<BigInt>(sql)
        .get_result(connection)
        .unwrap()
}

fn refused(connection: &mut MysqlConnection, sql: &str, expected: &str) {
    let error = connection.batch_execute(sql).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_position_that_a_program_gives_is_refused() {
    let database = Mariadb::create_guarded();
    let mut program = database.connect();
    let row = values(1).replacen('(', "(77, ", 1);
    let columns = COLUMNS.replacen('(', "(id, ", 1);
    for verb in ["INSERT", "INSERT IGNORE", "REPLACE"] {
        let sql = format!("{verb} INTO public_messages {columns} VALUES {row}");
        refused(&mut program, &sql, "leave the position to the database");
    }
    let none = values(2).replacen('(', "(NULL, ", 1);
    program
        .batch_execute(&format!(
            "INSERT INTO public_messages {columns} VALUES {none}"
        ))
        .unwrap();
    assert_eq!(Reader::on(&database, guarded_schema()).read(), [2]);
}

#[test]
fn one_statement_with_several_topics_is_refused() {
    let database = Mariadb::create_guarded();
    let mut program = database.connect();
    let paid = values_on("payments", "Paid", 1);
    for verb in ["INSERT", "INSERT IGNORE", "REPLACE"] {
        let sql = format!(
            "{verb} INTO public_messages {COLUMNS} VALUES {}, {paid}",
            values(1)
        );
        refused(&mut program, &sql, "several topics");
    }
    // Statements of one topic after the other are accepted, also while the session's clock stands.
    program.batch_execute("SET timestamp = 1000000000").unwrap();
    for row in [values(2), values_on("payments", "Paid", 2), values(3)] {
        let sql = format!("INSERT INTO public_messages {COLUMNS} VALUES {row}");
        program.batch_execute(&sql).unwrap();
    }
    assert_eq!(Reader::on(&database, guarded_schema()).read(), [2, 3]);
}

#[test]
fn inserts_that_meet_duplicates_are_guarded() {
    for (verb, ending) in [
        ("INSERT IGNORE", ""),
        ("REPLACE", ""),
        (
            "INSERT",
            " ON DUPLICATE KEY UPDATE message_type = VALUES(message_type)",
        ),
    ] {
        let database = Mariadb::create_guarded();
        let schema = TableSchema::default();
        let mut program = database.connect();
        let mut reader = Reader::on(&database, schema.clone());
        // The server locks the places beside a duplicate, where new ids must not belong.
        let [old, next] = [1, 2].map(|number| {
            let row = values(1);
            let rest = &row["('".len() + 36..];
            format!("('00000000-0000-7000-8000-00000000000{number}{rest}")
        });
        let sql = |row: &str| format!("{verb} INTO public_messages {COLUMNS} VALUES {row}{ending}");
        program
            .batch_execute(&sql(&format!("{old}, {next}")))
            .unwrap();
        program.begin().unwrap();
        program
            .batch_execute(&sql(&format!("{old}, {}", values(2))))
            .unwrap();
        Mariadb::place(&schema, &mut database.connect(), 3..4).unwrap();
        // The replaced message is not visible.
        assert!(!reader.read().contains(&3), "{verb}");
        program.commit().unwrap();
        let seen = reader.read();
        assert!(seen.ends_with(&[2, 3]), "{verb}: {seen:?}");
    }
}

/// An application's own trigger may set the topic, and may publish on two topics.
#[test]
fn triggers_of_the_application_go_together_with_the_guard() {
    let database = Mariadb::create();
    let mut program = database.connect();
    let insert_on = |topic: &str, kind: &str| {
        format!(
            "INSERT INTO public_messages {COLUMNS} VALUES (uuid(), '{topic}', '{kind}', \
             concat('{{\"order\":', NEW.id, ',\"note\":\"\"}}'), '{{}}', now());"
        )
    };
    program
        .batch_execute(&format!(
            "CREATE TABLE sales (id INT); CREATE TRIGGER outbox AFTER INSERT ON sales FOR EACH ROW BEGIN {} {} {} END",
            insert_on("orders", "OrderPlaced"),
            insert_on("payments", "Paid"),
            insert_on("orders", "OrderPlaced"),
        ))
        .unwrap();
    program
        .batch_execute(
            "CREATE TRIGGER renames BEFORE INSERT ON public_messages FOR EACH ROW
            SET NEW.topic = lower(NEW.topic)",
        )
        .unwrap();
    guard_foreign_inserts(&mut program).unwrap();
    Mariadb::pay(&TableSchema::default(), &mut program, 0).unwrap();
    let schema = TableSchema::default();
    let mut reader = Reader::on(&database, schema.clone());
    assert!(reader.read().is_empty());
    program.begin().unwrap();
    program
        .batch_execute("INSERT INTO sales VALUES (1), (2)")
        .unwrap();
    let upper = values_on("ORDERS", "OrderPlaced", 3);
    program
        .batch_execute(&format!(
            "INSERT INTO public_messages {COLUMNS} VALUES {upper}"
        ))
        .unwrap();
    Mariadb::place(&schema, &mut database.connect(), 4..5).unwrap();
    assert!(reader.read().is_empty());
    program.commit().unwrap();
    assert_eq!(reader.read(), [1, 1, 2, 2, 3, 4]);
}

/// The wait is in the database, so it ends, and it takes part in the search for deadlocks.
#[test]
fn while_all_slots_are_taken_a_program_waits() {
    let database = Mariadb::create_guarded();
    let mut program = database.connect();
    insert(&mut program, 0).unwrap();
    let mut holder = database.connect();
    holder
        .batch_execute(
            "BEGIN; SELECT * FROM message_publisher_slots WHERE topic = 'orders' FOR UPDATE",
        )
        .unwrap();
    program
        .batch_execute("SET innodb_lock_wait_timeout = 1")
        .unwrap();
    let error = insert(&mut program, 1).unwrap_err().to_string();
    assert!(error.contains("Lock wait timeout"), "{error}");
    program
        .batch_execute("SET innodb_lock_wait_timeout = 60")
        .unwrap();
    let mut watcher = database.connect();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| insert(&mut program, 2));
        let waits = "SELECT count(*) FROM information_schema.innodb_trx
            WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE 'INSERT INTO public_messages%'";
        // InnoDB computes the list again only after 100 ms without a reader.
        wait_until_every(Duration::from_millis(150), "a waiting program", || {
            number(&mut watcher, waits) > 0
        });
        holder.batch_execute("COMMIT").unwrap();
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(Reader::on(&database, guarded_schema()).read(), [0, 2]);
}

#[test]
fn first_messages_of_a_topic_by_many_programs_create_its_slots() {
    let database = Mariadb::create();
    guard_foreign_inserts(&mut database.connect()).unwrap();
    thread::scope(|scope| {
        for number in 0..8 {
            let database = &database;
            scope.spawn(move || {
                let mut program = database.connect();
                // In this level, a program does not see the slots that another one has created.
                Mariadb::begin_with(&mut program, "REPEATABLE READ");
                insert(&mut program, number).unwrap();
                if number % 3 == 0 {
                    program.rollback().unwrap();
                } else {
                    program.commit().unwrap();
                }
            });
        }
    });
    let mut seen = Reader::on(&database, guarded_schema()).read();
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 4, 5, 7]);
    let slots = "SELECT count(*) FROM message_publisher_slots WHERE topic = 'orders'";
    assert_eq!(number(&mut database.connect(), slots), 65);
}

/// The trigger runs with the rights of the user who installed it.
#[test]
fn a_user_without_rights_on_the_slots_is_guarded() {
    let database = Mariadb::create_guarded();
    let mut admin = database.connect();
    let name = database.url().rsplit_once('/').unwrap().1.to_owned();
    let user = format!("u{}", &name[name.len() - 12..]);
    admin
        .batch_execute(&format!(
            "CREATE USER {user}@'%' IDENTIFIED BY 'x'; GRANT INSERT ON {name}.public_messages TO {user}@'%'"
        ))
        .unwrap();
    let url = database.url().replacen("root@", &format!("{user}:x@"), 1);
    let mut program = MysqlConnection::establish(&url).unwrap();
    let schema = TableSchema::default();
    let mut reader = Reader::on(&database, schema.clone());
    program.begin().unwrap();
    insert(&mut program, 1).unwrap();
    Mariadb::place(&schema, &mut admin, 2..3).unwrap();
    assert!(reader.read().is_empty());
    program.commit().unwrap();
    assert_eq!(reader.read(), [1, 2]);
    admin
        .batch_execute(&format!("DROP USER {user}@'%'"))
        .unwrap();
}

#[test]
fn publishing_with_the_switch_fails_without_the_guard() {
    let database = Mariadb::create();
    let mut connection = database.connect();
    for in_transaction in [false, true] {
        for orders in [1..2, 1..4, 1..3_000] {
            if in_transaction {
                TransactionControl::begin(&mut connection).unwrap();
            }
            let error = Mariadb::place(&guarded_schema(), &mut connection, orders).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains("sql::guard_foreign_inserts"), "{error}");
            if in_transaction {
                TransactionControl::commit(&mut connection).unwrap();
            }
        }
    }
    let rows = "SELECT count(*) FROM public_messages";
    assert_eq!(number(&mut connection, rows), 0);
}

#[test]
fn a_session_that_cuts_texts_and_an_ended_transaction_are_refused() {
    let database = Mariadb::create_guarded();
    let schema = guarded_schema();
    let mut connection = database.connect();
    connection.batch_execute("SET sql_mode = ''").unwrap();
    for orders in [1..2, 1..4] {
        let error = Mariadb::place(&schema, &mut connection, orders).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("STRICT_TRANS_TABLES"), "{error}");
    }
    let mut connection = database.connect();
    TransactionControl::begin(&mut connection).unwrap();
    connection
        .batch_execute("CREATE TABLE commits_by_itself (id INT)")
        .unwrap();
    let error = Mariadb::place(&schema, &mut connection, 1..2).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("already ended"), "{error}");
    let rows = "SELECT count(*) FROM public_messages";
    assert_eq!(number(&mut database.connect(), rows), 0);
}

/// A relay persists messages of several topics together.
#[test]
fn a_batch_of_several_topics_needs_the_switch() {
    let database = Mariadb::create();
    let mut connection = database.connect();
    for order in 0..6 {
        let schema = TableSchema::default();
        Mariadb::place(&schema, &mut connection, order..order + 1).unwrap();
        Mariadb::pay(&schema, &mut connection, order).unwrap();
    }
    let messages = raw_messages(&mut connection);
    let target = Mariadb::create_guarded();
    let mut connection = target.connect();
    let error = connection
        .persist(&messages, OnDuplicate::Fail)
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("several topics"), "{error}");
    let schema = guarded_schema();
    let mut bus = schema.bind(&mut connection);
    assert_eq!(bus.persist(&messages, OnDuplicate::Ignore).unwrap(), 12);
    assert_eq!(bus.persist(&messages, OnDuplicate::Ignore).unwrap(), 0);
    let ids: Vec<String> =
        diesel::dsl::sql::<Text>("SELECT message_id FROM public_messages ORDER BY id")
            .load(&mut connection)
            .unwrap();
    let expected: Vec<_> = messages
        .iter()
        .map(|one| one.message_id.to_string())
        .collect();
    assert_eq!(ids, expected);
}

fn raw_messages(
    connection: &mut MysqlConnection,
) -> Vec<persisting_message_bus::backend::RawMessage> {
    use persisting_message_bus::Position;
    use persisting_message_bus::backend::{MessageSource, PageRequest, TypeFilter};

    let mut messages = Vec::new();
    for topic in ["orders", "payments"] {
        let request = PageRequest {
            topic,
            part: persisting_message_bus::backend::Part::Whole,
            message_types: TypeFilter::All,
            after: Position::START,
            up_to: Position::new(1_000),
            limit: 100,
        };
        connection
            .read_page(&request, &mut |message| {
                messages.push((message.position, message.to_raw()));
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
    }
    messages.sort_by_key(|(position, _)| *position);
    messages.into_iter().map(|(_, message)| message).collect()
}

#[test]
fn a_session_without_autocommit_is_committed_with_the_guard() {
    let database = Mariadb::create_guarded();
    let mut publisher = database.connect();
    publisher.batch_execute("SET autocommit = 0").unwrap();
    Mariadb::place(&guarded_schema(), &mut publisher, 1..3).unwrap();
    assert_eq!(Reader::on(&database, guarded_schema()).read(), [1, 2]);
}
