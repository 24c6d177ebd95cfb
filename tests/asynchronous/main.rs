//! Consumers with async handlers, on threads that await.

mod arriving;
mod causes;
mod dedicated;
mod ending;
mod handlers;
mod migrating;
mod pools;
mod round_trips;
mod runtimes;

use std::time::Duration;

use diesel::QueryResult;
use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use persisting_message_bus::asynchronous::{Blocking, Runner};
use persisting_message_bus::backend::{MessageConsumerState, MessageRepository, MessageSource};
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{MessageDispatcher, RetryPolicy};
use persisting_message_bus_tests::databases::{Database, Postgres, Server};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use tokio::runtime::{Builder, Runtime};

/// A pooled connection, as a handler receives it.
type Pooled = Object<AsyncPgConnection>;

/// The time in which everything must happen.
const SOON: Duration = Duration::from_secs(30);

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// A schema with a pool of async connections, and a table `effects`.
struct Shop {
    pool: Pool<AsyncPgConnection>,
    database: Postgres,
}

impl Shop {
    /// Creates a schema with messages of so many orders.
    fn with_orders(orders: u64) -> Self {
        let database = Postgres::create();
        let mut connection = database.connect();
        place(&mut connection, 0..orders);
        let create = "CREATE TABLE effects (number BIGINT NOT NULL)";
        diesel::connection::SimpleConnection::batch_execute(&mut connection, create).unwrap();
        let manager = AsyncDieselConnectionManager::new(database.url());
        let pool = Pool::builder(manager).max_size(8).build().unwrap();
        Self { pool, database }
    }

    /// Returns a runner on the pool.
    fn runner(&self) -> Runner<Blocking<Pooled>> {
        quick(Runner::on_pool(self.pool.clone()))
    }

    /// Returns the effects in their order.
    async fn effects(&self) -> Vec<i64> {
        use diesel_async::RunQueryDsl;
        let mut connection = self.pool.get().await.unwrap();
        sql::<BigInt>("SELECT number FROM effects ORDER BY number")
            .load(&mut connection)
            .await
            .unwrap()
    }
}

/// Writes an effect.
async fn write(connection: &mut Pooled, number: u64) -> QueryResult<()> {
    let insert = format!("INSERT INTO effects VALUES ({number})");
    connection.batch_execute(&insert).await
}

/// Returns a runner on a bus in memory.
fn in_memory(bus: &InMemoryMessageBus) -> Runner<InMemoryMessageBus> {
    let bus = bus.clone();
    quick(Runner::on_sync_connections(move || {
        Ok::<_, std::io::Error>(bus.clone())
    }))
}

/// Returns the runner with short delays.
fn quick<B>(runner: Runner<B>) -> Runner<B>
where
    B: MessageSource + MessageConsumerState + Send + 'static,
{
    let retry = RetryPolicy::default()
        .initial_delay(Duration::from_millis(2))
        .max_delay(Duration::from_millis(50))
        .max_attempts(3);
    runner.idle_interval(Duration::from_millis(50)).retry(retry)
}

fn place(bus: &mut impl MessageRepository, numbers: std::ops::Range<u64>) {
    let batch = numbers.map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, batch)
        .unwrap();
}
