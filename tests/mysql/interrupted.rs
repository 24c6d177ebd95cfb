//! Statements that fail after the server has sent the columns and before it sends a row.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Double;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{FailedMessagesRequest, FailureState, MessageFailures};
use persisting_message_bus::{Message, MessageConsumer, Position};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::orders;

#[diesel::declare_sql_function]
extern "SQL" {
    fn sleep(seconds: Double) -> Integer;
}

/// Where the library does nothing about it, the client waits for rows without end.
#[test]
fn a_statement_that_failed_while_its_rows_were_loaded_runs_again() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    bus.batch_execute(
        "INSERT INTO message_failures (consumer, topic, position, state, attempts, error,
                first_failed_at, last_failed_at)
            VALUES ('all', 'orders', 1, 'parked', 1, 'why', now(), now());
         RENAME TABLE message_failures TO failures;
         CREATE VIEW message_failures AS
            SELECT consumer, topic, position, message_id, message_type, state,
                attempts + sleep(0.5) AS attempts, error, first_failed_at, last_failed_at
            FROM failures",
    )
    .unwrap();
    let request = FailedMessagesRequest {
        consumer: "all",
        topic: "orders",
        state: FailureState::Parked,
        slots: None,
        after: Position::START,
        limit: 10,
    };
    let (sender, receiver) = channel();
    thread::spawn(move || {
        bus.batch_execute("SET max_statement_time = 0.1").unwrap();
        let interrupted = bus.failed_messages(&request).is_err();
        bus.batch_execute("SET max_statement_time = 0").unwrap();
        let found = bus.failed_messages(&request).map(|found| found.len());
        sender.send((interrupted, found.ok())).unwrap();
    });
    let outcome = receiver.recv_timeout(Duration::from_secs(60));
    assert_eq!(outcome.expect("the client waits"), (true, Some(1)));
}

#[test]
fn a_query_of_a_handler_that_failed_while_its_rows_were_loaded_runs_again() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut attempts = 0;
        let handler =
            |bus: &mut MysqlConnection, _: &Message<Orders>| -> Result<(), HandlerError> {
                attempts += 1;
                let limit = if attempts == 1 { "0.1" } else { "0" };
                bus.batch_execute(&format!("SET max_statement_time = {limit}"))?;
                let slept = diesel::select(sleep(0.5)).get_result::<i32>(bus);
                bus.batch_execute("SET max_statement_time = 0")?;
                slept?;
                Ok(())
            };
        let mut consumer = MessageConsumer::<Orders>::transactional("all", handler);
        let first = consumer.handle_page(&mut bus).is_err();
        let mut second = 0;
        while second == 0 {
            second = consumer.handle_page(&mut bus).unwrap_or(0);
        }
        drop(consumer);
        sender.send((first, second, attempts)).unwrap();
    });
    let outcome = receiver.recv_timeout(Duration::from_secs(60));
    assert_eq!(outcome.expect("the client waits"), (true, 1, 2));
}
