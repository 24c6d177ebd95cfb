use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, Pool, PooledConnection};
use diesel::{Connection, PgConnection};
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::sql::migrate;
use uuid::Uuid;

use super::{Database, Server};
use crate::servers::postgres_url;

/// A schema on the tests' PostgreSQL server, with plain connections that have it on their search
/// path.
pub struct Postgres {
    schema: String,
}

fn connect_to_server() -> PgConnection {
    PgConnection::establish(&postgres_url()).expect("a connection to PostgreSQL")
}

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

    fn key_slots(&self) -> Vec<i16> {
        diesel::dsl::sql::<diesel::sql_types::SmallInt>(super::KEY_SLOTS)
            .load(&mut self.connect())
            .expect("the slots")
    }
}

impl Server for Postgres {
    type Plain = PgConnection;

    fn url(&self) -> String {
        format!("{}?options=-csearch_path%3D{}", postgres_url(), self.schema)
    }

    fn connect_to(url: &str) -> PgConnection {
        PgConnection::establish(url).expect("a connection to PostgreSQL")
    }

    fn begin_with(connection: &mut PgConnection, isolation: &str) {
        connection.begin().expect("a transaction");
        connection
            .batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {isolation}"))
            .expect("an isolation level");
    }

    /// Counts the fences of this schema, whose sequence is part of their keys.
    fn fences(connection: &mut PgConnection) -> usize {
        let count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
            AND pid = ANY (SELECT pid FROM pg_locks
                WHERE relation = 'public_messages'::regclass AND pid <> pg_backend_pid())";
        let count: i64 = diesel::dsl::sql::<diesel::sql_types::BigInt>(count)
            .get_result(connection)
            .expect("a count");
        usize::try_from(count).expect("a count")
    }
}

/// A role that may only publish, on a message table with row-level security. `policies` are the
/// statements that create the table's policies. The connection has the role until `drop_role`.
pub fn become_publisher(connection: &mut PgConnection, policies: &str) -> String {
    become_role(connection, |role| {
        format!(
            "GRANT INSERT, SELECT ON public_messages TO {role};
             GRANT USAGE ON SEQUENCE public_messages_id_seq TO {role};
             ALTER TABLE public_messages ENABLE ROW LEVEL SECURITY;
             {policies};"
        )
    })
}

/// A role with no rights but USAGE on the schema, and those that the statements grant.
pub fn become_role(connection: &mut PgConnection, grants: impl FnOnce(&str) -> String) -> String {
    let role = format!("role_{}", Uuid::now_v7().simple());
    let become_it = format!(
        "CREATE ROLE {role};
         DO $$ BEGIN EXECUTE 'GRANT USAGE ON SCHEMA ' || current_schema() || ' TO {role}'; END $$;
         {}
         SET ROLE {role}",
        grants(&role)
    );
    connection.batch_execute(&become_it).expect("a role");
    role
}

/// Ends that.
pub fn drop_role(connection: &mut PgConnection, role: &str) {
    let drop = format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}");
    connection.batch_execute(&drop).expect("no role");
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let drop = format!(
            "SET client_min_messages = warning; DROP SCHEMA {} CASCADE",
            self.schema
        );
        // The test may have ended in a transaction, or have shut down the server.
        if let Ok(mut connection) = PgConnection::establish(&postgres_url()) {
            let limited = format!("SET lock_timeout = '2s'; {drop}");
            let _not_dropped = connection.batch_execute(&limited);
        }
    }
}

/// A database of its own on the tests' PostgreSQL server. Tests can replace the server's functions
/// and views in it.
pub struct OwnPostgres {
    name: String,
}

impl OwnPostgres {
    /// Creates a database without tables.
    pub fn create_empty() -> Self {
        let name = format!("bus_{}", Uuid::now_v7().simple());
        connect_to_server()
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .expect("a database");
        Self { name }
    }

    /// Runs statements that change the server's own functions and views in this database.
    pub fn change_catalog(&self, statements: &str) {
        let mut connection = self.connect();
        connection
            .batch_execute("SET allow_system_table_mods = on")
            .and_then(|()| connection.batch_execute(statements))
            .expect("a changed catalog");
    }
}

impl Database for OwnPostgres {
    type Bus = PgConnection;

    fn create() -> Self {
        let database = Self::create_empty();
        migrate(&mut database.connect()).expect("migrations");
        database
    }

    fn connect(&self) -> PgConnection {
        let url = postgres_url();
        let (server, _) = url.rsplit_once('/').expect("a URL with a database");
        let url = format!("{server}/{}", self.name);
        PgConnection::establish(&url).expect("a connection to PostgreSQL")
    }

    fn key_slots(&self) -> Vec<i16> {
        diesel::dsl::sql::<diesel::sql_types::SmallInt>(super::KEY_SLOTS)
            .load(&mut self.connect())
            .expect("the slots")
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        if let Ok(mut connection) = PgConnection::establish(&postgres_url()) {
            let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
            let _not_dropped = connection.batch_execute(&drop);
        }
    }
}

/// A schema on the tests' PostgreSQL server, with connections from an r2d2 pool.
pub struct PooledPostgres {
    pool: Pool<ConnectionManager<PgConnection>>,
    schema: Postgres,
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
            .max_size(64)
            .min_idle(Some(1))
            .connection_customizer(Box::new(InSchema(schema.schema.clone())))
            .build(ConnectionManager::new(postgres_url()))
            .expect("a pool");
        Self { pool, schema }
    }

    fn connect(&self) -> Self::Bus {
        self.pool.get().expect("a connection")
    }

    fn key_slots(&self) -> Vec<i16> {
        self.schema.key_slots()
    }
}
