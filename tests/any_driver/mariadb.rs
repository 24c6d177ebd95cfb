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
