//! Futures that are dropped before they are done, as those of a request whose client has gone.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use diesel_async::{AsyncConnection, TransactionManager};
use persisting_message_bus::{MessageDispatcher as SyncDispatcher, OnDuplicate};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use crate::databases::{AsyncDatabase, run};
use crate::transactions::{begin, commit, committed, orders};

/// More often than a dispatch awaits.
const MOST: usize = 60;

/// How often a test is repeated, at most, until it has met what it is about.
const ROUNDS: usize = 50;

/// Polls a future up to so many times, and then drops it. Returns its output if it was done.
async fn polled<T>(future: impl Future<Output = T>, most: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut polls = 0;
    std::future::poll_fn(|context| {
        if polls == most {
            return Poll::Ready(None);
        }
        polls += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// A dispatch is dropped at its first, second, ... await. What its transaction does then decides.
pub fn a_dispatch_that_is_dropped_at_any_await_is_written_with_its_transaction_or_not_at_all<
    D: AsyncDatabase,
>() {
    let database = D::create();
    let mut expected = Vec::new();
    run(async {
        let mut was_done = false;
        for polls in 0..MOST {
            let order = polls as u64;
            let mut connection = database.connect().await;
            begin(&mut connection).await;
            let batch = [
                OrderPlaced::number(2 * order),
                OrderPlaced::number(2 * order + 1),
            ];
            let dispatched = orders().dispatch_batch(&mut connection, batch);
            match polled(dispatched, polls).await {
                // A connection with a transaction that was not ended is thrown away.
                None => assert!(is_open(&mut connection)),
                Some(dispatched) => {
                    assert_eq!(dispatched.unwrap(), 2);
                    commit(&mut connection).await;
                    expected.extend([2 * order, 2 * order + 1]);
                    was_done = true;
                }
            }
        }
        assert!(was_done);
    });
    assert_others_go_on(&database, expected);
}

fn is_open<C: AsyncConnection>(connection: &mut C) -> bool {
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    !matches!(status.transaction_depth(), Ok(None))
}

/// Without a transaction of the caller, the server may have the message although no caller waits.
pub fn a_dispatch_of_its_own_that_is_dropped_is_written_once_or_not_at_all<D: AsyncDatabase>() {
    let database = D::create();
    let mut sure = Vec::new();
    run(async {
        for polls in 0..MOST {
            let order = polls as u64;
            let mut connection = database.connect().await;
            let message = OrderPlaced::number(order);
            let dispatched = orders().dispatch(&mut connection, &message);
            if let Some(dispatched) = polled(dispatched, polls).await {
                dispatched.unwrap();
                sure.push(order);
            }
        }
    });
    assert!(!sure.is_empty());
    let mut there = Vec::new();
    wait_until("no publisher is left", || {
        there = committed(&database);
        sure.iter().all(|order| there.contains(order))
    });
    let mut once = there.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), there.len(), "{there:?}");
}

/// A batch that takes a transaction of the library's own is dropped at its first, second, ... await. What
/// is dispatched after that on the same connection is committed, or refused.
pub fn a_large_batch_that_is_dropped_leaves_no_transaction_in_use<D: AsyncDatabase>() {
    let database = D::create();
    let mut sure = Vec::new();
    let mut refused = 0;
    run(async {
        let orders = orders().on_duplicate(OnDuplicate::Ignore);
        // Beside other load, all answers can be there before they are awaited.
        let mut rounds = 0..ROUNDS;
        while refused == 0 {
            let round = rounds.next().expect("an await in a transaction");
            for polls in 0..MOST {
                let mut connection = database.connect().await;
                let batch = (0..D::LARGE_BATCH).map(|_| OrderPlaced::number(u64::MAX));
                let dispatched = orders.dispatch_batch(&mut connection, batch);
                let was_done = polled(dispatched, polls).await.is_some();
                let order = (round * MOST + polls) as u64;
                let after = orders.dispatch(&mut connection, &OrderPlaced::number(order));
                match after.await {
                    Ok(_) => sure.push(order),
                    Err(_) => refused += 1,
                }
                if was_done {
                    break;
                }
            }
        }
    });
    let there = committed(&database);
    let lost: Vec<_> = sure.iter().filter(|order| !there.contains(order)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    wait_until("publishers that are gone hold no consumer back", || {
        let after = SyncDispatcher::<Orders>::new();
        after
            .dispatch(&mut database.sync().connect(), &OrderPlaced::number(7))
            .unwrap();
        committed(&database).last() == Some(&7)
    });
}

/// A publisher that is gone holds no consumer back.
fn assert_others_go_on<D: AsyncDatabase>(database: &D, mut expected: Vec<u64>) {
    let last = 1_000_000;
    SyncDispatcher::<Orders>::new()
        .dispatch(&mut database.sync().connect(), &OrderPlaced::number(last))
        .unwrap();
    expected.push(last);
    wait_until("the last message is read", || {
        committed(database) == expected
    });
}
