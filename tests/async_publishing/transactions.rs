use diesel_async::{
    AsyncConnection, AsyncMysqlConnection, AsyncPgConnection, SimpleAsyncConnection,
    TransactionManager,
};
use persisting_message_bus::asynchronous::{MessageDispatcher, MessageRepository};
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{Correlation, Error, Headers, OnDuplicate, Position};
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use uuid::Uuid;

use crate::databases::{AsyncDatabase, AsyncMariadb, AsyncPostgres, PooledAsyncPostgres, run};

pub fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}

pub async fn begin<C: AsyncConnection>(connection: &mut C) {
    let begun = C::TransactionManager::begin_transaction(connection).await;
    begun.expect("a transaction");
}

pub async fn commit<C: AsyncConnection>(connection: &mut C) {
    let committed = C::TransactionManager::commit_transaction(connection).await;
    committed.expect("a commit");
}

pub async fn roll_back<C: AsyncConnection>(connection: &mut C) {
    let rolled_back = C::TransactionManager::rollback_transaction(connection).await;
    rolled_back.expect("a rollback");
}

/// Returns the orders whose messages are committed.
pub fn committed<D: AsyncDatabase>(database: &D) -> Vec<u64> {
    let name = Uuid::now_v7().to_string();
    persisting_message_bus_tests::consume_as(&name, &mut database.sync().connect())
}

/// Returns the number of messages that another connection sees.
fn visible<D: AsyncDatabase>(database: &D) -> usize {
    let mut connection = database.sync().connect();
    connection
        .backlog("orders", Position::START)
        .unwrap()
        .messages as usize
}

pub fn a_message_is_visible_if_and_only_if_its_transaction_commits<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        for (order, commits) in [(1, true), (2, false), (3, true)] {
            begin(&mut connection).await;
            let message = OrderPlaced::number(order);
            orders().dispatch(&mut connection, &message).await.unwrap();
            assert_eq!(visible(&database), order as usize / 2);
            if commits {
                commit(&mut connection).await;
            } else {
                roll_back(&mut connection).await;
            }
        }
        orders()
            .dispatch(&mut connection, &OrderPlaced::number(4))
            .await
            .unwrap();
    });
    assert_eq!(committed(&database), [1, 3, 4]);
}

pub fn a_batch_keeps_its_order_whatever_its_size<D: AsyncDatabase>() {
    let database = D::create();
    let mut all = Vec::new();
    run(async {
        let mut connection = database.connect().await;
        for (size, in_transaction) in [
            (0, false),
            (1, true),
            (2, false),
            (513, true),
            (4_500, false),
        ] {
            if in_transaction {
                begin(&mut connection).await;
            }
            let first = all.len() as u64;
            let batch: Vec<_> = (first..first + size).collect();
            let messages = batch.iter().map(|&order| OrderPlaced::number(order));
            let new = orders().dispatch_batch(&mut connection, messages).await;
            assert_eq!(new.unwrap() as u64, size);
            if in_transaction {
                commit(&mut connection).await;
            }
            all.extend(batch);
        }
    });
    assert_eq!(consume(&mut database.sync().connect()), all);
}

fn with_id(id: Uuid) -> Headers {
    Headers::new().with_message_id(id)
}

async fn twice<C: MessageRepository>(connection: &mut C, id: Uuid) -> Result<Uuid, Error> {
    let message = OrderPlaced::number(1);
    orders()
        .dispatch_with(connection, &message, with_id(id))
        .await
}

pub fn a_duplicate_is_refused_and_leaves_the_transaction_usable<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        let id = Uuid::now_v7();
        twice(&mut connection, id).await.unwrap();
        // In a transaction of its own, and in one of the caller.
        let refused = twice(&mut connection, id).await.unwrap_err();
        assert!(refused.is_duplicate(), "{refused:#}");
        begin(&mut connection).await;
        let refused = twice(&mut connection, id).await.unwrap_err();
        assert!(refused.is_duplicate(), "{refused:#}");
        assert!(refused.to_string().contains(&id.to_string()), "{refused:#}");
        orders()
            .dispatch(&mut connection, &OrderPlaced::number(2))
            .await
            .unwrap();
        commit(&mut connection).await;
    });
    assert_eq!(committed(&database), [1, 2]);
}

pub fn duplicates_are_ignored_when_on_duplicate_is_ignore<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        let orders = orders().on_duplicate(OnDuplicate::Ignore);
        let id = Uuid::now_v7();
        for order in 1..=3 {
            let message = OrderPlaced::number(order);
            let stored = orders.dispatch_with(&mut connection, &message, with_id(id));
            assert_eq!(stored.await.unwrap(), id);
        }
    });
    assert_eq!(committed(&database), [1]);
}

pub fn a_rolled_back_savepoint_takes_only_its_own_messages<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        begin(&mut connection).await;
        for (order, stays) in [(1, true), (2, false), (3, true)] {
            begin(&mut connection).await;
            let message = OrderPlaced::number(order);
            orders().dispatch(&mut connection, &message).await.unwrap();
            if stays {
                commit(&mut connection).await;
            } else {
                roll_back(&mut connection).await;
            }
        }
        commit(&mut connection).await;
    });
    assert_eq!(committed(&database), [1, 3]);
}

