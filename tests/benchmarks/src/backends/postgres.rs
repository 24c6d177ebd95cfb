use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use persisting_message_bus::Nudge;
use persisting_message_bus::diesel::migrate;
use persisting_message_bus::diesel::postgres::Notifications;
use persisting_message_bus_tests::servers::PostgresServer;

use super::Backend;
use crate::{Failure, raw};

pub struct Postgres(PostgresServer);

impl Postgres {
    pub fn start() -> Self {
        Self(PostgresServer::start_with(&["fsync=on"]))
    }

    fn execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(Self::connect(&self.0.url())?.batch_execute(sql)?)
    }
}

impl Backend for Postgres {
    const NAME: &'static str = "postgres";
    const MOST_PUBLISHERS: usize = 64;

    type Connection = PgConnection;
    type Raw = raw::Postgres;

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
        self.execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
    }

    fn connect(url: &str) -> Result<PgConnection, Failure> {
        Ok(PgConnection::establish(url)?)
    }

    fn connect_raw(url: &str) -> Result<raw::Postgres, Failure> {
        raw::Postgres::connect(url)
    }

    const NOTIFIES: bool = true;

    fn notification(url: &str, nudge: Nudge) -> Box<dyn Fn()> {
        let connector = |url: &str| {
            let url = url.to_owned();
            move || PgConnection::establish(&url)
        };
        let listener = Notifications::default().listener(connector(url), nudge);
        let notifier = Notifications::default().notifier(connector(url));
        Box::new(move || {
            // It listens as long as somebody notifies.
            let _listening = &listener;
            notifier.notify();
        })
    }

    fn settle(url: &str) -> Result<(), Failure> {
        Ok(Self::connect(url)?.batch_execute("VACUUM ANALYZE")?)
    }
}
