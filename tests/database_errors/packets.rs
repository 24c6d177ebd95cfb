//! Messages that are larger than what a server takes in one packet.

use diesel::prelude::*;
use diesel::sql_types::Text;
use persisting_message_bus::diesel::migrate;
use persisting_message_bus::{
    Coalescer, Duplicates, Error, FailedPage, GiveUp, MessageBus, MessageDispatcher,
    MessageFailures, RawMessage, Retry, Transactions, relay,
};
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::{Database, Mariadb, Server, Sqlite};
use persisting_message_bus_tests::servers::MariadbServer;
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::orders;

/// What a server takes by default.
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
    // Also in a transaction, which goes on.
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
fn a_message_just_below_the_limit_is_taken() {
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
fn nobody_asks_for_the_limit_of_what_is_small() {
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

/// A server that takes less than a statement of the library would have.
#[test]
fn a_batch_is_split_below_the_limit_of_its_server() {
    const LIMIT: usize = 3 * 512 * 1024;
    let server = MariadbServer::start_with(&["--max-allowed-packet=1572864"]);
    let mut bus = MysqlConnection::establish(&server.url()).unwrap();
    migrate(&mut bus).unwrap();
    let large = || (0..7).map(|order| with_note(order, 600_000));
    let ignoring = MessageDispatcher::<Orders>::new().with_duplicates(Duplicates::Ignore);
    orders().dispatch_batch(&mut bus, large()).unwrap();
    ignoring.dispatch_batch(&mut bus, large()).unwrap();
    bus.in_transaction(|bus| orders().dispatch_batch(bus, large()))
        .unwrap();
    // Small ones take more of a statement than their texts.
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
fn who_shares_a_commit_with_it_is_not_refused() {
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
fn a_relay_names_it_and_parks_it() {
    let (from, to) = (Sqlite::create(), Mariadb::create());
    let mut edge = from.connect();
    for order in 1..8 {
        let length = if order == 4 { LIMIT } else { 0 };
        orders()
            .dispatch(&mut edge, &with_note(order, length))
            .unwrap();
    }
    let retry = Retry::default()
        .base(std::time::Duration::ZERO)
        .attempts(2)
        .then(GiveUp::Park);
    let mut relay = relay::<Orders, MysqlConnection>("to centre").retry(retry);
    let mut both = MessageBus::new(edge, to.connect());
    let error = relay.handle_new_messages(&mut both).unwrap_err();
    assert!(error.is_handler_failure(), "{error:?}");
    assert_eq!(error.position().map(|position| position.get()), Some(4));
    let text = format!("{error:#}");
    assert!(
        text.contains("max_allowed_packet") && text.contains("message id"),
        "{text}"
    );
    while relay.handle_new_messages(&mut both).unwrap() > 0 {}
    let mut centre = to.connect();
    let parked = centre
        .failed_messages(&FailedPage::of_parked("to centre", "orders"))
        .unwrap();
    let positions: Vec<_> = parked.iter().map(|failed| failed.position.get()).collect();
    assert_eq!(positions, [4]);
    assert_eq!(consume(&mut centre), [1, 2, 3, 5, 6, 7]);
}

/// What other databases do not take is told likewise.
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
fn an_error_of_ones_own_repository_can_say_so() {
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

/// Such as that of a handler, which the server answers in its language.
#[test]
fn what_is_too_large_is_known_in_any_statement() {
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
