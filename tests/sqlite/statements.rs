//! Statements are prepared once.

use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::prelude::*;
use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, Orders};

use super::{ignore, orders};

/// What a connection runs, and what it keeps prepared.
#[derive(Debug)]
enum Seen {
    Run(String),
    Kept(String),
}

struct Observer(Sender<Seen>);

impl Instrumentation for Observer {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let seen = match event {
            InstrumentationEvent::StartQuery { query, .. } => Seen::Run(query.to_string()),
            InstrumentationEvent::CacheQuery { sql, .. } => Seen::Kept(sql.to_owned()),
            _ => return,
        };
        self.0.send(seen).expect("somebody who looks");
    }
}

#[test]
fn every_statement_is_prepared_once() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    let work = |connection: &mut SqliteConnection| {
        for size in [1, 2, 7, 100, 1_000, 1_023] {
            let batch = (0..size).map(OrderPlaced::number);
            orders().dispatch_batch(connection, batch).unwrap();
        }
        let mut external = MessageConsumer::<Closed>::external("external", ignore);
        external.handle_new_messages(connection).unwrap();
        let mut transactional = MessageConsumer::<Orders>::transactional(
            "transactional",
            |_: &mut SqliteConnection, message: &Message<Orders>| ignore(message),
        );
        while transactional.handle_new_messages(connection).unwrap() > 0 {}
    };
    let (sender, seen) = channel();
    connection.set_instrumentation(Observer(sender));
    work(&mut connection);
    let first: Vec<Seen> = seen.try_iter().collect();
    work(&mut connection);
    let second: Vec<Seen> = seen.try_iter().collect();

    let mut kept = BTreeSet::new();
    for seen in &first {
        if let Seen::Kept(text) = seen {
            assert!(kept.insert(text.trim()), "prepared twice: {text}");
        }
    }
    for seen in first.iter().chain(&second) {
        if let Seen::Run(text) = seen {
            let (text, _binds) = text.split_once(" -- binds").unwrap_or((text, ""));
            let of_transactions = ["BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"];
            let text = text.trim();
            let transaction = of_transactions.iter().any(|start| text.starts_with(start));
            assert!(transaction || kept.contains(text), "not kept: {text}");
        }
    }
    assert!(kept.len() > 10);
    assert!(
        second.iter().all(|seen| matches!(seen, Seen::Run(_))),
        "{second:?}"
    );
}
