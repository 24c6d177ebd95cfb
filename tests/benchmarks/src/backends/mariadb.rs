use diesel::connection::SimpleConnection;
use diesel::{Connection, MysqlConnection};
use persisting_message_bus::diesel::migrate;
use persisting_message_bus_tests::servers::MariadbServer;

use super::Backend;
use crate::{Failure, raw};

pub struct Mariadb(MariadbServer);

impl Mariadb {
    pub fn start() -> Self {
        let durable = "--innodb-flush-log-at-trx-commit=1";
        Self(MariadbServer::start_with(&[durable]))
    }

    fn execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(Self::connect(&self.0.url())?.batch_execute(sql)?)
    }
}

impl Backend for Mariadb {
    const NAME: &'static str = "mariadb";
    const MOST_PUBLISHERS: usize = 64;

    type Connection = MysqlConnection;
    type Raw = raw::Mariadb;

    fn create(&self, name: &str) -> Result<String, Failure> {
        self.execute(&format!("CREATE DATABASE {name}"))?;
        let server = self.0.url();
        let (server, _) = server
            .rsplit_once('/')
            .ok_or("a server without a database")?;
        let url = format!("{server}/{name}");
        migrate(&mut Self::connect(&url)?)?;
        Ok(url)
    }

    fn remove(&self, url: &str) -> Result<(), Failure> {
        let (_, name) = url
            .rsplit_once('/')
            .ok_or("an address without a database")?;
        self.execute(&format!("DROP DATABASE {name}"))
    }

    fn connect(url: &str) -> Result<MysqlConnection, Failure> {
        Ok(MysqlConnection::establish(url)?)
    }

    /// Over the port, as the library.
    fn connect_raw(url: &str) -> Result<raw::Mariadb, Failure> {
        raw::Mariadb::connect(&format!("{url}?prefer_socket=false"))
    }

    fn settle(url: &str) -> Result<(), Failure> {
        let analyze = "ANALYZE TABLE public_messages";
        Ok(Self::connect(url)?.batch_execute(analyze)?)
    }
}
