//! Databases that keep what is committed when the power goes.

use diesel::{Connection, MysqlConnection, PgConnection, SqliteConnection};
use persisting_message_bus::diesel::{migrate, sqlite};
use persisting_message_bus::{MessageConsumerState, MessageRepository};
use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};
use tempfile::TempDir;

use crate::Failure;

/// A new database with the bus's tables.
pub trait Backend: Sized {
    const NAME: &'static str;

    type Connection: Connection + MessageRepository + MessageConsumerState + Send + 'static;

    fn start() -> Result<Self, Failure>;

    /// Its address.
    fn url(&self) -> String;

    fn connect(url: &str) -> Result<Self::Connection, Failure>;
}

pub struct Sqlite(TempDir);

impl Backend for Sqlite {
    const NAME: &'static str = "sqlite";

    type Connection = SqliteConnection;

    fn start() -> Result<Self, Failure> {
        let sqlite = Self(tempfile::tempdir()?);
        migrate(&mut Self::connect(&sqlite.url())?)?;
        Ok(sqlite)
    }

    fn url(&self) -> String {
        self.0.path().join("bus.db").display().to_string()
    }

    fn connect(url: &str) -> Result<SqliteConnection, Failure> {
        let mut connection = SqliteConnection::establish(url)?;
        sqlite::Settings::default().apply(&mut connection)?;
        Ok(connection)
    }
}

pub struct Postgres(PostgresServer);

impl Backend for Postgres {
    const NAME: &'static str = "postgres";

    type Connection = PgConnection;

    fn start() -> Result<Self, Failure> {
        let postgres = Self(PostgresServer::start_with(&["fsync=on"]));
        migrate(&mut Self::connect(&postgres.url())?)?;
        Ok(postgres)
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn connect(url: &str) -> Result<PgConnection, Failure> {
        Ok(PgConnection::establish(url)?)
    }
}

pub struct Mariadb(MariadbServer);

impl Backend for Mariadb {
    const NAME: &'static str = "mariadb";

    type Connection = MysqlConnection;

    fn start() -> Result<Self, Failure> {
        let durable = "--innodb-flush-log-at-trx-commit=1";
        let mariadb = Self(MariadbServer::start_with(&[durable]));
        migrate(&mut Self::connect(&mariadb.url())?)?;
        Ok(mariadb)
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn connect(url: &str) -> Result<MysqlConnection, Failure> {
        Ok(MysqlConnection::establish(url)?)
    }
}
