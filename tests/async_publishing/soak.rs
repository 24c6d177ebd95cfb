//! Tasks and threads publish at the same time, some in transactions that are rolled back or slow. Nothing
//! that is committed is skipped, doubled or read out of order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher as SyncDispatcher};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::{seed, soak_time};

use crate::databases::{AsyncDatabase, run};
use crate::transactions::{begin, commit, orders, roll_back};

const TASKS: usize = 6;
const THREADS: usize = 2;

pub fn everything_committed_by_tasks_and_threads_is_read_once<D: AsyncDatabase + Sync>() {
    let database = Arc::new(D::create());
    let seed = seed();
    let (next, ends) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut published, read) = thread::scope(|scope| {
        let reading = scope.spawn(|| read_until(&*database, &ends));
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let random = Rng::with_seed(seed ^ (1_000 + thread as u64));
                let (database, next) = (&database, &next);
                scope.spawn(move || publish_on_a_thread(&**database, random, next))
            })
            .collect();
        let mut published = run(async {
            let tasks = (0..TASKS).map(|task| {
                let random = Rng::with_seed(seed ^ task as u64);
                publish_in_a_task(&*database, random, &next)
            });
            futures_util::future::join_all(tasks).await.concat()
        });
        published.extend(
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap()),
        );
        ends.store(true, Ordering::SeqCst);
        (published, reading.join().unwrap())
    });
    published.sort_unstable();
    let once: BTreeSet<_> = read.iter().copied().collect();
    assert_eq!(once.len(), read.len(), "some came twice");
    assert_eq!(once.into_iter().collect::<Vec<_>>(), published);
    assert!(published.len() > 50, "only {}", published.len());
}

async fn publish_in_a_task<D: AsyncDatabase>(
    database: &D,
    mut random: Rng,
    next: &AtomicU64,
) -> Vec<u64> {
    let mut committed = Vec::new();
    let begun = Instant::now();
    let mut connection = database.connect().await;
    while begun.elapsed() < soak_time(2) {
        let count = random.u64(1..4);
        let first = next.fetch_add(count, Ordering::SeqCst);
        let batch: Vec<_> = (first..first + count).map(OrderPlaced::number).collect();
        match random.u32(0..4) {
            0 => {
                begin(&mut connection).await;
                for message in &batch {
                    orders().dispatch(&mut connection, message).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(random.u64(0..5))).await;
                }
                commit(&mut connection).await;
            }
            1 => {
                begin(&mut connection).await;
                orders()
                    .dispatch_batch(&mut connection, batch)
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(random.u64(0..5))).await;
                roll_back(&mut connection).await;
                continue;
            }
            2 => {
                orders()
                    .dispatch_batch(&mut connection, batch)
                    .await
                    .unwrap();
            }
            _ => {
                for message in &batch {
                    orders().dispatch(&mut connection, message).await.unwrap();
                }
            }
        }
        committed.extend(first..first + count);
    }
    committed
}

fn publish_on_a_thread<D: AsyncDatabase>(
    database: &D,
    mut random: Rng,
    next: &AtomicU64,
) -> Vec<u64> {
    let mut committed = Vec::new();
    let orders = SyncDispatcher::<Orders>::new();
    let mut connection = database.sync().connect();
    let begun = Instant::now();
    while begun.elapsed() < soak_time(2) {
        let order = next.fetch_add(1, Ordering::SeqCst);
        orders
            .dispatch(&mut connection, &OrderPlaced::number(order))
            .unwrap();
        committed.push(order);
        thread::sleep(Duration::from_millis(random.u64(0..3)));
    }
    committed
}

/// Reads until the publishers have ended, and then what is left.
fn read_until<D: AsyncDatabase>(database: &D, ends: &AtomicBool) -> Vec<u64> {
    let mut read = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        read.push(message.payload().order());
        Ok(())
    });
    let mut connection = database.sync().connect();
    loop {
        let ended = ends.load(Ordering::SeqCst);
        let handled = consumer.handle_page(&mut connection).expect("a page");
        if ended && handled == 0 {
            break;
        }
    }
    drop(consumer);
    read
}
