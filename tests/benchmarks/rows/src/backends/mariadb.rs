use diesel::connection::SimpleConnection;
use diesel::{
    Connection, ExpressionMethods, MysqlConnection, QueryResult, RunQueryDsl, insert_into,
};
use persisting_message_bus::sql::migrate;

use super::{Backend, handled};
use crate::Failure;

/// The address of a database on the server.
pub struct Mariadb(pub String);

impl Mariadb {
    fn execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(Self::connect(&self.0)?.batch_execute(sql)?)
    }
}

impl Backend for Mariadb {
    const NAME: &'static str = "mariadb";

    type Connection = MysqlConnection;

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
        self.execute(&format!("DROP DATABASE {name}"))
    }

    fn connect(url: &str) -> Result<MysqlConnection, Failure> {
        Ok(MysqlConnection::establish(url)?)
    }

    fn settle(url: &str) -> Result<(), Failure> {
        let analyze = "ANALYZE TABLE public_messages";
        Ok(Self::connect(url)?.batch_execute(analyze)?)
    }

    fn insert_handled(connection: &mut MysqlConnection, order: i64) -> QueryResult<usize> {
        let row = handled::order_number.eq(order);
        insert_into(handled::table).values(row).execute(connection)
    }
}
