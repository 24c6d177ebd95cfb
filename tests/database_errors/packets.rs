//! Messages that are larger than the packet limit of a server.

use diesel::prelude::*;
use diesel::sql_types::Text;
use persisting_message_bus::backend::{RawMessage, TransactionControl};
use persisting_message_bus::operate::{ConsumerKey, FailedMessagesRequest, MessageFailures};
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{
    Coalescer, Error, FailurePolicy, MessageBus, MessageDispatcher, OnDuplicate, RetryPolicy, relay,
};
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::{Database, Mariadb, Server, Sqlite};
use persisting_message_bus_tests::servers::MariadbServer;
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::orders;

/// The default packet limit of a server, in bytes.
const LIMIT: usize = 16 * 1024 * 1024;

fn with_note(order: u64, length: usize) -> OrderPlaced {
    OrderPlaced {
        order,
        note: "x".repeat(length),
    }
}

fn names_all(error: &Error, limit: usize) {
    assert!(error.is_too_large(), "{error:?}");
    assert!(
        !error.is_retryable() && !error.is_disconnected(),
        "{error:?}"
    );
    let text = error.to_string();
    let limit = limit.to_string();
    for part in [
        "OrderPlaced",
        "topic \"orders\"",
        "message id",
        " bytes)",
        "max_allowed_packet",
        &limit,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_message_above_the_limit_is_refused_and_the_connection_stays() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    names_all(
        &orders()
            .dispatch(&mut bus, &with_note(1, LIMIT))
            .unwrap_err(),
        LIMIT,
    );
    // The same applies in a transaction, which continues.
    bus.in_transaction(|bus| {
        orders().dispatch(bus, &OrderPlaced::number(2))?;
        names_all(
            &orders().dispatch(bus, &with_note(3, LIMIT)).unwrap_err(),
            LIMIT,
        );
        orders().dispatch(bus, &OrderPlaced::number(4)).map(drop)
    })
    .unwrap();
    let batch = (5..8).map(|order| with_note(order, if order == 6 { LIMIT } else { 0 }));
    names_all(
        &orders().dispatch_batch(&mut bus, batch).unwrap_err(),
        LIMIT,
    );
    assert_eq!(consume(&mut bus), [2, 4]);
}

#[test]
fn a_message_just_below_the_limit_is_accepted() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &with_note(1, LIMIT - 4_096))
        .unwrap();
    bus.in_transaction(|bus| orders().dispatch(bus, &with_note(2, LIMIT - 4_096)))
        .unwrap();
    assert_eq!(consume(&mut bus), [1, 2]);
}

#[test]
fn the_limit_is_queried_for_large_messages_only() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    let log = Log::default();
    log.watch(&mut bus);
    orders()
        .dispatch(&mut bus, &with_note(1, 1_000_000))
        .unwrap();
    orders()
        .dispatch(&mut bus, &with_note(2, 1_100_000))
        .unwrap();
    let asked = log.statements();
    let asked = asked
        .iter()
        .filter(|sql| sql.contains("max_allowed_packet"));
    assert_eq!(asked.count(), 1);
}

/// The limit of this server is below the usual size of the library's statements.
#[test]
fn a_batch_is_split_below_the_limit_of_its_server() {
    const LIMIT: usize = 3 * 512 * 1024;
    let server = MariadbServer::start_with(&["--max-allowed-packet=1572864"]);
    let mut bus = MysqlConnection::establish(&server.url()).unwrap();
    migrate(&mut bus).unwrap();
    let large = || (0..7).map(|order| with_note(order, 600_000));
    let ignoring = MessageDispatcher::<Orders>::new().on_duplicate(OnDuplicate::Ignore);
    orders().dispatch_batch(&mut bus, large()).unwrap();
    ignoring.dispatch_batch(&mut bus, large()).unwrap();
    bus.in_transaction(|bus| orders().dispatch_batch(bus, large()))
        .unwrap();
    // A small message takes more bytes of a statement than its text has.
    let small = (0..5_000).map(|order| with_note(order, 200));
    orders().dispatch_batch(&mut bus, small).unwrap();
    assert_eq!(consume(&mut bus).len(), 7 * 3 + 5_000);
    names_all(
        &orders()
            .dispatch(&mut bus, &with_note(1, LIMIT))
            .unwrap_err(),
        LIMIT,
    );
}

