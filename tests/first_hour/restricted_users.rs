//! `migrate` succeeds for users that can only read, if all tables exist.

use diesel::connection::SimpleConnection;
use diesel::{Connection, MysqlConnection, PgConnection, SqliteConnection};
use persisting_message_bus::operate::{ConsumerKey, MessageFailures};
use persisting_message_bus::sql::migrate;
use persisting_message_bus_tests::databases::{
    Database, Mariadb, Postgres, Server, Sqlite, become_role,
};
use persisting_message_bus_tests::servers::mariadb_url;
use uuid::Uuid;

use super::assert_says;
use super::databases::Tables;

/// A role of PostgreSQL with no rights but USAGE on the schema. It is dropped with the test's
/// transaction.
fn as_poor_role(bus: &mut PgConnection) {
    bus.begin_test_transaction().unwrap();
    become_role(bus, |_| String::new());
}

#[test]
fn a_role_of_postgres_without_rights_migrates_nothing() {
    let database = Postgres::create();
    let mut bus = database.connect();
    as_poor_role(&mut bus);
    migrate(&mut bus).unwrap();
}

#[test]
fn a_role_of_postgres_that_cannot_create_tables_is_named() {
    let (_database, mut bus) = Postgres::without_tables();
    as_poor_role(&mut bus);
    let error = migrate(&mut bus).unwrap_err();
    let parts = [
        "the table \"public_messages\" does not exist",
        "role \"role_",
        "as a user that can create tables",
        "permission denied",
    ];
    assert_says(&error, &parts);
}

#[test]
fn a_read_only_transaction_of_postgres_migrates_nothing() {
    let database = Postgres::create();
    let mut bus = database.connect();
    bus.build_transaction().read_only().run(migrate).unwrap();
    bus.batch_execute("SET default_transaction_read_only = on")
        .unwrap();
    migrate(&mut bus).unwrap();
}

/// Calls `check` with the connection of a user of MariaDB who has only some rights on these tables.
fn as_poor_user<R>(
    database: &Mariadb,
    rights: &str,
    tables: &[&str],
    check: impl FnOnce(&mut MysqlConnection) -> R,
) -> R {
    let user = format!("u{}", &Uuid::now_v7().simple().to_string()[12..]);
    let name = database.url().rsplit_once('/').unwrap().1.to_owned();
    let mut root = database.connect();
    root.batch_execute(&format!("CREATE USER {user} IDENTIFIED BY 'secret'"))
        .unwrap();
    for table in tables {
        root.batch_execute(&format!("GRANT {rights} ON {name}.{table} TO {user}"))
            .unwrap();
    }
    let server = mariadb_url();
    let (_, host) = server.rsplit_once('@').unwrap();
    let (host, _) = host.split_once('/').unwrap();
    let connected = MysqlConnection::establish(&format!("mysql://{user}:secret@{host}/{name}"));
    let checked = connected.map(|mut poor| check(&mut poor));
    root.batch_execute(&format!("DROP USER {user}")).unwrap();
    checked.unwrap()
}

#[test]
fn a_user_of_mariadb_that_can_only_read_migrates_nothing() {
    let database = Mariadb::create();
    let mut root = database.connect();
    let refused = as_poor_user(&database, "SELECT", &["*"], |poor| {
        migrate(poor)?;
        root.batch_execute("DROP TABLE message_inbox")?;
        migrate(poor)
    });
    let parts = [
        "the table \"message_inbox\" does not exist in the database \"bus_",
        "as a user that can create tables",
    ];
    assert_says(&refused.unwrap_err(), &parts);
}

/// The server commits each statement that creates something, so the first one must fail.
#[test]
fn a_user_of_mariadb_without_routine_rights_migrates_nothing_twice() {
    let (database, mut root) = Mariadb::without_tables();
    let rights = "CREATE, ALTER, INDEX, DROP, SELECT, INSERT, UPDATE, DELETE";
    as_poor_user(&database, rights, &["*"], |poor| {
        poor.batch_execute("SET sql_mode = 'ANSI_QUOTES'").unwrap();
        for _ in 0..2 {
            let error = migrate(poor).unwrap_err();
            assert_says(
                &error,
                &[
                    "\"public_messages\" does not exist",
                    "Access denied",
                    "procedures",
                ],
            );
        }
        poor.batch_execute("CREATE TABLE \"in the same mode\" (id int)")
            .unwrap();
    });
    migrate(&mut root).unwrap();
}

/// The server hides tables on which a user has no right.
#[test]
fn a_table_of_mariadb_that_is_hidden_is_named_so() {
    let database = Mariadb::create();
    let tables = ["public_messages", "message_publisher_slots"];
    let [migrated, counted] = as_poor_user(&database, "SELECT", &tables, |poor| {
        let counted = poor.count_parked(ConsumerKey {
            consumer: "mailer",
            topic: "orders",
        });
        [migrate(poor).unwrap_err(), counted.unwrap_err()]
    });
    for error in [migrated, counted] {
        let parts = ["\"message_failures\"", "or the user has no right to it"];
        assert_says(&error, &parts);
    }
}

#[test]
fn a_file_of_sqlite_that_cannot_be_written_migrates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.db");
    let path = path.to_str().unwrap();
    migrate(&mut SqliteConnection::establish(path).unwrap()).unwrap();
    let address = format!("file:{path}?mode=ro");
    migrate(&mut SqliteConnection::establish(&address).unwrap()).unwrap();

    let empty = folder.path().join("empty.db");
    let empty = empty.to_str().unwrap();
    let mut writer = SqliteConnection::establish(empty).unwrap();
    writer.batch_execute("CREATE TABLE other (id)").unwrap();
    let mut reader = SqliteConnection::establish(&format!("file:{empty}?mode=ro")).unwrap();
    let error = migrate(&mut reader).unwrap_err();
    let parts = [
        "does not exist in the file ",
        "on a server that can be written",
    ];
    assert_says(&error, &parts);
}

#[test]
fn a_transaction_of_sqlite_or_mariadb_migrates_nothing() {
    let (sqlite, mariadb) = (Sqlite::create(), Mariadb::create());
    let mut bus = sqlite.connect();
    bus.batch_execute("PRAGMA query_only = ON").unwrap();
    bus.transaction(migrate).unwrap();
    let mut bus = mariadb.connect();
    bus.batch_execute("SET SESSION TRANSACTION READ ONLY")
        .unwrap();
    bus.transaction(migrate).unwrap();
}
