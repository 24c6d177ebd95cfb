//! Connections that the threads of their consumers drive.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Integer};
use diesel::{PgConnection, QueryResult, RunQueryDsl};
use diesel_async::{
    AsyncConnection, AsyncMysqlConnection, AsyncPgConnection, SimpleAsyncConnection,
};
use persisting_message_bus::asynchronous::{MessageConsumer, Runner, open_dedicated};
use persisting_message_bus::{Message, MessageDispatcher, ParallelConsumer};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Server};
use persisting_message_bus_tests::topics::{OrderCancelled, Orders};
use persisting_message_bus_tests::waiting::wait_until;
use tokio::time::sleep;

use crate::{SOON, current_thread, multi_thread, place, quick};

const CREATE: &str = "CREATE TABLE effects (number BIGINT NOT NULL)";

/// Creates a database with messages of so many orders, and a table `effects`.
fn with_orders<D: Database>(orders: u64) -> (D, D::Bus)
where
    D::Bus: SimpleConnection,
{
    let database = D::create();
    let mut connection = database.connect();
    place(&mut connection, 0..orders);
    SimpleConnection::batch_execute(&mut connection, CREATE).unwrap();
    (database, connection)
}

async fn write<C: SimpleAsyncConnection>(connection: &mut C, number: u64) -> QueryResult<()> {
    let insert = format!("INSERT INTO effects VALUES ({number})");
    connection.batch_execute(&insert).await
}

/// The handler needs the runtime's timers, its tasks and the connection, all at the same time.
macro_rules! everything_works_in_a_handler {
    ($test:ident, $database:ty, $connection:ty) => {
        #[test]
        fn $test() {
            for runtime in [current_thread(), multi_thread()] {
                let (database, mut connection) = with_orders::<$database>(5);
                let url = database.url();
                let handler = async |connection: &mut $connection, message: &Message<Orders>| {
                    let order = message.payload().order();
                    let doubled = tokio::spawn(async move {
                        sleep(Duration::from_millis(1)).await;
                        2 * order
                    });
                    sleep(Duration::from_millis(1)).await;
                    write(connection, doubled.await?).await?;
                    Ok(())
                };
                let writer = MessageConsumer::<Orders>::transactional("writer", handler);
                let hook = async |connection: &mut $connection| Ok(write(connection, 100).await?);
                let writer = writer.before_replay(hook);
                let mailer =
                    MessageConsumer::<Orders>::external("mailer", async |_: &Message<_>| {
                        tokio::spawn(sleep(Duration::from_millis(1))).await?;
                        Ok(())
                    });
                runtime.block_on(async {
                    let connect = async move || <$connection>::establish(&url).await;
                    let runner = quick(Runner::on_dedicated_connections(connect));
                    let running = runner.consumer(writer).consumer(mailer).start();
                    running.caught_up_within(SOON).await.unwrap();
                    let ended = running.stop_within(SOON).await.unwrap();
                    assert!(ended.iter().all(|exit| exit.error.is_none()), "{ended:?}");
                });
                let effects = sql::<BigInt>("SELECT number FROM effects ORDER BY number");
                let effects = effects.load::<i64>(&mut connection).unwrap();
                assert_eq!(effects, [0, 2, 4, 6, 8, 100]);
            }
        }
    };
}

everything_works_in_a_handler!(
    everything_works_in_a_handler_on_postgres,
    Postgres,
    AsyncPgConnection
);
everything_works_in_a_handler!(
    everything_works_in_a_handler_on_mariadb,
    Mariadb,
    AsyncMysqlConnection
);

