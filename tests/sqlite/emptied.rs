//! A message table that is emptied, pruned or rewritten.

#[path = "../postgres/emptied/cases.rs"]
mod cases;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::MessageBus;
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};

use self::cases::{Emptied, Seen, external, prune, publish, taken};

impl Emptied for Sqlite {
    fn empty(bus: &mut SqliteConnection) {
        bus.batch_execute(
            "BEGIN IMMEDIATE; DELETE FROM public_messages;
            DELETE FROM sqlite_sequence WHERE name = 'public_messages'; COMMIT",
        )
        .unwrap();
    }
}

#[test]
fn new_messages_after_the_table_was_emptied_are_not_skipped() {
    cases::new_messages_after_the_table_was_emptied_are_not_skipped::<Sqlite>();
}

#[test]
fn a_runner_stops_when_the_table_was_emptied() {
    cases::a_runner_stops_when_the_table_was_emptied::<Sqlite>();
}

#[test]
fn a_pruned_topic_is_no_alarm() {
    cases::a_pruned_topic_is_no_alarm::<Sqlite>();
}

#[test]
fn an_idle_topic_is_no_alarm() {
    cases::continues_after::<Sqlite>(|_| ());
}

#[test]
fn a_vacuum_is_no_alarm() {
    cases::continues_after::<Sqlite>(|bus| bus.batch_execute("VACUUM").unwrap());
}

/// The copy has another file and the same messages. The cursor is in the copy, or elsewhere.
#[test]
fn a_copy_of_the_same_messages_is_no_alarm() {
    for pruned in [0, 4, 10] {
        let (database, state) = (Sqlite::create(), Sqlite::create());
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        let copy = copy.to_str().unwrap();
        let seen = Seen::default();
        let (mut here, mut elsewhere) = (external(&seen), external(&seen));
        let mut bus = database.connect();
        publish(&mut bus, 1..=10);
        here.handle_new_messages(&mut bus).unwrap();
        let mut joined = MessageBus::new(database.connect(), state.connect());
        elsewhere.handle_new_messages(&mut joined).unwrap();
        assert_eq!(taken(&seen).len(), 20);
        prune(&mut bus, pruned);
        bus.batch_execute(&format!("VACUUM INTO '{copy}'")).unwrap();

        let mut bus = connect_sqlite(copy);
        assert_eq!(here.handle_new_messages(&mut bus).unwrap(), 0);
        joined.messages = connect_sqlite(copy);
        assert_eq!(elsewhere.handle_new_messages(&mut joined).unwrap(), 0);
        publish(&mut bus, [11]);
        assert_eq!(here.handle_new_messages(&mut bus).unwrap(), 1);
        assert_eq!(elsewhere.handle_new_messages(&mut joined).unwrap(), 1);
        assert_eq!(taken(&seen), [11, 11]);
    }
}
