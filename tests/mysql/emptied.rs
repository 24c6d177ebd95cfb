//! A message table that is emptied, pruned or rewritten.

#[path = "../postgres/emptied/cases.rs"]
mod cases;
#[path = "../postgres/emptied/in_flight.rs"]
mod in_flight;

use std::process::{Command, Stdio};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::MessageBus;
use persisting_message_bus_tests::databases::{Database, Mariadb, Server, Sqlite};

use self::cases::{Emptied, Seen, external, prune, publish, taken};

impl Emptied for Mariadb {
    fn empty(bus: &mut MysqlConnection) {
        bus.batch_execute("TRUNCATE public_messages").unwrap();
    }
}

#[test]
fn new_messages_after_the_table_was_emptied_are_not_skipped() {
    cases::new_messages_after_the_table_was_emptied_are_not_skipped::<Mariadb>();
}

#[test]
fn a_runner_stops_when_the_table_was_emptied() {
    cases::a_runner_stops_when_the_table_was_emptied::<Mariadb>();
}

#[test]
fn a_consumer_that_was_reset_after_a_publisher_began_waits_for_it() {
    in_flight::a_consumer_that_was_reset_after_a_publisher_began_waits_for_it::<Mariadb>();
}

#[test]
fn a_consumer_that_was_reset_before_a_publisher_began_waits_for_it() {
    in_flight::a_consumer_that_was_reset_before_a_publisher_began_waits_for_it::<Mariadb>();
}

#[test]
fn a_consumer_that_was_reset_elsewhere_waits_for_publishers() {
    in_flight::a_consumer_that_was_reset_elsewhere_waits_for_publishers::<Mariadb>();
}

#[test]
fn a_consumer_notices_new_messages_after_a_publisher_in_flight() {
    in_flight::a_consumer_notices_new_messages_after_a_publisher_in_flight::<Mariadb>();
}

#[test]
fn a_pruned_topic_is_no_alarm() {
    cases::a_pruned_topic_is_no_alarm::<Mariadb>();
}

#[test]
fn an_idle_topic_is_no_alarm() {
    cases::continues_after::<Mariadb>(|_| ());
}

#[test]
fn a_rewritten_table_is_no_alarm() {
    cases::continues_after::<Mariadb>(|bus| {
        bus.batch_execute("ALTER TABLE public_messages FORCE")
            .unwrap();
    });
}

/// Returns a command that runs one of MariaDB's programs on the database.
fn command(program: &str, database: &Mariadb) -> Command {
    let url = database.url();
    let (address, name) = url.rsplit_once('/').unwrap();
    let (_, port) = address.rsplit_once(':').unwrap();
    let mut command = Command::new(program);
    command
        .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1"])
        .args(["--user=root", &format!("--port={port}"), name]);
    command
}

/// Dumps the database, and restores the dump in its place.
fn restore(database: &Mariadb) {
    let dump = command("mariadb-dump", database).output().unwrap();
    assert!(dump.status.success(), "{dump:?}");
    database
        .connect()
        .batch_execute("DROP TABLE public_messages")
        .unwrap();
    let mut restore = command("mariadb", database)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut restore.stdin.take().unwrap(), &dump.stdout).unwrap();
    assert!(restore.wait().unwrap().success());
}

#[test]
fn a_restored_dump_of_the_same_messages_is_no_alarm() {
    for pruned in [0, 4, 10] {
        let (database, state) = (Mariadb::create(), Sqlite::create());
        let seen = Seen::default();
        let mut consumer = external(&seen);
        let mut bus = MessageBus::new(database.connect(), state.connect());
        publish(&mut bus.messages, 1..=10);
        consumer.handle_new_messages(&mut bus).unwrap();
        prune(&mut bus.messages, pruned);
        restore(&database);
        taken(&seen);
        let new = MessageBus::new(database.connect(), state.connect());
        for (mut bus, order) in [(bus, 11), (new, 12)] {
            assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
            publish(&mut bus.messages, [order]);
            consumer.handle_new_messages(&mut bus).unwrap();
            assert_eq!(taken(&seen), [order]);
        }
    }
}
