use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use persisting_message_bus::asynchronous::{Coalescer, CoalescingDispatcher};
use persisting_message_bus::{Headers, OnDuplicate};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use uuid::Uuid;

use crate::databases::{AsyncDatabase, run};
use crate::transactions::{begin, committed, orders};

const SOON: Duration = Duration::from_secs(20);

/// Returns a coalescer on connections to the database.
pub fn coalescer<D: AsyncDatabase + Sync>(database: &Arc<D>) -> Coalescer {
    let database = Arc::clone(database);
    Coalescer::new(move || {
        let database = Arc::clone(&database);
        async move { Ok::<_, std::io::Error>(database.connect().await) }
    })
}

pub fn dispatcher(coalescer: &Coalescer) -> CoalescingDispatcher<Orders> {
    orders().coalescing(coalescer)
}

pub fn messages_of_many_tasks_are_stored_once<D: AsyncDatabase + Sync>() {
    let database = Arc::new(D::create());
    run(async {
        let coalescer = coalescer(&database).max_connections(2);
        let orders = dispatcher(&coalescer);
        let dispatches = (0..200).map(async |order| {
            if order % 10 == 0 {
                let batch = [
                    OrderPlaced::number(order),
                    OrderPlaced::number(1_000 + order),
                ];
                assert_eq!(orders.dispatch_batch(batch).await.unwrap(), 2);
            } else {
                orders.dispatch(&OrderPlaced::number(order)).await.unwrap();
            }
        });
        join_all(dispatches).await;
        assert!(coalescer.close(SOON).await);
        assert_eq!(coalescer.waiting(), 0);
        let refused = orders.dispatch(&OrderPlaced::number(1)).await.unwrap_err();
        assert!(format!("{refused:#}").contains("closed"));
    });
    let there = committed(&*database);
    let expected: BTreeSet<_> = (0..200).chain((1_000..1_200).step_by(10)).collect();
    assert_eq!(there.len(), expected.len());
    assert_eq!(there.into_iter().collect::<BTreeSet<_>>(), expected);
}

pub fn callers_that_share_a_commit_get_their_own_outcomes<D: AsyncDatabase + Sync>() {
    let database = Arc::new(D::create());
    run(async {
        let coalescer = coalescer(&database);
        let ids: Vec<_> = (0..4).map(|_| Uuid::now_v7()).collect();
        let (failing, ignoring) = (
            dispatcher(&coalescer),
            orders()
                .on_duplicate(OnDuplicate::Ignore)
                .coalescing(&coalescer),
        );
        // Each id twice: half of the dispatches are refused, or change nothing.
        let dispatches = (0..16).map(|order| {
            let headers = Headers::new().with_message_id(ids[order as usize % 4]);
            let dispatcher = if order % 8 < 4 { &failing } else { &ignoring };
            let message = OrderPlaced::number(order);
            async move { dispatcher.dispatch_with(&message, headers).await }
        });
        let results = join_all(dispatches).await;
        for (order, result) in results.iter().enumerate() {
            match result {
                Ok(_) => {}
                Err(error) => assert!(order % 8 < 4 && error.is_duplicate(), "{error:#}"),
            }
        }
        let refused = results.iter().filter(|result| result.is_err()).count();
        assert!((4..=8).contains(&refused), "{refused}");
    });
    assert_eq!(committed(&*database).len(), 4);
}

/// A connection that is lost, or in a transaction, is replaced, and nothing is acknowledged that is not
/// committed.
pub fn a_connection_in_a_transaction_acknowledges_nothing<D: AsyncDatabase + Sync>() {
    let database = Arc::new(D::create());
    run(async {
        let connect = {
            let database = Arc::clone(&database);
            move || {
                let database = Arc::clone(&database);
                async move {
                    let mut connection = database.connect().await;
                    begin(&mut connection).await;
                    Ok::<_, std::io::Error>(connection)
                }
            }
        };
        let orders = dispatcher(&Coalescer::new(connect));
        let refused = orders.dispatch(&OrderPlaced::number(1)).await.unwrap_err();
        assert!(format!("{refused:#}").contains("in a transaction"));
    });
    assert!(committed(&*database).is_empty());
}

/// A dispatch whose caller has gone while it waited is not written.
pub fn a_dispatch_that_is_dropped_while_it_waits_is_not_written<D: AsyncDatabase + Sync>() {
    let database = Arc::new(D::create());
    run(async {
        let (opened, opens) = tokio::sync::watch::channel(false);
        let connect = {
            let database = Arc::clone(&database);
            move || {
                let (database, mut opens) = (Arc::clone(&database), opens.clone());
                async move {
                    opens.wait_for(|&opens| opens).await.unwrap();
                    Ok::<_, std::io::Error>(database.connect().await)
                }
            }
        };
        let coalescer = Coalescer::new(connect);
        let orders = Arc::new(dispatcher(&coalescer));
        let dispatch = |order| {
            let orders = Arc::clone(&orders);
            tokio::spawn(async move { orders.dispatch(&OrderPlaced::number(order)).await })
        };
        let first = dispatch(1);
        while !coalescer.is_busy() || coalescer.waiting() > 0 {
            tokio::task::yield_now().await;
        }
        let (second, third) = (dispatch(2), dispatch(3));
        while coalescer.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        assert_eq!(coalescer.waiting(), 1);
        opened.send(true).unwrap();
        first.await.unwrap().unwrap();
        third.await.unwrap().unwrap();
    });
    assert_eq!(committed(&*database), [1, 3]);
}

pub fn a_caller_waits_no_longer_than_its_timeout<D: AsyncDatabase + Sync>() {
    let database = Arc::new(D::create());
    run(async {
        let never = || std::future::pending::<Result<D::Connection, std::io::Error>>();
        let coalescer = Coalescer::new(never)
            .max_queue_size(1)
            .queue_timeout(Duration::from_millis(50));
        let orders = Arc::new(dispatcher(&coalescer));
        let first = {
            let orders = Arc::clone(&orders);
            tokio::spawn(async move { orders.dispatch(&OrderPlaced::number(1)).await })
        };
        while !coalescer.is_busy() || coalescer.waiting() > 0 {
            tokio::task::yield_now().await;
        }
        // The first one is on its way. The second one waits, and the third one finds no place.
        let second = OrderPlaced::number(2);
        let third = OrderPlaced::number(3);
        let (second, third) = tokio::join!(orders.dispatch(&second), orders.dispatch(&third));
        for (refused, says) in [(second, "queue_timeout"), (third, "the queue is full")] {
            let refused = refused.unwrap_err();
            assert!(format!("{refused:#}").contains(says));
            assert!(refused.is_retryable());
        }
        assert!(!coalescer.close(Duration::from_millis(10)).await);
        first.abort();
    });
    assert!(committed(&*database).is_empty());
}
