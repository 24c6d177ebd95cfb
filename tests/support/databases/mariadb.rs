use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use diesel::{Connection, MysqlConnection, RunQueryDsl};
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::sql::migrate;
use uuid::Uuid;

use super::{Database, Server};
use crate::servers::mariadb_url;

/// A database on the tests' MariaDB server, with plain connections.
pub struct Mariadb {
    name: String,
}

fn connect_to_server() -> MysqlConnection {
    MysqlConnection::establish(&mariadb_url()).expect("a connection to MariaDB")
}

impl Database for Mariadb {
    type Bus = MysqlConnection;

    fn create() -> Self {
        let name = format!("bus_{}", Uuid::now_v7().simple());
        connect_to_server()
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .expect("a database");
        let database = Self { name };
        migrate(&mut database.connect()).expect("migrations");
        database
    }

    fn connect(&self) -> MysqlConnection {
        Self::connect_to(&self.url())
    }

    fn key_slots(&self) -> Vec<i16> {
        diesel::dsl::sql::<diesel::sql_types::SmallInt>(super::KEY_SLOTS)
            .load(&mut self.connect())
            .expect("the slots")
    }
}

impl Server for Mariadb {
    type Plain = MysqlConnection;

    fn url(&self) -> String {
        let server = mariadb_url();
        let (server, _database) = server.rsplit_once('/').expect("an address with a database");
        format!("{server}/{}", self.name)
    }

    fn connect_to(url: &str) -> MysqlConnection {
        MysqlConnection::establish(url).expect("a connection to MariaDB")
    }

    fn begin_with(connection: &mut MysqlConnection, isolation: &str) {
        connection
            .batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {isolation}"))
            .expect("an isolation level");
        connection.begin().expect("a transaction");
    }

    fn fences(connection: &mut MysqlConnection) -> usize {
        let free = "SELECT slot FROM message_publisher_slots WHERE topic = 'orders' AND slot >= 0
            LOCK IN SHARE MODE SKIP LOCKED";
        let free: Vec<i32> = diesel::dsl::sql::<diesel::sql_types::Integer>(free)
            .load(connection)
            .expect("the free slots");
        64 - free.len()
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        // The test may have ended in a transaction, or have shut down the server.
        if let Ok(mut connection) = MysqlConnection::establish(&mariadb_url()) {
            let drop = format!("SET lock_wait_timeout = 2; DROP DATABASE {}", self.name);
            let _not_dropped = connection.batch_execute(&drop);
        }
    }
}

/// A database on the tests' MariaDB server, with connections from an r2d2 pool.
pub struct PooledMariadb {
    pool: Pool<ConnectionManager<MysqlConnection>>,
    database: Mariadb,
}

impl Database for PooledMariadb {
    type Bus = PooledConnection<ConnectionManager<MysqlConnection>>;

    fn create() -> Self {
        let database = Mariadb::create();
        let pool = Pool::builder()
            .max_size(16)
            .min_idle(Some(1))
            .build(ConnectionManager::new(database.url()))
            .expect("a pool");
        Self { pool, database }
    }

    fn connect(&self) -> Self::Bus {
        self.pool.get().expect("a connection")
    }

    fn key_slots(&self) -> Vec<i16> {
        self.database.key_slots()
    }
}
