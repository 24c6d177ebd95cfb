use diesel::connection::SimpleConnection;
use diesel::{Connection, ExpressionMethods, PgConnection, QueryResult, RunQueryDsl, insert_into};
use persisting_message_bus::sql::migrate;

use super::{Backend, handled};
use crate::Failure;

/// The address of a database on the server.
pub struct Postgres(pub String);

impl Postgres {
    fn execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(Self::connect(&self.0)?.batch_execute(sql)?)
    }
}

impl Backend for Postgres {
    const NAME: &'static str = "postgres";

    type Connection = PgConnection;

    fn create(&self, name: &str) -> Result<String, Failure> {
        self.execute(&format!("CREATE DATABASE {name}"))?;
        let (server, _) = self
            .0
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

    fn settle(url: &str) -> Result<(), Failure> {
        Ok(Self::connect(url)?.batch_execute("VACUUM ANALYZE")?)
    }

    fn insert_handled(connection: &mut PgConnection, order: i64) -> QueryResult<usize> {
        let row = handled::order_number.eq(order);
        insert_into(handled::table).values(row).execute(connection)
    }
}
