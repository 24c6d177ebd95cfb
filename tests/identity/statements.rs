use diesel::Connection;
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{Closed, Orders};

use crate::{ignoring, place, publish_one_of_each};

/// Recognising the source costs one statement for each page, and none for an empty poll.
/// `of_empty_poll` is the number of its statements.
pub fn a_page_costs_one_statement_more_and_an_empty_poll_none<D>(of_empty_poll: usize)
where
    D: Database<Bus: Connection>,
{
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 1..=30);
    let mut consumer = ignoring::<Orders>("all").page_size(10);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 10);
    let log = Log::default();
    log.watch(&mut bus);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 20);
    let recognising = |statement: &&String| statement.contains("IN (") && statement.contains("id");
    let statements = log.statements();
    assert_eq!(
        statements.iter().filter(recognising).count(),
        2,
        "{statements:#?}"
    );

    let log = Log::default();
    log.watch(&mut bus);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
    let statements = log.statements();
    assert_eq!(statements.len(), of_empty_poll, "{statements:#?}");

    publish_one_of_each(&mut bus);
    let mut some = ignoring::<Closed>("some");
    assert_eq!(some.handle_new_messages(&mut bus).unwrap(), 2);
    let log = Log::default();
    log.watch(&mut bus);
    assert_eq!(some.handle_page(&mut bus).unwrap(), 0);
    let statements = log.statements();
    assert_eq!(statements.len(), of_empty_poll, "{statements:#?}");
}
