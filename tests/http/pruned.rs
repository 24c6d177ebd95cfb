//! Messages that were deleted after a reader had seen them.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::{MessageSource, PageRequest, TypeFilter};
use persisting_message_bus::operate::{
    ConsumerKey, FailedMessage, FailedMessagesRequest, FailureState, MessageFailures,
    ParkedSelector,
};
use persisting_message_bus::{
    FailurePolicy, Message, MessageBus, MessageConsumer, Position, RetryPolicy,
};
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::databases::{Database, PooledSqlite, Sqlite};
use persisting_message_bus_tests::topics::Orders;

use super::resuming::{ship, ship_all};
use super::serving::{Serving, feed_of};

/// Deletes the messages from a position on.
fn prune(database: &PooledSqlite, from: i64) {
    let delete = format!("DELETE FROM public_messages WHERE id >= {from}");
    database.connect().batch_execute(&delete).unwrap();
}

fn prune_first(database: &PooledSqlite, up_to: i64) {
    let delete = format!("DELETE FROM public_messages WHERE id <= {up_to}");
    database.connect().batch_execute(&delete).unwrap();
}

fn source(serving: &Serving) -> HttpSource {
    HttpSource::new(serving.url()).unwrap().max_attempts(1)
}

fn positions(source: &mut impl MessageSource, after: i64, up_to: i64) -> Vec<i64> {
    let request = PageRequest {
        topic: "orders",
        part: persisting_message_bus::backend::Part::Whole,
        message_types: TypeFilter::All,
        after: Position::new(after),
        up_to: Position::new(up_to),
        limit: 10,
    };
    let mut positions = Vec::new();
    let mut receive = |message: &persisting_message_bus::backend::StoredMessage<'_>| {
        positions.push(message.position.get());
        ControlFlow::Continue(())
    };
    source.read_page(&request, &mut receive).unwrap();
    positions
}

#[test]
fn a_page_ends_like_that_of_the_table_when_the_end_was_pruned() {
    let database = Arc::new(PooledSqlite::create());
    ship_all(&mut database.connect(), 1..=5);
    let serving = Serving::start(feed_of(&database));
    let mut far = source(&serving);
    assert_eq!(far.current_head("orders").unwrap(), Position::new(5));
    for from in [5, 3, 1] {
        prune(&database, from);
        for (after, up_to) in [(0, 5), (1, 5), (2, 4), (4, 5), (0, 1)] {
            let there = positions(&mut database.connect(), after, up_to);
            assert_eq!(positions(&mut far, after, up_to), there, "{after} {up_to}");
        }
    }
}

/// Parks messages, prunes some, and redrives all. Returns the orders that were handled,
/// and the messages that were parked again.
fn redriven<S: MessageSource>(source: S, prune: impl FnOnce()) -> (Vec<u64>, Vec<FailedMessage>) {
    let elsewhere = Sqlite::create();
    let bus = &mut MessageBus::new(source, elsewhere.connect());
    let is_closed = Cell::new(true);
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        if is_closed.get() {
            return Err("closed".into());
        }
        seen.push(message.payload().order());
        Ok(())
    })
    .retry(
        RetryPolicy::default()
            .max_attempts(1)
            .on_exhausted(FailurePolicy::Park),
    );
    while consumer.handle_page(bus).unwrap() > 0 {}
    prune();
    is_closed.set(false);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    while consumer.handle_page(bus).unwrap() > 0 {}
    drop(consumer);
    let parked = FailedMessagesRequest {
        consumer: "all",
        topic: "orders",
        state: FailureState::Parked,
        slots: None,
        after: Position::START,
        limit: 10,
    };
    (seen, bus.failed_messages(&parked).unwrap())
}

#[test]
fn a_redriven_message_that_is_gone_is_parked_again_as_on_a_table() {
    let [on_a_table, over_http] = [false, true].map(|over_http| {
        let database = Arc::new(PooledSqlite::create());
        ship_all(&mut database.connect(), 1..=3);
        let serving = Serving::start(feed_of(&database));
        if over_http {
            redriven(source(&serving), || prune_first(&database, 2))
        } else {
            redriven(database.connect(), || prune_first(&database, 2))
        }
    });
    for (seen, parked) in [&on_a_table, &over_http] {
        assert_eq!(seen, &[3]);
        let told = |failed: &FailedMessage| (failed.position.get(), failed.attempts);
        assert_eq!(
            parked.iter().map(told).collect::<Vec<_>>(),
            [(1, 2), (2, 2)]
        );
        assert!(parked[0].error.contains("it was pruned"), "{parked:?}");
    }
    let errors = |(_, parked): &(_, Vec<FailedMessage>)| -> Vec<_> {
        parked.iter().map(|failed| failed.error.clone()).collect()
    };
    assert_eq!(errors(&on_a_table), errors(&over_http));
}

#[test]
fn messages_a_feed_cannot_see_yet_are_not_taken_for_pruned() {
    let database = Arc::new(PooledSqlite::create());
    ship(&mut database.connect(), 1);
    let serving = Serving::start(feed_of(&database));
    let request = PageRequest {
        topic: "orders",
        part: persisting_message_bus::backend::Part::Whole,
        message_types: TypeFilter::All,
        after: Position::new(1),
        up_to: Position::new(2),
        limit: 10,
    };
    let mut nothing =
        |_: &persisting_message_bus::backend::StoredMessage<'_>| ControlFlow::Continue(());
    let lagging = source(&serving).read_page(&request, &mut nothing);
    let lagging = lagging.unwrap_err();
    assert!(lagging.is_retryable());
    let lagging = format!("{lagging:#}");
    assert!(
        lagging.contains("is readable up to 1, but was readable up to 2"),
        "{lagging}"
    );
}
