//! Programs with async and with sync handlers share the segments of one consumer, on PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{io, thread};

use diesel::PgConnection;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use persisting_message_bus::asynchronous::{self, Running};
use persisting_message_bus::operate::{FailedMessagesRequest, MessageFailures, RunHandle};
use persisting_message_bus::{
    EventSet, FailurePolicy, Message, MessageConsumer, ParallelConsumer, RetryPolicy, Runner,
};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::waiting::wait_until;

use super::begun::{publish, published};
use super::handling::Noted;
use super::key;
use super::records::assert_exactly_once;
use super::running::{STOP, has_ended_well};
use super::sql::{Sql, effects};
use super::topic::{KEYS, Numbered, Orders};

const MESSAGES: u64 = 1_000;

/// The message that fails once, and the one that fails whenever it is tried.
const FAILS_ONCE: u64 = 230;
const FAILS: u64 = 410;

/// How long a message takes.
const PAUSE: Duration = Duration::from_millis(2);

/// The programs, by the kind of their handlers.
const ASYNC: usize = 0;
const SYNC: usize = 1;

/// What the handlers of both programs share.
#[derive(Debug, Default)]
struct Shop {
    /// How many messages each program has begun.
    begun: [AtomicU64; 2],
    has_failed: AtomicBool,
}

impl Shop {
    fn settle(&self, program: usize, number: u64) -> Noted {
        self.begun[program].fetch_add(1, Ordering::SeqCst);
        match number {
            FAILS => Err("the shop refuses the step".into()),
            FAILS_ONCE if !self.has_failed.swap(true, Ordering::SeqCst) => {
                Err("the shop is busy".into())
            }
            _ => Ok(()),
        }
    }

    fn is_at_work(&self, program: usize) -> bool {
        self.begun[program].load(Ordering::SeqCst) >= 20
    }
}

fn set<S: EventSet, H>(consumer: MessageConsumer<S, H>) -> MessageConsumer<S, H> {
    let retry = RetryPolicy::default()
        .initial_delay(Duration::ZERO)
        .max_attempts(2)
        .on_exhausted(FailurePolicy::Park);
    consumer
        .page_size(10)
        .lease_duration(Duration::from_secs(120))
        .time_slice(Duration::from_millis(20))
        .retry(retry)
}

/// Needs the context of a runtime.
fn start_async(url: String, shop: &Arc<Shop>) -> Running {
    let shop = Arc::clone(shop);
    let make = move || {
        let shop = Arc::clone(&shop);
        set(asynchronous::MessageConsumer::<Orders>::transactional(
            "all",
            async move |connection: &mut AsyncPgConnection, message: &Message<Orders>| {
                let (order, number) = message.payload().numbers();
                tokio::time::sleep(PAUSE).await;
                let insert = format!(
                    "INSERT INTO effects (order_number, number) VALUES ({order}, {number})"
                );
                connection.batch_execute(&insert).await?;
                shop.settle(ASYNC, number)
            },
        ))
    };
    let consumer = ParallelConsumer::by_key(make).segments(8).threads(2);
    let connect = async move || AsyncPgConnection::establish(&url).await;
    asynchronous::Runner::on_dedicated_connections(connect)
        .idle_interval(Duration::from_millis(50))
        .parallel(consumer)
        .start()
}

fn start_sync(database: &Arc<Postgres>, shop: &Arc<Shop>) -> RunHandle {
    let (database, shop) = (Arc::clone(database), Arc::clone(shop));
    let make = move || {
        let shop = Arc::clone(&shop);
        let handler = move |bus: &mut PgConnection, message: &Message<Orders>| {
            let (order, number) = message.payload().numbers();
            thread::sleep(PAUSE);
            effects(bus, [(order, number)])?;
            shop.settle(SYNC, number)
        };
        set(MessageConsumer::<Orders>::transactional("all", handler))
    };
    let consumer = ParallelConsumer::by_key(make).segments(8).threads(2);
    Runner::new(move || Ok::<_, io::Error>(database.connect()))
        .idle_interval(Duration::from_millis(50))
        .parallel(consumer)
        .start()
}

/// A message that fails once is tried again, and one that keeps failing is parked, whichever program tries
/// it. All others take effect once, and in the order of their keys.
#[test]
fn async_and_sync_handlers_share_the_segments_although_messages_fail() {
    let (database, mut bus) = Postgres::with_effects();
    let (database, shop) = (Arc::new(database), Arc::<Shop>::default());
    publish(&mut bus, 0..MESSAGES, KEYS);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let asynchronous = {
        let _entered = runtime.enter();
        start_async(database.address(), &shop)
    };
    wait_until("the async program is at work", || shop.is_at_work(ASYNC));
    let sync = start_sync(&database, &shop);
    wait_until("both programs are at work", || shop.is_at_work(SYNC));
    wait_until("all but one message are handled", || {
        let parked = bus.count_parked(key("all")).unwrap();
        parked == 1 && Postgres::count_effects(&mut bus) == MESSAGES - 1
    });
    let exits = runtime.block_on(asynchronous.stop_within(STOP)).unwrap();
    assert!(exits.iter().all(|exit| exit.error.is_none()), "{exits:?}");
    has_ended_well(sync);
    let parked = FailedMessagesRequest::of_parked(key("all"));
    let parked = bus.failed_messages(&parked).unwrap();
    assert_eq!((parked.len(), parked[0].attempts), (1, 2), "{parked:?}");
    let mut published = published(MESSAGES, KEYS);
    let orders = published.values_mut();
    orders.for_each(|numbers| numbers.retain(|number| *number != FAILS));
    assert_exactly_once(Postgres::effects(&mut bus), &published);
}
