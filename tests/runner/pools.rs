//! A pool hands out connections that answer and are of no use.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{
    ConnectionManager, CustomizeConnection, Pool, PooledConnection, R2D2Connection,
};
use diesel::{MysqlConnection, PgConnection, SqliteConnection};
use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{Message, MessageBus, MessageConsumer, MessageDispatcher, Runner};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Server, Sqlite};
use persisting_message_bus_tests::topics::{Orders, Paid, Payments};
use persisting_message_bus_tests::waiting::wait_until;

use super::gate::Gate;
use super::{cursor, place, quick_retry};

type Connections<C> = Pool<ConnectionManager<C>>;
type Pooled<C> = PooledConnection<ConnectionManager<C>>;

/// The time in which a consumer must be at work again.
const SOON: Duration = Duration::from_secs(3);

/// Returns a pool with as many connections, all of which are spoiled.
fn spoiled<C: R2D2Connection + SimpleConnection + 'static>(
    url: String,
    size: u32,
    spoil: &str,
) -> Connections<C> {
    let pool = Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .build(ConnectionManager::<C>::new(url))
        .unwrap();
    let mut all: Vec<_> = (0..size).map(|_| pool.get().unwrap()).collect();
    for connection in &mut all {
        // A spoiled connection can be one whose last statement has failed.
        let _failed = connection.batch_execute(spoil);
    }
    pool
}

/// Runs a consumer on the pool until it has handled two messages.
fn assert_handles<B, H>(
    pool: impl Fn() -> B + Send + Sync + 'static,
    mut observer: impl MessageConsumerState,
    consumer: MessageConsumer<Orders, H>,
    spoil: &str,
) where
    B: MessageSource + MessageConsumerState + Send + 'static,
    H: PageHandler<Orders, B> + Send + 'static,
{
    let running = Runner::new(move || Ok::<_, std::io::Error>(pool()))
        .retry(quick_retry())
        .consumer(consumer)
        .start();
    let begun = std::time::Instant::now();
    wait_until("two messages are handled", || {
        cursor(&mut observer, "all") == 2
    });
    assert!(begun.elapsed() < SOON, "{spoil}: {:?}", begun.elapsed());
    running.stop_within(Duration::from_secs(10)).unwrap();
}

macro_rules! recovers {
    ($module:ident, $database:ident, $connection:ty; $($case:ident: $spoil:expr;)*) => {
        mod $module {
            use super::*;

            fn external(spoil: &str) {
                let database = $database::create();
                place(&mut database.connect(), 1..3);
                let pool = spoiled::<$connection>(address(&database), 2, spoil);
                let consumer = MessageConsumer::external("all", |_: &Message<Orders>| Ok(()));
                let connect = move || pool.get().unwrap();
                assert_handles(connect, database.connect(), consumer, spoil);
            }

            fn transactional(spoil: &str) {
                let database = $database::create();
                place(&mut database.connect(), 1..3);
                let pool = spoiled::<$connection>(address(&database), 2, spoil);
                let pay = |bus: &mut Pooled<$connection>, message: &Message<Orders>| {
                    let order = message.payload().order();
                    MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
                    Ok(())
                };
                let consumer = MessageConsumer::transactional("all", pay);
                let connect = move || pool.get().unwrap();
                assert_handles(connect, database.connect(), consumer, spoil);
                let mut bus = database.connect();
                let paid = bus.backlog("payments", Default::default()).unwrap();
                assert_eq!(paid.messages, 2);
            }

            $(mod $case {
                #[test]
                fn an_external_consumer_recovers() {
                    super::external($spoil);
                }

                #[test]
                fn a_transactional_consumer_recovers() {
                    super::transactional($spoil);
                }
            })*
        }
    };
}

trait Address {
    fn address(&self) -> String;
}

impl Address for Postgres {
    fn address(&self) -> String {
        self.url()
    }
}

impl Address for Mariadb {
    fn address(&self) -> String {
        self.url()
    }
}

impl Address for Sqlite {
    fn address(&self) -> String {
        self.path()
    }
}

fn address(database: &impl Address) -> String {
    database.address()
}

recovers! { postgres, Postgres, PgConnection;
    read_only: "SET default_transaction_read_only = on";
    serializable: "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE";
    repeatable_read: "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ";
    other_schema: "SET search_path = pg_catalog";
    aborted: "BEGIN; SELECT 1 / 0";
    without_rights: "SET SESSION AUTHORIZATION pg_monitor";
}

recovers! { mariadb, Mariadb, MysqlConnection;
    read_only: "SET SESSION TRANSACTION READ ONLY";
    autocommit: "SET autocommit = 0";
    serializable: "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE";
    other_database: "USE information_schema";
}

recovers! { sqlite, Sqlite, SqliteConnection;
    read_only: "PRAGMA query_only = ON";
}

