//! What only MariaDB and MySQL have: procedures that ignore case, with rights of their own.

use diesel::connection::SimpleConnection;
use persisting_message_bus::sql::{TableSchema, mysql, publish_name};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use uuid::Uuid;

use crate::beside::Beside;

/// The server drops the rights on a procedure together with it.
#[test]
fn a_caller_keeps_its_right_when_the_procedure_is_created_again() {
    let database = Mariadb::create();
    let mut connection = database.connect();
    let user = format!("u{}", &Uuid::now_v7().simple().to_string()[12..]);
    let grant = format!(
        "CREATE USER {user} IDENTIFIED BY 'secret';
        GRANT EXECUTE ON PROCEDURE message_bus_publish TO {user}"
    );
    connection.batch_execute(&grant).unwrap();
    for statement in mysql::publish_statements(&TableSchema::default()) {
        connection.batch_execute(&statement).unwrap();
    }
    let grants = "SELECT user FROM mysql.procs_priv WHERE db = database()";
    let grants = Mariadb::texts(&mut connection, grants);
    let drop = format!("DROP USER {user}");
    connection.batch_execute(&drop).unwrap();
    assert_eq!(grants, [user]);
}

/// Such a session would store version 1 and the time 0.
#[test]
fn a_session_that_is_not_strict_stores_no_converted_values() {
    let database = Mariadb::create();
    let mut client = database.sqlx();
    client.execute("SET sql_mode = ''").unwrap();
    for (version, time) in [
        ("'1x'", "NULL"),
        ("1.5", "NULL"),
        ("1", "'x'"),
        ("1", "'2026-02-30'"),
    ] {
        let arguments =
            format!("'orders', 'K', {version}, '{{}}', NULL, NULL, {time}, NULL, NULL, NULL");
        let error = client.execute(&Mariadb::call(&arguments)).unwrap_err();
        assert!(error.contains("is not"), "{version}, {time}: {error}");
    }
}

#[test]
fn a_time_can_end_with_z_and_is_cut_to_microseconds() {
    let database = Mariadb::create();
    let mut client = database.sqlx();
    for time in ["2026-03-01 12:00:00.1234569", "2026-03-01T12:00:00.123456Z"] {
        let arguments = format!("'orders', 'K', 1, '{{}}', NULL, NULL, '{time}', NULL, NULL, NULL");
        client.execute(&Mariadb::call(&arguments)).unwrap();
    }
    let times = "SELECT concat(published_at) FROM public_messages";
    assert_eq!(
        Mariadb::texts(&mut database.connect(), times),
        ["2026-03-01 12:00:00.123456"; 2]
    );
}

#[test]
fn tables_whose_names_differ_in_case_have_procedures_of_their_own() {
    let names = ["events", "Events", "EVENTS", "\u{e9}vents", "\u{c9}vents"].map(|table| {
        let mut schema = TableSchema::default();
        schema.messages.table = table.into();
        publish_name(&schema)
    });
    assert_eq!(names[0], "message_bus_publish_events");
    for (index, name) in names.iter().enumerate() {
        assert_eq!(*name, name.to_ascii_lowercase());
        assert!(!names[index + 1..].contains(name), "{names:?}");
    }
}
