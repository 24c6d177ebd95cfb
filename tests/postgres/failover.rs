//! A primary fails, and a standby takes its place at the same address.

mod cluster;
mod feed;
mod proxy;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use diesel::sql_types::BigInt;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerCondition, ConsumerKey, ConsumerStatus, RunHandle};
use persisting_message_bus::{
    Error, Message, MessageBus, MessageConsumer, Position, RetryPolicy, Runner, StartAt,
};
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::http_server::HttpServer;
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::waiting::wait_until;

pub use self::cluster::{Cluster, place};
use self::feed::serve_feed;

type Connections = Pool<ConnectionManager<PgConnection>>;
type Pooled = PooledConnection<ConnectionManager<PgConnection>>;

/// The time in which consumers continue or stop after a failover.
const SOON: Duration = Duration::from_secs(10);

fn pool(url: &str) -> Connections {
    Pool::builder()
        .max_size(8)
        .connection_timeout(Duration::from_secs(2))
        .build(ConnectionManager::new(url))
        .unwrap()
}

fn retry() -> RetryPolicy {
    RetryPolicy::default()
        .initial_delay(Duration::from_millis(10))
        .max_delay(Duration::from_millis(500))
}

fn add_effect(
    connection: &mut impl SimpleConnection,
    message: &Message<Orders>,
) -> Result<(), HandlerError> {
    let order = message.payload().order();
    connection.batch_execute(&format!("INSERT INTO effects VALUES ({order})"))?;
    Ok(())
}

/// Returns the orders of all effects. Doubled effects are in it twice.
fn effects(connection: &mut PgConnection) -> Vec<u64> {
    let effects = sql::<BigInt>("SELECT of_order FROM effects ORDER BY of_order");
    let effects = effects.load::<i64>(connection).unwrap();
    effects.into_iter().map(|of| of as u64).collect()
}

/// Starts a consumer whose state and effects are in the database of the messages.
fn start_here(url: &str) -> RunHandle {
    let connections = pool(url);
    let handle = |bus: &mut Pooled, message: &Message<Orders>| add_effect(bus, message);
    let consumer = MessageConsumer::<Orders>::transactional("here", handle);
    Runner::new(move || connections.get())
        .idle_interval(Duration::from_millis(50))
        .retry(retry())
        .consumer(consumer.page_size(10))
        .start()
}

/// A database with the state and the effects of a consumer of another database.
struct Elsewhere(Arc<Postgres>);

const KEY: ConsumerKey<'static> = ConsumerKey {
    consumer: "elsewhere",
    topic: "orders",
};

type Joined = MessageBus<Pooled, PgConnection>;

/// Starts a consumer whose state and effects are in another database than the messages.
fn run_elsewhere<M, E>(
    connect: impl Fn() -> Result<MessageBus<M, PgConnection>, E> + Send + Sync + 'static,
) -> RunHandle
where
    M: MessageSource + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    let handle = |state: &mut PgConnection, message: &Message<Orders>| add_effect(state, message);
    let consumer = MessageConsumer::<Orders>::transactional("elsewhere", handle);
    Runner::new(connect)
        .idle_interval(Duration::from_millis(50))
        .retry(retry())
        .consumer(consumer.page_size(10))
        .start()
}

impl Elsewhere {
    fn create() -> Self {
        let database = Postgres::create();
        database
            .connect()
            .batch_execute("CREATE TABLE effects (of_order BIGINT NOT NULL)")
            .unwrap();
        Self(Arc::new(database))
    }

    fn effects(&self) -> Vec<u64> {
        effects(&mut self.0.connect())
    }

    fn join(&self, connections: &Connections) -> Joined {
        MessageBus::new(connections.get().unwrap(), self.0.connect())
    }

    fn start(&self, url: &str) -> RunHandle {
        let (state, connections) = (Arc::clone(&self.0), pool(url));
        let connect = move || {
            let messages = connections.get()?;
            Ok::<_, diesel::r2d2::PoolError>(MessageBus::new(messages, state.connect()))
        };
        run_elsewhere(connect)
    }

    /// Starts a consumer that reads a feed.
    fn start_reader(&self, feed: &HttpServer) -> RunHandle {
        let (state, url) = (Arc::clone(&self.0), feed.url());
        let connect = move || {
            let messages = HttpSource::new(url.clone())?.max_attempts(1);
            Ok::<_, Error>(MessageBus::new(messages, state.connect()))
        };
        run_elsewhere(connect)
    }
}

/// Returns the error with which the only consumer of a runner stops soon.
fn error_of(running: RunHandle) -> Error {
    let (send, ended) = channel();
    thread::spawn(move || send.send(running.join()));
    let mut ended = ended.recv_timeout(SOON).expect("it stops within 10 s");
    ended.remove(0).error.expect("an error")
}

fn stop(running: RunHandle) {
    for ended in running.stop_within(Duration::from_secs(30)).unwrap() {
        assert!(ended.error.is_none(), "{ended:?}");
    }
}

#[track_caller]
fn assert_soon(since: Instant, what: &str) {
    let needed = since.elapsed();
    assert!(needed < SOON, "{what}: {needed:?}");
}

const MESSAGES: u64 = 1_000;