/// Each connection of the pool has prepared its statements.
#[test]
fn consumers_recover_when_a_table_has_changed() {
    let database = Postgres::create();
    let pool = spoiled::<PgConnection>(database.url(), 2, "");
    place(&mut database.connect(), 1..2);
    let mut both = [pool.get().unwrap(), pool.get().unwrap()];
    for bus in &mut both {
        let handler = |_: &Message<Orders>| Ok(());
        for name in ["all", "once", "again"] {
            let mut consumer = MessageConsumer::<Orders>::external(name, handler);
            consumer.handle_new_messages(bus).unwrap();
        }
    }
    drop(both);
    let mut bus = database.connect();
    bus.batch_execute(
        "ALTER TABLE public_messages ALTER message_type TYPE varchar(255);
         ALTER TABLE message_consumer_state ALTER event_set TYPE varchar(1000)",
    )
    .unwrap();
    place(&mut bus, 2..3);
    let consumer = MessageConsumer::external("all", |_: &Message<Orders>| Ok(()));
    assert_handles(move || pool.get().unwrap(), bus, consumer, "cached plan");
}

/// The messages are elsewhere, so only the lease shows that nothing is committed.
#[test]
fn a_consumer_recovers_when_only_its_state_is_on_spoiled_connections() {
    let database = Mariadb::create();
    let messages = InMemoryMessageBus::default();
    place(&mut messages.clone(), 1..3);
    let pool = spoiled::<MysqlConnection>(database.url(), 2, "SET autocommit = 0");
    let connect = move || MessageBus::new(messages.messages.clone(), pool.get().unwrap());
    let consumer = MessageConsumer::external("all", |_: &Message<Orders>| Ok(()));
    assert_handles(connect, database.connect(), consumer, "autocommit = 0");
}

/// The connection leads to another database, where the cursor does not count.
#[test]
fn a_consumer_stops_only_if_another_connection_has_a_broken_cursor_too() {
    let (database, other, state) = (Postgres::create(), Postgres::create(), Postgres::create());
    place(&mut database.connect(), 1..2);
    let mut joined = MessageBus::new(database.connect(), state.connect());
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    assert_eq!(consumer.handle_new_messages(&mut joined).unwrap(), 1);
    place(&mut database.connect(), 2..3);
    let schema = other.url().rsplit_once("%3D").unwrap().1.to_owned();
    let spoil = format!("SET search_path = {schema}");
    let pool = spoiled::<PgConnection>(database.url(), 1, &spoil);
    let state = Arc::new(state);
    let states = Arc::clone(&state);
    let connect = move || MessageBus::new(pool.get().unwrap(), states.connect());
    let consumer = MessageConsumer::external("all", |_: &Message<Orders>| Ok(()));
    assert_handles(connect, state.connect(), consumer, &spoil);
}

#[test]
fn a_lease_is_renewed_although_the_pool_has_spoiled_connections() {
    let database = Postgres::create();
    place(&mut database.connect(), 1..2);
    let spoil = "SET default_transaction_read_only = on";
    let pool = spoiled::<PgConnection>(database.url(), 3, spoil);
    let lease = Duration::from_millis(900);
    let gate = Gate::default();
    let passed = gate.clone();
    let handler = move |_: &Message<Orders>| {
        passed.pass();
        Ok(())
    };
    let consumer = MessageConsumer::<Orders>::external("all", handler).lease_duration(lease);
    let running = Runner::new(move || pool.get())
        .retry(quick_retry())
        .consumer(consumer)
        .start();
    gate.wait_for_arrivals(1);
    let mut bus = database.connect();
    super::renewals::assert_kept(&mut bus, "all", lease);
    gate.open();
    wait_until("the message is handled", || cursor(&mut bus, "all") == 1);
    running.stop_within(Duration::from_secs(10)).unwrap();
    assert_eq!(gate.arrivals(), 1);
}

/// Counts the connections that a pool opens.
#[derive(Debug)]
struct Counting(std::sync::Mutex<std::sync::mpsc::Sender<()>>);

impl<C> CustomizeConnection<C, diesel::r2d2::Error> for Counting {
    fn on_acquire(&self, _connection: &mut C) -> Result<(), diesel::r2d2::Error> {
        // The receiver lives as long as the test.
        let _counted = self.0.lock().unwrap().send(());
        Ok(())
    }
}

/// A server that stays read-only is asked again and again, but not without a pause.
#[test]
fn a_consumer_waits_before_each_new_connection() {
    let database = Postgres::create();
    place(&mut database.connect(), 1..2);
    let (sender, opened) = channel();
    let address = format!("{}%20-cdefault_transaction_read_only%3Don", database.url());
    let pool = Pool::builder()
        .max_size(1)
        .connection_customizer(Box::new(Counting(std::sync::Mutex::new(sender))))
        .build(ConnectionManager::<PgConnection>::new(address))
        .unwrap();
    let consumer = MessageConsumer::external("all", |_: &Message<Orders>| Ok(()));
    let running = Runner::new(move || pool.get()).consumer(consumer).start();
    for _ in 0..3 {
        opened.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    std::thread::sleep(Duration::from_secs(1));
    running.stop_within(Duration::from_secs(10)).unwrap();
    let further = opened.try_iter().count();
    assert!(further < 20, "{further} connections in a second");
}
