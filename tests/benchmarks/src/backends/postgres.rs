use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use persisting_message_bus::diesel::migrate;
use persisting_message_bus_tests::servers::PostgresServer;

use super::Backend;
use crate::{Failure, raw};

pub struct Postgres(PostgresServer);

impl Postgres {
    pub fn start() -> Self {
        Self(PostgresServer::start_with(&["fsync=on"]))
    }

    fn execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.connect(&self.0.url())?.batch_execute(sql)?)
    }
}

impl Backend for Postgres {
    type Connection = PgConnection;
    type Raw = raw::Postgres;

    const MOST_PUBLISHERS: usize = 64;

    fn name(&self) -> &'static str {
        "postgres"
    }

    fn create(&self, name: &str) -> Result<String, Failure> {
        self.execute(&format!("CREATE DATABASE {name}"))?;
        let server = self.0.url();
        let (server, _) = server
            .rsplit_once('/')
            .ok_or("a server without a database")?;
        let url = format!("{server}/{name}");
        migrate(&mut self.connect(&url)?)?;
        Ok(url)
    }

    fn remove(&self, url: &str) -> Result<(), Failure> {
        let (_, name) = url
            .rsplit_once('/')
            .ok_or("an address without a database")?;
        self.execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
    }

    fn connect(&self, url: &str) -> Result<PgConnection, Failure> {
        Ok(PgConnection::establish(url)?)
    }

    fn connect_raw(&self, url: &str) -> Result<raw::Postgres, Failure> {
        raw::Postgres::connect(url)
    }

    fn settle(&self, url: &str) -> Result<(), Failure> {
        Ok(self.connect(url)?.batch_execute("VACUUM ANALYZE")?)
    }
}
