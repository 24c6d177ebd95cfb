//! Migrations on async connections, in a runtime of one thread.

use diesel::SqliteConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{
    AsyncConnection, AsyncMysqlConnection, AsyncPgConnection, SimpleAsyncConnection,
};
use persisting_message_bus::asynchronous::{Blocking, migrate};
use persisting_message_bus::backend::{MessageRepository, MessageSource};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Server};

use crate::{current_thread, place};

/// Empties the database, migrates twice, and publishes.
async fn assert_migrates<C>(mut connection: C, empty: &str)
where
    C: AsyncConnection<Backend: persisting_message_bus::sql::StoreBackend<Blocking<C>>> + 'static,
    Blocking<C>: MessageRepository + Send,
{
    connection.batch_execute(empty).await.unwrap();
    let connection = migrate(connection).await.unwrap();
    let connection = migrate(connection).await.unwrap();
    let mut bus = Blocking::from(connection);
    let head = tokio::task::spawn_blocking(move || {
        place(&mut bus, 0..1);
        bus.current_head("orders").unwrap()
    });
    assert_eq!(head.await.unwrap().get(), 1);
}

#[test]
fn tables_are_created_on_an_async_connection_of_sqlite() {
    current_thread().block_on(async {
        let connection = SyncConnectionWrapper::<SqliteConnection>::establish(":memory:");
        assert_migrates(connection.await.unwrap(), "SELECT 1").await;
    });
}

#[test]
fn tables_are_created_on_an_async_connection_of_postgres() {
    current_thread().block_on(async {
        let database = Postgres::create();
        let url = database.url();
        let (_, schema) = url.rsplit_once("%3D").unwrap();
        let empty = format!(
            "SET client_min_messages = warning; DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}"
        );
        let connection = AsyncPgConnection::establish(&url).await.unwrap();
        assert_migrates(connection, &empty).await;
    });
}

#[test]
fn tables_are_created_on_an_async_connection_of_mariadb() {
    current_thread().block_on(async {
        let database = Mariadb::create();
        let url = database.url();
        let (_, name) = url.rsplit_once('/').unwrap();
        let empty = format!("DROP DATABASE {name}; CREATE DATABASE {name}; USE {name}");
        let connection = AsyncMysqlConnection::establish(&url).await.unwrap();
        assert_migrates(connection, &empty).await;
    });
}

#[test]
fn a_failed_migration_is_an_error() {
    current_thread().block_on(async {
        let mut connection = SyncConnectionWrapper::<SqliteConnection>::establish(":memory:")
            .await
            .unwrap();
        let other = "CREATE TABLE public_messages (name TEXT)";
        connection.batch_execute(other).await.unwrap();
        let error = migrate(connection).await.err().unwrap();
        assert!(
            format!("{error:#}").contains("public_messages"),
            "{error:#}"
        );
    });
}
