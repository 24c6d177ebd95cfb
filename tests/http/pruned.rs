//! Messages that were there, and are not any more.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use persisting_message_bus::{
    FailedMessage, FailedPage, FailureState, GiveUp, Message, MessageBus, MessageConsumer,
    MessageFailures, MessageSource, MessageTypes, PageRequest, Parked, Position, Retry,
};
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::databases::{Database, PooledSqlite, Sqlite};
use persisting_message_bus_tests::topics::Orders;

use super::resuming::{ship, ship_all};
use super::serving::{Serving, feed_of};

fn prune(database: &PooledSqlite, from: i64) {
    let delete = format!("DELETE FROM public_messages WHERE id >= {from}");
    database.connect().batch_execute(&delete).unwrap();
}

fn source(serving: &Serving) -> HttpSource {
    let once = Retry::default().attempts(1);
    HttpSource::new(serving.url()).unwrap().retry(once)
}

fn positions(source: &mut impl MessageSource, after: i64, up_to: i64) -> Vec<i64> {
    let request = PageRequest {
        topic: "orders",
        message_types: MessageTypes::All,
        after: Position::new(after),
        up_to: Position::new(up_to),
        limit: 10,
    };
    let mut positions = Vec::new();
    let mut receive = |message: &persisting_message_bus::StoredMessage<'_>| {
        positions.push(message.position.get());
        ControlFlow::Continue(())
    };
    source.read_page(&request, &mut receive).unwrap();
    positions
}

#[test]
fn where_the_end_was_pruned_a_page_ends_as_that_of_the_table() {
    let database = Arc::new(PooledSqlite::create());
    ship_all(&mut database.connect(), 1..=5);
    let serving = Serving::start(feed_of(&database));
    let mut far = source(&serving);
    assert_eq!(far.safe_head("orders").unwrap(), Position::new(5));
    for from in [5, 3, 1] {
        prune(&database, from);
        for (after, up_to) in [(0, 5), (1, 5), (2, 4), (4, 5), (0, 1)] {
            let there = positions(&mut database.connect(), after, up_to);
            assert_eq!(positions(&mut far, after, up_to), there, "{after} {up_to}");
        }
    }
}

/// What becomes of parked messages that are redriven when the last ones of them are gone.
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
    .retry(Retry::default().attempts(1).then(GiveUp::Park));
    while consumer.handle_new_messages(bus).unwrap() > 0 {}
    prune();
    is_closed.set(false);
    bus.redrive("all", "orders", Parked::All).unwrap();
    while consumer.handle_new_messages(bus).unwrap() > 0 {}
    drop(consumer);
    let parked = FailedPage {
        consumer: "all",
        topic: "orders",
        state: FailureState::Parked,
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
            redriven(source(&serving), || prune(&database, 2))
        } else {
            redriven(database.connect(), || prune(&database, 2))
        }
    });
    for (seen, parked) in [&on_a_table, &over_http] {
        assert_eq!(seen, &[1]);
        let told = |failed: &FailedMessage| (failed.position.get(), failed.attempts);
        assert_eq!(
            parked.iter().map(told).collect::<Vec<_>>(),
            [(2, 2), (3, 2)]
        );
        assert!(parked[0].error.contains("it was pruned"), "{parked:?}");
    }
    let errors = |(_, parked): &(_, Vec<FailedMessage>)| -> Vec<_> {
        parked.iter().map(|failed| failed.error.clone()).collect()
    };
    assert_eq!(errors(&on_a_table), errors(&over_http));
}

#[test]
fn what_a_feed_cannot_see_yet_is_not_taken_for_pruned() {
    let database = Arc::new(PooledSqlite::create());
    ship(&mut database.connect(), 1);
    let serving = Serving::start(feed_of(&database));
    let request = PageRequest {
        topic: "orders",
        message_types: MessageTypes::All,
        after: Position::new(1),
        up_to: Position::new(2),
        limit: 10,
    };
    let mut nothing = |_: &persisting_message_bus::StoredMessage<'_>| ControlFlow::Continue(());
    let behind = source(&serving).read_page(&request, &mut nothing);
    let behind = behind.unwrap_err();
    assert!(behind.is_retryable());
    let behind = format!("{behind:#}");
    assert!(
        behind.contains("can be read up to 1 for now, and was readable up to 2"),
        "{behind}"
    );
}
