use diesel::Connection;
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{Closed, Orders};

use crate::{ignoring, place, publish_one_of_each};

/// A page of a whole topic begins with the anchor, so recognising the source costs no statement. It
/// costs one for each page of an event set, and none for an empty poll. `of_empty_poll` is the number
/// of its statements.
pub fn recognising_costs_a_statement_for_a_page_of_some_types_only<D>(of_empty_poll: usize)
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
    let recognising = |statement: &&String| {
        statement.contains("IN (") && !statement.contains("payload") && statement.contains("id")
    };
    let statements = log.statements();
    assert_eq!(
        statements.iter().filter(recognising).count(),
        0,
        "{statements:#?}"
    );

    let log = Log::default();
    log.watch(&mut bus);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
    let statements = log.statements();
    assert_eq!(statements.len(), of_empty_poll, "{statements:#?}");

    publish_one_of_each(&mut bus);
    let mut some = ignoring::<Closed>("some").page_size(1);
    let log = Log::default();
    log.watch(&mut bus);
    assert_eq!(some.handle_new_messages(&mut bus).unwrap(), 2);
    let statements = log.statements();
    // The first page has no anchor.
    assert_eq!(
        statements.iter().filter(recognising).count(),
        1,
        "{statements:#?}"
    );
    let log = Log::default();
    log.watch(&mut bus);
    assert_eq!(some.handle_page(&mut bus).unwrap(), 0);
    let statements = log.statements();
    assert_eq!(statements.len(), of_empty_poll, "{statements:#?}");
}
