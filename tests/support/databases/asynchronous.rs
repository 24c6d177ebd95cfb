//! Async connections, each on the thread of its test.

use std::sync::LazyLock;

use diesel::SqliteConnection;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncMysqlConnection, AsyncPgConnection};
use persisting_message_bus::asynchronous::{Blocking, Dedicated, open_dedicated};
use tokio::runtime::{EnterGuard, Runtime};

use super::{Database, Mariadb, Postgres, Server, Sqlite};

/// The runtime that drives the connections of all tests of a program.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

thread_local! {
    static IN_RUNTIME: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Enters the runtime of these connections.
pub fn entered() -> EnterGuard<'static> {
    RUNTIME.enter()
}

/// Opens a connection on this thread.
fn opened<C: AsyncConnection, E: std::fmt::Debug>(
    connection: impl Future<Output = Result<C, E>>,
) -> Blocking<C> {
    IN_RUNTIME.with(|in_runtime| {
        // The thread stays in the runtime, as that of a runner does.
        if !in_runtime.replace(true) {
            std::mem::forget(entered());
        }
    });
    Blocking::from(RUNTIME.block_on(connection).expect("a connection"))
}

/// A schema on the tests' PostgreSQL server, with async connections that their thread drives. Those from a
/// pool are driven by a runtime.
pub struct AsyncPostgres(Postgres);

impl Database for AsyncPostgres {
    type Bus = Dedicated<AsyncPgConnection>;

    fn create() -> Self {
        Self(Postgres::create())
    }

    fn connect(&self) -> Self::Bus {
        let url = self.0.url();
        open_dedicated(async || AsyncPgConnection::establish(&url).await).expect("a connection")
    }

    fn key_slots(&self) -> Vec<i16> {
        self.0.key_slots()
    }
}

/// A schema on the tests' PostgreSQL server, with async connections from a deadpool.
pub struct PooledAsyncPostgres {
    pool: Pool<AsyncPgConnection>,
    schema: Postgres,
}

impl Database for PooledAsyncPostgres {
    type Bus = Blocking<Object<AsyncPgConnection>>;

    fn create() -> Self {
        let schema = Postgres::create();
        let manager = AsyncDieselConnectionManager::new(schema.url());
        let pool = Pool::builder(manager).max_size(64).build();
        Self {
            pool: pool.expect("a pool"),
            schema,
        }
    }

    fn connect(&self) -> Self::Bus {
        opened(self.pool.get())
    }

    fn key_slots(&self) -> Vec<i16> {
        self.schema.key_slots()
    }
}

/// A database on the tests' MariaDB server, with async connections.
pub struct AsyncMariadb(Mariadb);

impl Database for AsyncMariadb {
    type Bus = Blocking<AsyncMysqlConnection>;

    fn create() -> Self {
        Self(Mariadb::create())
    }

    fn connect(&self) -> Self::Bus {
        opened(AsyncMysqlConnection::establish(&self.0.url()))
    }

    fn key_slots(&self) -> Vec<i16> {
        self.0.key_slots()
    }
}

/// A SQLite file, with async connections.
pub struct AsyncSqlite(Sqlite);

impl Database for AsyncSqlite {
    type Bus = Blocking<SyncConnectionWrapper<SqliteConnection>>;

    fn create() -> Self {
        Self(Sqlite::create())
    }

    fn connect(&self) -> Self::Bus {
        let connection = super::connect_sqlite(&self.0.path());
        opened(async { Ok::<_, diesel::ConnectionError>(SyncConnectionWrapper::new(connection)) })
    }

    fn key_slots(&self) -> Vec<i16> {
        self.0.key_slots()
    }
}
