//! Wrong arguments.

use persisting_message_bus::backend::Slot;
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus::{Headers, MessageDispatcher};
use persisting_message_bus_tests::hostile;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use uuid::Uuid;

use crate::beside::{Beside, arguments_of, dispatch, with_topic};
use crate::reader::Reader;

const COUNT: &str = "SELECT concat(count(*), '') FROM public_messages";

/// Headers that serde_json cannot read, and that SQL cannot tell from others.
const UNNOTICED: &str = r#"{"a":1e400}"#;

/// The values of the ten arguments, as SQL.
#[derive(Clone)]
struct Arguments([String; 10]);

impl Arguments {
    const NAMES: [&str; 10] = [
        "topic",
        "message_type",
        "version",
        "payload",
        "headers",
        "message_id",
        "recorded_at",
        "correlation_id",
        "causation_id",
        "key",
    ];

    fn right() -> Self {
        let values = ["'orders'", "'OrderShipped'", "1", "'{\"order\":1}'"];
        let mut arguments = [(); 10].map(|()| "NULL".to_owned());
        for (argument, value) in arguments.iter_mut().zip(values) {
            value.clone_into(argument);
        }
        Self(arguments)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        let index = Self::NAMES.iter().position(|it| *it == name).unwrap();
        value.clone_into(&mut self.0[index]);
        self
    }
}

pub fn a_wrong_argument_is_named<D: Beside>() {
    let database = with_topic::<D>();
    let mut client = database.sqlx();
    let call = |arguments: Arguments| D::call(&arguments.0.join(", "));
    let long = format!("'{}'", "\u{1f980}".repeat(256));
    let mut wrong = Vec::new();
    for name in ["topic", "message_type", "correlation_id", "key"] {
        for (value, problem) in [
            (&*long, "has more than 255 characters"),
            ("'a\nb'", "contains a control character"),
            ("'a\u{85}b'", "contains a control character"),
            (
                "'a\u{200b}b'",
                "contains a control character or an invisible one",
            ),
            ("'a\u{fdd0}b'", "contains a noncharacter"),
            ("'a\u{10ffff}b'", "contains a noncharacter"),
            ("' a'", "starts or ends with white space"),
            ("'a\u{3000}'", "starts or ends with white space"),
        ] {
            wrong.push((name, value, problem));
        }
    }
    for name in ["topic", "message_type"] {
        wrong.extend([(name, "NULL", "is NULL"), (name, "''", "is empty")]);
    }
    wrong.extend([
        ("key", "''", "is empty"),
        ("version", "NULL", "is not from 1 to 2147483647"),
        ("version", "0", "is not from 1 to 2147483647"),
        ("version", "2147483648", "is not from 1 to 2147483647"),
        ("payload", "NULL", "is NULL"),
        ("payload", "''", "is not JSON"),
        ("payload", "'{\"order\":1'", "is not JSON"),
        ("headers", "'{'", "is not JSON"),
        ("headers", "'[]'", "is not a JSON object"),
        ("headers", "'null'", "is not a JSON object"),
        (
            "headers",
            "'{\"__tenant\":1}'",
            "headers begins with \"__\"",
        ),
        ("headers", "'{\"\":1}'", "headers is empty"),
        ("headers", "'{\"a\":1,\"b \":1}'", "headers starts or ends"),
    ]);
    wrong.extend_from_slice(D::WRONG);
    for (name, value, problem) in wrong {
        let error = client.execute(&call(Arguments::right().with(name, value)));
        let error = error.expect_err(value);
        let is_named = error.contains(problem) && error.contains(name);
        assert!(is_named, "{name} = {value}: {error}");
    }
    assert_eq!(D::texts(&mut database.connect(), COUNT), ["0"]);
    client.execute(&call(Arguments::right())).unwrap();
    assert_eq!(Reader::new(database.connect()).read(), [1]);
}

pub fn the_function_refuses_the_messages_that_the_library_refuses<D: Beside>() {
    let database = with_topic::<D>();
    let mut client = database.sqlx();
    for (message, problem) in hostile::refused() {
        // The function computes the slot.
        let has_slot = message.key_slot != Slot::NONE || message.headers.contains("__message_key");
        // An empty correlation id starts a flow.
        let is_without_flow = message.correlation_id.as_deref() == Some("");
        let call = D::call(&arguments_of::<D>(&message));
        let refused = client.execute(&call).is_err();
        let is_unnoticed = message.headers == UNNOTICED;
        if !refused && !is_without_flow && !is_unnoticed && !has_slot {
            panic!("accepted, although {problem}: {message:?}");
        }
    }
}

pub fn a_duplicate_is_an_error<D: Beside>() {
    let database = with_topic::<D>();
    let id = Uuid::now_v7();
    let statement = MessageDispatcher::<Orders>::new().statement_with(
        D::KIND,
        &TableSchema::default(),
        &OrderPlaced::number(1),
        Headers::new().with_message_id(id),
    );
    let statement = statement.unwrap();
    let mut client = database.sqlx();
    client.run(&statement).unwrap();
    let error = client.run(&statement).unwrap_err();
    assert!(
        error.contains(&id.to_string()) && error.contains("message_id"),
        "{error}"
    );
    // It holds nothing back.
    dispatch(&mut database.connect(), 2);
    assert_eq!(Reader::new(database.connect()).read(), [1, 2]);
}

/// A savepoint ends the failure on PostgreSQL.
pub fn a_failure_leaves_the_transaction_of_the_caller_as_it_was<D: Beside>() {
    let database = with_topic::<D>();
    for mut client in database.clients() {
        let mut reader = Reader::new(database.connect());
        let failing = D::call("'', 'OrderPlaced', 1, '{}', NULL, NULL, NULL, NULL, NULL, NULL");
        client.execute("BEGIN").unwrap();
        client.publish(1).unwrap();
        client.execute("SAVEPOINT before_failure").unwrap();
        let error = client.execute(&failing).unwrap_err();
        assert!(
            error.contains("topic is empty"),
            "{}: {error}",
            client.name()
        );
        client
            .execute("ROLLBACK TO SAVEPOINT before_failure")
            .unwrap();
        dispatch(&mut database.connect(), 2);
        assert!(reader.read().is_empty(), "{}", client.name());
        client.execute("ROLLBACK").unwrap();
        assert_eq!(reader.read(), [2], "{}", client.name());
        // Outside of a transaction, nothing is left open.
        client.execute(&failing).unwrap_err();
        client.publish(3).unwrap();
        assert_eq!(reader.read(), [3], "{}", client.name());
    }
}