/// Each thread of a consumer that is divided drives its own connection.
#[test]
fn threads_drive_their_connections() {
    let (database, mut connection) = with_orders::<Postgres>(40);
    let url = database.url();
    let make = || {
        MessageConsumer::<Orders>::transactional(
            "writer",
            async |connection: &mut AsyncPgConnection, message: &Message<Orders>| {
                write(connection, message.payload().order()).await?;
                Ok(())
            },
        )
    };
    let consumer = ParallelConsumer::unordered(make).segments(8).threads(3);
    multi_thread().block_on(async {
        let connect = async move || AsyncPgConnection::establish(&url).await;
        let runner = quick(Runner::on_dedicated_connections(connect));
        let running = runner.parallel(consumer).start();
        running.caught_up_within(SOON).await.unwrap();
        running.stop_within(SOON).await.unwrap();
    });
    assert_eq!(effects(&mut connection), Vec::from_iter(0..40));
}

fn effects(connection: &mut PgConnection) -> Vec<i64> {
    let effects = sql::<BigInt>("SELECT number FROM effects ORDER BY number");
    effects.load(connection).unwrap()
}

/// A session that the server ends is replaced, also in the middle of a handler.
#[test]
fn a_lost_connection_is_opened_again() {
    let (database, mut connection) = with_orders::<Postgres>(5);
    let url = database.url();
    let mut losses = 1;
    let handler = async move |connection: &mut AsyncPgConnection, message: &Message<Orders>| {
        let order = message.payload().order();
        write(connection, order).await?;
        if order == 3 && losses > 0 {
            losses -= 1;
            let own = "SELECT pg_terminate_backend(pg_backend_pid())";
            connection.batch_execute(own).await?;
        }
        Ok(())
    };
    multi_thread().block_on(async {
        let connect = async move || AsyncPgConnection::establish(&url).await;
        let runner = quick(Runner::on_dedicated_connections(connect));
        let writer = MessageConsumer::<Orders>::transactional("writer", handler);
        let running = runner.consumer(writer).start();
        running.caught_up_within(SOON).await.unwrap();
        running.stop_within(SOON).await.unwrap();
    });
    assert_eq!(effects(&mut connection), Vec::from_iter(0..5));
}

/// A page of many packets arrives whole, and so do rows that are larger than a packet.
#[test]
fn pages_of_many_packets_are_whole() {
    let database = Postgres::create();
    let mut connection = database.connect();
    let batch = (0..3_000).map(|number| {
        let size = if number % 500 == 0 { 100_000 } else { 10 };
        OrderCancelled {
            order: number,
            reason: Some("x".repeat(size)),
        }
    });
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut connection, batch)
        .unwrap();
    let url = database.url();
    let mut bus = open_dedicated(async move || AsyncPgConnection::establish(&url).await).unwrap();
    let runtime = current_thread();
    let _entered = runtime.enter();
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let consumer = MessageConsumer::<Orders>::external("all", async move |message| {
        sender.send(message.payload().order())?;
        Ok(())
    });
    assert_eq!(
        consumer.page_size(3_000).handle_page(&mut bus).unwrap(),
        3_000
    );
    for number in 0..3_000 {
        assert_eq!(seen.try_recv(), Ok(number));
    }
}

#[test]
fn the_error_of_opening_is_returned() {
    let refused =
        open_dedicated(async || AsyncPgConnection::establish("postgres://localhost:1").await);
    let text = refused.err().unwrap().to_string();
    assert!(text.contains("connect"), "{text}");
}

/// What drives the connection is dropped with it, which blocks nothing and ends the session.
#[test]
fn a_bus_can_be_dropped_in_a_task() {
    let database = Postgres::create();
    for runtime in [current_thread(), multi_thread()] {
        let url = database.url();
        let mut bus =
            open_dedicated(async move || AsyncPgConnection::establish(&url).await).unwrap();
        let session = sql::<Integer>("SELECT pg_backend_pid()").get_result::<i32>(&mut bus);
        let session = session.unwrap();
        runtime.block_on(async move { drop(bus) });
        let mut connection = database.connect();
        let is_open = format!("SELECT 1 FROM pg_stat_activity WHERE pid = {session}");
        wait_until("the session has ended", || {
            let open = sql::<Integer>(&is_open).load::<i32>(&mut connection);
            open.unwrap().is_empty()
        });
    }
}
