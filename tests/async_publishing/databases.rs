//! Async connections to the databases of the other tests.

use std::future::Future;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl};
use persisting_message_bus::asynchronous::MessageRepository;
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Server, Sqlite};

/// A database, with async connections, and with the sync ones of the other tests.
pub trait AsyncDatabase: Send + 'static {
    type Sync: Database;
    type Connection: AsyncConnection<Backend = Self::Backend> + MessageRepository + 'static;
    type Backend: persisting_message_bus::sql::PublishBackend;

    /// Whether several transactions can write at once.
    const HAS_MANY_WRITERS: bool = true;
    /// Whether a statement after a failed one fails, too, until the transaction ends.
    const FAILED_STATEMENTS_END_TRANSACTIONS: bool = false;

    fn create() -> Self;

    fn sync(&self) -> &Self::Sync;

    fn connect(&self) -> impl Future<Output = Self::Connection> + Send;

    /// The number of messages of a batch that takes a transaction of its own, if duplicates are ignored.
    const LARGE_BATCH: u64 = 3;

    /// Returns the number of a connection's session. `None` for a database without sessions.
    fn session(
        &self,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Option<i64>> + Send;

    /// Ends a session, as a restart of the server does.
    fn end(&self, session: i64);
}

#[derive(diesel::QueryableByName)]
struct Session {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    id: i64,
}

/// Implements the sessions of a server.
macro_rules! sessions {
    ($own:literal, $end:literal) => {
        async fn session(&self, connection: &mut Self::Connection) -> Option<i64> {
            let session = diesel::sql_query($own)
                .get_result::<Session>(connection)
                .await;
            Some(session.expect("a session").id)
        }

        fn end(&self, session: i64) {
            let end = $end.replace("{}", &session.to_string());
            self.sync().connect().batch_execute(&end).expect("an end");
        }
    };
}

pub struct AsyncPostgres(Postgres);
pub struct PooledAsyncPostgres {
    database: Postgres,
    pool: Pool<AsyncPgConnection>,
}
pub struct AsyncMariadb(Mariadb);
pub struct AsyncSqlite(Sqlite);

/// Runs a test on a runtime with several threads.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(test)
}

impl AsyncDatabase for AsyncPostgres {
    type Sync = Postgres;
    type Connection = AsyncPgConnection;
    type Backend = diesel::pg::Pg;

    const FAILED_STATEMENTS_END_TRANSACTIONS: bool = true;

    fn create() -> Self {
        Self(Postgres::create())
    }

    fn sync(&self) -> &Postgres {
        &self.0
    }

    async fn connect(&self) -> AsyncPgConnection {
        let connected = AsyncPgConnection::establish(&self.0.url()).await;
        connected.expect("a connection")
    }

    const LARGE_BATCH: u64 = 2_001;

    sessions! { "SELECT pg_backend_pid()::bigint AS id", "SELECT pg_terminate_backend({})" }
}

impl AsyncDatabase for PooledAsyncPostgres {
    type Sync = Postgres;
    type Connection = Object<AsyncPgConnection>;
    type Backend = diesel::pg::Pg;

    const FAILED_STATEMENTS_END_TRANSACTIONS: bool = true;

    fn create() -> Self {
        let database = Postgres::create();
        let manager = AsyncDieselConnectionManager::new(database.url());
        let pool = Pool::builder(manager).max_size(16).build().expect("a pool");
        Self { database, pool }
    }

    fn sync(&self) -> &Postgres {
        &self.database
    }

    async fn connect(&self) -> Object<AsyncPgConnection> {
        self.pool.get().await.expect("a connection")
    }

    const LARGE_BATCH: u64 = 2_001;

    sessions! { "SELECT pg_backend_pid()::bigint AS id", "SELECT pg_terminate_backend({})" }
}

impl AsyncDatabase for AsyncMariadb {
    type Sync = Mariadb;
    type Connection = AsyncMysqlConnection;
    type Backend = diesel::mysql::Mysql;

    fn create() -> Self {
        Self(Mariadb::create())
    }

    fn sync(&self) -> &Mariadb {
        &self.0
    }

    async fn connect(&self) -> AsyncMysqlConnection {
        let connected = AsyncMysqlConnection::establish(&self.0.url()).await;
        connected.expect("a connection")
    }

    sessions! { "SELECT connection_id() AS id", "KILL CONNECTION {}" }
}

impl AsyncDatabase for AsyncSqlite {
    type Sync = Sqlite;
    type Connection = SyncConnectionWrapper<SqliteConnection>;
    type Backend = diesel::sqlite::Sqlite;

    const HAS_MANY_WRITERS: bool = false;

    fn create() -> Self {
        Self(Sqlite::create())
    }

    fn sync(&self) -> &Sqlite {
        &self.0
    }

    async fn connect(&self) -> SyncConnectionWrapper<SqliteConnection> {
        SyncConnectionWrapper::new(self.0.connect())
    }

    async fn session(&self, _: &mut Self::Connection) -> Option<i64> {
        None
    }

    fn end(&self, _: i64) {}
}
