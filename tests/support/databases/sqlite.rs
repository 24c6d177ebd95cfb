use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use diesel::{Connection, RunQueryDsl, SqliteConnection};
use persisting_message_bus::sql::migrate;
use persisting_message_bus::sql::sqlite::{Durability, Settings};
use tempfile::TempDir;

use super::Database;

/// A SQLite file, with plain connections.
pub struct Sqlite {
    folder: TempDir,
}

impl Sqlite {
    /// Returns the path of the file.
    pub fn path(&self) -> String {
        let path = self.folder.path().join("bus.db");
        path.to_str().expect("a path in UTF-8").to_owned()
    }
}

/// Connects to a SQLite file that has the bus's tables.
pub fn connect_sqlite(path: &str) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(path).expect("a file to open");
    settings().apply(&mut connection).expect("settings");
    connection
}

/// Returns settings that survive a killed process but not a power failure, which is enough for
/// tests.
fn settings() -> Settings {
    Settings::default()
        .durability(Durability::Normal)
        .busy_timeout(std::time::Duration::from_secs(60))
}

impl Database for Sqlite {
    type Bus = SqliteConnection;

    fn create() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = Self { folder };
        migrate(&mut database.connect()).expect("migrations");
        database
    }

    fn connect(&self) -> SqliteConnection {
        connect_sqlite(&self.path())
    }

    fn key_slots(&self) -> Vec<i16> {
        diesel::dsl::sql::<diesel::sql_types::SmallInt>(super::KEY_SLOTS)
            .load(&mut self.connect())
            .expect("the slots")
    }
}

/// A SQLite file, with connections from an r2d2 pool.
pub struct PooledSqlite {
    pool: Pool<ConnectionManager<SqliteConnection>>,
    file: Sqlite,
}

impl Database for PooledSqlite {
    type Bus = PooledConnection<ConnectionManager<SqliteConnection>>;

    fn create() -> Self {
        let file = Sqlite::create();
        let pool = Pool::builder()
            .max_size(16)
            .min_idle(Some(1))
            .connection_customizer(Box::new(settings()))
            .build(ConnectionManager::new(file.path()))
            .expect("a pool");
        Self { pool, file }
    }

    fn connect(&self) -> Self::Bus {
        self.pool.get().expect("a connection")
    }

    fn key_slots(&self) -> Vec<i16> {
        self.file.key_slots()
    }
}