/// Starts three consumers, one of which reads a feed, and runs a failover while they are at work. The
/// standby has all messages, and any part of the progress. Returns when all have handled new
/// messages, too.
fn continues_after(fail_over: impl FnOnce(&mut Cluster)) {
    let mut cluster = Cluster::start();
    place(&mut cluster.connect(), 1..=MESSAGES);
    cluster.wait_until_replicated();
    let (elsewhere, reader) = (Elsewhere::create(), Elsewhere::create());
    let feed = serve_feed(pool(&cluster.url()));
    let runners = [
        start_here(&cluster.url()),
        elsewhere.start(&cluster.url()),
        reader.start_reader(&feed),
    ];
    let mut bus = cluster.connect();
    wait_until("all are at work", || {
        let others = [&elsewhere, &reader].map(|other| other.effects().len());
        effects(&mut bus).len() > 50 && others.iter().all(|effects| *effects > 50)
    });
    fail_over(&mut cluster);
    let begun = Instant::now();
    let mut bus = cluster.connect();
    place(&mut bus, MESSAGES + 1..=MESSAGES + 10);
    let all: Vec<_> = (1..=MESSAGES + 10).collect();
    let last = MESSAGES + 10;
    wait_until("all continue", || {
        let mut others = [&elsewhere, &reader].into_iter();
        effects(&mut bus).contains(&last) && others.all(|other| other.effects().contains(&last))
    });
    assert_soon(begun, "all continue");
    assert_eq!(effects(&mut bus), all);
    assert_eq!(elsewhere.effects(), all);
    assert_eq!(reader.effects(), all);
    runners.into_iter().for_each(stop);
}

#[test]
fn consumers_continue_after_a_failover() {
    continues_after(Cluster::fail_over);
}

/// The pools fill with connections to a server that cannot be written, and that becomes the primary
/// later.
#[test]
fn consumers_continue_when_the_address_moves_before_the_promotion() {
    continues_after(|cluster| {
        cluster.kill_primary();
        cluster.move_address();
        let mut standby = cluster.connect_to_standby();
        wait_until("both have polled the standby", || {
            let polling = "SELECT count(DISTINCT pid) FROM pg_stat_activity
                WHERE query LIKE 'SELECT sequence.*%' AND pid <> pg_backend_pid()";
            sql::<BigInt>(polling)
                .get_result::<i64>(&mut standby)
                .unwrap()
                >= 2
        });
        cluster.promote();
    });
}

/// When the new primary gets messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum New {
    /// While the consumers run.
    AtOnce,
    /// After the consumer whose cursor is elsewhere has stopped.
    AfterStop,
    /// Before the consumers run again, and more than were lost.
    BeforeStart,
}

/// The standby has not received the last messages, which both consumers have handled.
fn lost(number: u64, new: New) {
    let mut cluster = Cluster::start();
    place(&mut cluster.connect(), 1..=100);
    let elsewhere = Elsewhere::create();
    let [mut here, mut there] = [start_here(&cluster.url()), elsewhere.start(&cluster.url())];
    let mut bus = cluster.connect();
    let both_have = |bus: &mut PgConnection, count: usize| {
        effects(bus).len() == count && elsewhere.effects().len() == count
    };
    wait_until("both have handled 100", || both_have(&mut bus, 100));
    cluster.wait_until_replicated();
    cluster.stop_replication();
    place(&mut bus, 101..=100 + number);
    let total = 100 + usize::try_from(number).unwrap();
    wait_until("both have handled all", || both_have(&mut bus, total));
    let handled: Vec<_> = (1..=100 + number).collect();
    assert_eq!(elsewhere.effects(), handled);
    if new == New::BeforeStart {
        [here, there].into_iter().for_each(stop);
        cluster.fail_over();
        place(&mut cluster.connect(), 1_001..=1_100);
        here = start_here(&cluster.url());
        there = elsewhere.start(&cluster.url());
    } else {
        cluster.fail_over();
        if new == New::AtOnce {
            place(&mut cluster.connect(), 1_001..=1_100);
        }
    }
    let begun = Instant::now();
    let error = error_of(there);
    assert!(error.is_broken_cursor(), "{error:#}");
    assert_eq!(elsewhere.effects(), handled);
    let mut bus = cluster.connect();
    if new == New::AfterStop {
        place(&mut bus, 1_001..=1_100);
    }
    wait_until("the first one continues", || {
        effects(&mut bus).contains(&1_100)
    });
    assert_soon(begun, "the first one continues");
    let kept: Vec<_> = (1..=100).chain(1_001..=1_100).collect();
    assert_eq!(effects(&mut bus), kept);
    stop(here);
    continue_elsewhere(&cluster, &elsewhere, &handled);
}

/// Follows the advice of the error: the last message that both servers have is at position 100.
fn continue_elsewhere(cluster: &Cluster, elsewhere: &Elsewhere, handled: &[u64]) {
    let mut bus = elsewhere.join(&pool(&cluster.url()));
    let status = ConsumerStatus::read(&mut bus, KEY).unwrap();
    assert_eq!(status.condition, ConsumerCondition::BrokenCursor);
    let handle = |state: &mut PgConnection, message: &Message<Orders>| add_effect(state, message);
    let mut consumer = MessageConsumer::<Orders>::transactional("elsewhere", handle);
    let to = StartAt::Position(Position::new(100));
    consumer.reset(&mut bus, to).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    let new = handled.iter().copied().chain(1_001..=1_100);
    assert_eq!(elsewhere.effects(), new.collect::<Vec<_>>());
    assert_eq!(
        bus.last_position().unwrap(),
        bus.current_head("orders").unwrap()
    );
}

/// The new primary has reserved positions in advance, so the cursor is not after the last position.
#[test]
fn a_cursor_elsewhere_does_not_count_when_few_messages_were_lost() {
    lost(5, New::AtOnce);
}

#[test]
fn a_cursor_after_the_last_position_does_not_wait_for_new_messages() {
    lost(60, New::AfterStop);
}

#[test]
fn a_cursor_elsewhere_that_was_overtaken_does_not_count() {
    lost(60, New::BeforeStart);
}
