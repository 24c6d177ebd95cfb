//! Records the statements that a connection runs, and those that it prepares.

use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use diesel::Connection;
use diesel::connection::{Instrumentation, InstrumentationEvent};
use persisting_message_bus::sql::StatementWatch;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher};

use crate::databases::Database;
use crate::topics::{Closed, OrderPlaced, Orders};

/// An observed event of a statement.
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
        // At the end of a test, the receiver may be gone.
        let _unseen = self.0.send(seen);
    }
}

/// The statements that connections have run, in order.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Records the statements that the connection runs from now on.
    pub fn watch(&self, connection: &mut impl Connection) {
        connection.set_instrumentation(self.clone());
    }

    /// Returns the statements so far.
    pub fn statements(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Instrumentation for Log {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            self.0.lock().unwrap().push(statement(&text).to_owned());
        }
    }
}

/// Checks that a connection prepares each statement once, and none when the same work is repeated.
pub fn assert_prepared_once<D>()
where
    D: Database<Bus: Connection>,
{
    let database = D::create();
    let mut connection = database.connect();
    let (sender, seen) = channel();
    // The library can watch the statements, as on a connection without an instrumentation.
    connection.set_instrumentation(StatementWatch::around(Observer(sender)));
    publish_and_consume::<D>(&mut connection);
    let first: Vec<_> = seen.try_iter().collect();
    publish_and_consume::<D>(&mut connection);
    let second: Vec<_> = seen.try_iter().collect();

    let mut kept = BTreeSet::new();
    for seen in &first {
        if let Seen::Kept(text) = seen {
            assert!(kept.insert(text.trim()), "prepared twice: {text}");
        }
    }
    for seen in first.iter().chain(&second) {
        if let Seen::Run(text) = seen {
            let is_kept = kept.contains(statement(text));
            assert!(is_kept || is_of_session(text), "not kept: {text}");
        }
    }
    assert!(kept.len() > 5);
    assert!(
        second.iter().all(|seen| matches!(seen, Seen::Run(_))),
        "{second:?}"
    );
}

fn publish_and_consume<D: Database>(connection: &mut D::Bus) {
    let orders = MessageDispatcher::<Orders>::new();
    for size in [1, 2, 7, 100, 1_000, 1_023] {
        let batch = (0..size).map(OrderPlaced::number);
        orders.dispatch_batch(connection, batch).expect("a batch");
    }
    let mut external =
        MessageConsumer::<Closed>::external("external", |_: &Message<Closed>| Ok(()));
    external.handle_page(connection).expect("a page");
    let mut transactional = MessageConsumer::<Orders>::transactional(
        "transactional",
        |_: &mut D::Bus, _: &Message<Orders>| Ok(()),
    );
    while transactional.handle_page(connection).expect("a page") > 0 {}
}

fn statement(text: &str) -> &str {
    let (text, _binds) = text.split_once(" -- binds").unwrap_or((text, ""));
    text.trim()
}

/// Statements that are not prepared once: those of transactions, those that set variables, and the
/// busy timeout, because a prepared statement would return its former value.
fn is_of_session(text: &str) -> bool {
    [
        "BEGIN",
        "COMMIT",
        "SAVEPOINT",
        "RELEASE",
        "SET @",
        "PRAGMA busy_timeout",
    ]
    .iter()
    .any(|start| text.trim().starts_with(start))
}