#[test]
fn messages_sharing_a_commit_with_an_oversized_one_are_not_refused() {
    let database = Mariadb::create();
    let url = database.url();
    let coalescer = Coalescer::new(move || MysqlConnection::establish(&url));
    let coalescing = MessageDispatcher::<Orders>::new().coalescing(&coalescer);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| coalescing.dispatch(&with_note(1, LIMIT)));
        let others: Vec<_> = (2..20)
            .map(|order| {
                let coalescing = &coalescing;
                scope.spawn(move || coalescing.dispatch(&OrderPlaced::number(order)))
            })
            .collect();
        names_all(&one.join().unwrap().unwrap_err(), LIMIT);
        for other in others {
            other.join().unwrap().unwrap();
        }
    });
    assert_eq!(consume(&mut database.connect()).len(), 18);
}

#[test]
fn a_relay_names_and_parks_an_oversized_message() {
    let (from, to) = (Sqlite::create(), Mariadb::create());
    let mut edge = from.connect();
    for order in 1..8 {
        let length = if order == 4 { LIMIT } else { 0 };
        orders()
            .dispatch(&mut edge, &with_note(order, length))
            .unwrap();
    }
    let retry = RetryPolicy::default()
        .initial_delay(std::time::Duration::ZERO)
        .max_attempts(2)
        .on_exhausted(FailurePolicy::Park);
    let mut relay = relay::<Orders, MysqlConnection>("to centre").retry(retry);
    let mut both = MessageBus::new(edge, to.connect());
    let error = relay.handle_page(&mut both).unwrap_err();
    assert!(error.is_handler_failure(), "{error:?}");
    assert_eq!(error.position().map(|position| position.get()), Some(4));
    let text = format!("{error:#}");
    assert!(
        text.contains("max_allowed_packet") && text.contains("message id"),
        "{text}"
    );
    while relay.handle_page(&mut both).unwrap() > 0 {}
    let mut centre = to.connect();
    let parked = centre
        .failed_messages(&FailedMessagesRequest::of_parked(ConsumerKey {
            consumer: "to centre",
            topic: "orders",
        }))
        .unwrap();
    let positions: Vec<_> = parked.iter().map(|failed| failed.position.get()).collect();
    assert_eq!(positions, [4]);
    assert_eq!(consume(&mut centre), [1, 2, 3, 5, 6, 7]);
}

/// Oversized messages are reported in the same way when the column is the limit.
#[test]
fn a_message_that_is_too_large_for_its_column_is_named() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    diesel::sql_query("ALTER TABLE public_messages MODIFY payload VARCHAR(100)")
        .execute(&mut bus)
        .unwrap();
    let error = orders().dispatch(&mut bus, &with_note(1, 200)).unwrap_err();
    assert!(error.is_too_large() && !error.is_retryable(), "{error:?}");
    let text = format!("{error:#}");
    for part in ["OrderPlaced", "message id", "'payload'"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_custom_repository_can_report_too_large() {
    struct Narrow;
    impl Narrow {
        fn persist(&mut self, message: &RawMessage) -> Result<(), Error> {
            Err(Error::too_large(
                message,
                "the broker takes 1 MiB; raise max_payload",
                None,
            ))
        }
    }
    let mut bus = persisting_message_bus::memory::InMemoryMessageBus::default();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let message = &bus.messages.messages()[0];
    let error = Narrow.persist(message).unwrap_err();
    assert!(error.is_too_large(), "{error:?}");
    assert!(error.to_string().contains("max_payload"), "{error}");
}

/// The server may answer a handler's statement in any language.
#[test]
fn oversized_values_are_recognised_in_any_statement() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    for language in ["en_US", "de_DE", "fr_FR", "ja_JP"] {
        diesel::sql_query(format!("SET lc_messages = '{language}'"))
            .execute(&mut bus)
            .unwrap();
        let insert = diesel::sql_query(
            "INSERT INTO message_inbox (consumer, source, message_id, received_at)
            VALUES (?, 'a', 'b', now())",
        );
        let cause = insert
            .bind::<Text, _>("x".repeat(10_000))
            .execute(&mut bus)
            .unwrap_err();
        let error = Error::from(cause);
        assert!(error.is_too_large() && !error.is_retryable(), "{error:?}");
    }
}
