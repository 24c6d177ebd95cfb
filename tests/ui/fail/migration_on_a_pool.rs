use diesel::PgConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use persisting_message_bus::sql::migrate;

fn create_tables(mut pool: Pool<ConnectionManager<PgConnection>>) {
    let _ = migrate(&mut pool);
}

fn main() {}
