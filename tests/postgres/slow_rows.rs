//! Rows that take long to read: what one statement cannot pass over before it is ended, shorter ones
//! can.

use std::ops::ControlFlow;

use diesel::connection::SimpleConnection;
use persisting_message_bus::Position;
use persisting_message_bus::backend::{MessageSource, PageRequest, TypeFilter};
use persisting_message_bus_tests::databases::{Database, Postgres, become_publisher, drop_role};
use persisting_message_bus_tests::topics::OrderPlaced;

use super::orders;

const ROWS: u32 = 1_500;

/// Each row takes a millisecond or more.
const SLOW: &str = "CREATE POLICY slow ON public_messages USING (pg_sleep(0.001) IS NOT NULL)";

/// Reads messages of a type with statements that are ended after a second. Returns their positions
/// and the end of the page.
fn read(message_type: &str) -> (Vec<i64>, Position) {
    let database = Postgres::create();
    let mut bus = database.connect();
    orders()
        .dispatch_batch(&mut bus, (1..=u64::from(ROWS)).map(OrderPlaced::number))
        .unwrap();
    let last = bus.last_position().unwrap();
    let role = become_publisher(&mut bus, SLOW);
    bus.batch_execute("SET statement_timeout = '1s'").unwrap();
    let request = PageRequest {
        topic: "orders",
        part: persisting_message_bus::backend::Part::Whole,
        message_types: TypeFilter::Only(&[message_type]),
        after: Position::START,
        up_to: last,
        limit: 5_000,
    };
    let mut read = Vec::new();
    let end = bus.read_page(&request, &mut |stored| {
        read.push(stored.position.get());
        ControlFlow::Continue(())
    });
    bus.batch_execute("RESET statement_timeout").unwrap();
    drop_role(&mut bus, &role);
    (read, end.unwrap().position)
}

#[test]
fn a_shorter_stretch_is_passed_over_when_a_long_one_takes_too_long() {
    let (read, end) = read("OrderShipped");
    assert!(read.is_empty());
    assert!(
        Position::START < end && end.get() < i64::from(ROWS),
        "{end}"
    );
}

#[test]
fn a_page_goes_on_after_the_messages_that_were_read_in_time() {
    let (read, end) = read("OrderPlaced");
    let expected: Vec<_> = (1..=end.get()).collect();
    assert!(!read.is_empty());
    assert_eq!(read, expected);
}
