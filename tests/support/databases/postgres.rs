use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, Pool, PooledConnection};
use diesel::{Connection, PgConnection};
use persisting_message_bus::diesel::migrate;
use uuid::Uuid;

use super::Database;

/// A schema on the tests' PostgreSQL server, with plain connections that find it by their search
/// path.
pub struct Postgres {
    schema: String,
}

impl Postgres {
    /// The name of the schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The address of this schema, for other programs.
    pub fn url(&self) -> String {
        format!("{}?options=-csearch_path%3D{}", server_url(), self.schema)
    }
}

fn server_url() -> String {
    std::env::var("POSTGRES_URL").expect("POSTGRES_URL")
}

fn connect_to_server() -> PgConnection {
    PgConnection::establish(&server_url()).expect("a connection to PostgreSQL")
}

/// The tables, once for all tests to copy: migrating is tested elsewhere, and takes longer.
impl Database for Postgres {
    type Bus = PgConnection;

    fn create() -> Self {
        let schema = format!("bus_{}", Uuid::now_v7().simple());
        let mut connection = connect_to_server();
        connection
            .batch_execute(&format!("CREATE SCHEMA {schema}"))
            .expect("a schema");
        let database = Self { schema };
        migrate(&mut database.connect()).expect("migrations");
        database
    }

    fn connect(&self) -> PgConnection {
        let mut connection = connect_to_server();
        let set = format!("SET search_path = {}", self.schema);
        connection.batch_execute(&set).expect("a search path");
        connection
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let drop = format!(
            "SET client_min_messages = warning; DROP SCHEMA {} CASCADE",
            self.schema
        );
        // A test may have ended within a transaction, or shut the server down.
        if let Ok(mut connection) = PgConnection::establish(&server_url()) {
            let limited = format!("SET lock_timeout = '2s'; {drop}");
            let _left_behind = connection.batch_execute(&limited);
        }
    }
}

/// A schema on the tests' PostgreSQL server, with connections from an r2d2 pool.
pub struct PooledPostgres {
    pool: Pool<ConnectionManager<PgConnection>>,
    _schema: Postgres,
}

#[derive(Debug)]
struct InSchema(String);

impl CustomizeConnection<PgConnection, Error> for InSchema {
    fn on_acquire(&self, connection: &mut PgConnection) -> Result<(), Error> {
        connection
            .batch_execute(&format!("SET search_path = {}", self.0))
            .map_err(Error::QueryError)
    }
}

impl Database for PooledPostgres {
    type Bus = PooledConnection<ConnectionManager<PgConnection>>;

    fn create() -> Self {
        let schema = Postgres::create();
        let pool = Pool::builder()
            .max_size(16)
            .min_idle(Some(1))
            .connection_customizer(Box::new(InSchema(schema.schema.clone())))
            .build(ConnectionManager::new(server_url()))
            .expect("a pool");
        Self {
            pool,
            _schema: schema,
        }
    }

    fn connect(&self) -> Self::Bus {
        self.pool.get().expect("a connection")
    }
}