pub fn a_message_that_cannot_be_kept_is_refused<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        let headers = Headers::new().with("name\u{7}", "value");
        let message = OrderPlaced::number(1);
        let refused = orders().dispatch_with(&mut connection, &message, headers);
        let refused = refused.await.unwrap_err();
        assert!(refused.is_invalid_name(), "{refused:#}");
        let nothing = MessageDispatcher::<Orders>::undecorated();
        let refused = nothing.dispatch(&mut connection, &message).await;
        assert!(refused.unwrap_err().is_missing_header());
    });
    assert!(committed(&database).is_empty());
}

/// The future is `Send`, also in code that does not know the connection.
fn spawned<R: MessageRepository + 'static>(mut repository: R) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let dispatched = orders().dispatch(&mut repository, &OrderPlaced::number(1));
        dispatched.await.unwrap();
        let batch = [OrderPlaced::number(2), OrderPlaced::number(3)];
        let dispatched = orders().dispatch_batch(&mut repository, batch).await;
        assert_eq!(dispatched.unwrap(), 2);
    })
}

pub fn a_dispatch_can_be_spawned<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        spawned(database.connect().await).await.unwrap();
    });
    assert_eq!(committed(&database), [1, 2, 3]);
}

/// What users write: an async closure in diesel-async's transaction, in a task.
macro_rules! a_transaction_with_an_async_closure_can_be_spawned {
    ($($name:ident: $database:ty),* $(,)?) => {$(
        #[test]
        fn $name() {
            let database = <$database>::create();
            run(async {
                let mut connection = database.connect().await;
                let orders = std::sync::Arc::new(orders());
                let task = tokio::spawn(async move {
                    let committed = connection.transaction(async |connection| {
                        orders.dispatch(connection, &OrderPlaced::number(1)).await?;
                        orders.dispatch(connection, &OrderPlaced::number(2)).await?;
                        Ok::<_, persisting_message_bus::Error>(())
                    });
                    committed.await.unwrap();
                    let failed = connection.transaction(async |connection| {
                        orders.dispatch(connection, &OrderPlaced::number(3)).await?;
                        Err::<(), _>(diesel::result::Error::RollbackTransaction.into())
                    });
                    let _: persisting_message_bus::Error = failed.await.unwrap_err();
                });
                task.await.unwrap();
            });
            assert_eq!(committed(&database), [1, 2]);
        }
    )*};
}

a_transaction_with_an_async_closure_can_be_spawned! {
    a_transaction_of_sqlite_can_be_spawned: crate::databases::AsyncSqlite,
    a_transaction_of_postgres_can_be_spawned: AsyncPostgres,
    a_transaction_of_a_pool_can_be_spawned: PooledAsyncPostgres,
    a_transaction_of_mariadb_can_be_spawned: AsyncMariadb,
}

pub fn messages_of_a_task_have_the_cause_that_was_set_when_they_were_dispatched<
    D: AsyncDatabase,
>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        let flow = Correlation::of_flow("request 4711");
        let message = OrderPlaced::number(1);
        // The scope has ended when the future runs.
        let dispatched = flow.scope(|| orders().dispatch(&mut connection, &message));
        dispatched.await.unwrap();
    });
    let mut bus = database.sync().connect();
    let flow = persisting_message_bus::operate::Flow::read(&mut bus, "request 4711").unwrap();
    assert_eq!(flow.messages.len(), 1);
}

pub fn the_current_thread_can_run_it<D: AsyncDatabase>() {
    let database = D::create();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let mut connection = database.connect().await;
        begin(&mut connection).await;
        let batch = (1..=3).map(OrderPlaced::number);
        orders()
            .dispatch_batch(&mut connection, batch)
            .await
            .unwrap();
        commit(&mut connection).await;
    });
    assert_eq!(committed(&database), [1, 2, 3]);
}

#[test]
fn a_memory_is_an_async_repository_too() {
    let mut bus = InMemoryMessageBus::default();
    run(async {
        let placed = OrderPlaced::number(1);
        orders().dispatch(&mut bus, &placed).await.unwrap();
    });
    assert_eq!(bus.messages.messages().len(), 1);
}

/// A prepared statement continues in the database in which it was prepared.
#[test]
fn messages_go_to_the_selected_database_of_mariadb() {
    let (database, other) = (AsyncMariadb::create(), AsyncMariadb::create());
    let name = |database: &AsyncMariadb| {
        let url = persisting_message_bus_tests::databases::Server::url(database.sync());
        url.rsplit_once('/').unwrap().1.to_owned()
    };
    run(async {
        let mut connection: AsyncMysqlConnection = database.connect().await;
        for (order, name) in [
            (1, name(&database)),
            (2, name(&other)),
            (3, name(&database)),
        ] {
            connection
                .batch_execute(&format!("USE {name}"))
                .await
                .unwrap();
            let placed = OrderPlaced::number(order);
            orders().dispatch(&mut connection, &placed).await.unwrap();
        }
    });
    assert_eq!(committed(&database), [1, 3]);
    assert_eq!(committed(&other), [2]);
}

/// The error of a statement that is ignored ends a transaction of PostgreSQL.
#[test]
fn a_dispatch_in_a_failed_transaction_of_postgres_says_so() {
    let database = AsyncPostgres::create();
    run(async {
        let mut connection: AsyncPgConnection = database.connect().await;
        begin(&mut connection).await;
        connection.batch_execute("SELECT 1 / 0").await.unwrap_err();
        let refused = orders()
            .dispatch(&mut connection, &OrderPlaced::number(1))
            .await;
        let refused = format!("{:#}", refused.unwrap_err());
        assert!(
            refused.contains("current transaction is aborted"),
            "{refused}"
        );
        roll_back(&mut connection).await;
    });
    assert!(committed(&database).is_empty());
}
