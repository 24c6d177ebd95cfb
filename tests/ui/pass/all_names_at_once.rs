//! The names of the library do not hide those of Diesel.

use diesel::prelude::*;
use persisting_message_bus::*;

fn place(connection: &mut SqliteConnection) -> Result<usize, Error> {
    Ok(diesel::sql_query("SELECT 1").execute(connection)?)
}

fn main() {
    let mut connection = SqliteConnection::establish(":memory:").unwrap();
    sql::migrate(&mut connection).unwrap();
    place(&mut connection).unwrap();
    let placed = connection.transaction(|connection| {
        diesel::sql_query("SELECT 1").execute(connection)?;
        Ok::<_, persisting_message_bus::Error>(1)
    });
    assert_eq!(placed.unwrap(), 1);
}
