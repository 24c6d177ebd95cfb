//! Connections that the server ends, and those on which another database is selected again and again.

use std::sync::{Arc, Mutex};

use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use persisting_message_bus::asynchronous::Coalescer;
use persisting_message_bus_tests::topics::OrderPlaced;

use crate::coalescing::dispatcher;
use crate::databases::{AsyncDatabase, AsyncMariadb, run};
use crate::transactions::{begin, committed, orders};

/// A lost connection is no failure of the message, so that it is not counted as an attempt.
pub fn a_connection_that_the_server_ends_is_lost<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        for in_transaction in [false, true] {
            let mut connection = database.connect().await;
            let message = OrderPlaced::number(1);
            orders().dispatch(&mut connection, &message).await.unwrap();
            if in_transaction {
                begin(&mut connection).await;
            }
            let Some(session) = database.session(&mut connection).await else {
                return;
            };
            database.end(session);
            let lost = orders()
                .dispatch(&mut connection, &message)
                .await
                .unwrap_err();
            assert!(lost.is_disconnected(), "{lost:#}");
            assert!(lost.is_retryable(), "{lost:#}");
        }
    });
}

pub fn a_coalescer_replaces_a_lost_connection<D: AsyncDatabase + Sync>() {
    let database = Arc::new(D::create());
    run(async {
        let sessions = Arc::<Mutex<Vec<i64>>>::default();
        let connect = {
            let (database, sessions) = (Arc::clone(&database), Arc::clone(&sessions));
            move || {
                let (database, sessions) = (Arc::clone(&database), Arc::clone(&sessions));
                async move {
                    let mut connection = database.connect().await;
                    let session = database.session(&mut connection).await;
                    sessions.lock().unwrap().extend(session);
                    Ok::<_, std::io::Error>(connection)
                }
            }
        };
        let orders = dispatcher(&Coalescer::new(connect));
        orders.dispatch(&OrderPlaced::number(1)).await.unwrap();
        let Some(session) = sessions.lock().unwrap().pop() else {
            return;
        };
        database.end(session);
        let lost = orders.dispatch(&OrderPlaced::number(2)).await.unwrap_err();
        assert!(lost.is_retryable(), "{lost:#}");
        orders.dispatch(&OrderPlaced::number(3)).await.unwrap();
        assert_eq!(committed(&*database), [1, 3]);
    });
}

#[derive(QueryableByName)]
struct Status {
    #[diesel(sql_type = Text)]
    value: String,
}

/// The session's prepared statements that are not closed.
async fn open_statements(connection: &mut diesel_async::AsyncMysqlConnection) -> i64 {
    let mut count = 0;
    for (variable, sign) in [("Com_stmt_prepare", 1), ("Com_stmt_close", -1)] {
        let show = sql_query(format!(
            "SELECT variable_value AS value FROM information_schema.session_status \
             WHERE variable_name = '{variable}'"
        ));
        let status: Status = show.get_result(connection).await.unwrap();
        count += sign * status.value.parse::<i64>().unwrap();
    }
    count
}

#[test]
fn selecting_databases_of_mariadb_leaves_no_statements_on_the_server() {
    let database = AsyncMariadb::create();
    run(async {
        let mut connection = database.connect().await;
        let name: Name = sql_query("SELECT database() AS name")
            .get_result(&mut connection)
            .await
            .unwrap();
        let mut open = Vec::new();
        for order in 0..60 {
            let select = format!("USE {}", name.name);
            connection.batch_execute(&select).await.unwrap();
            let placed = OrderPlaced::number(order);
            orders().dispatch(&mut connection, &placed).await.unwrap();
            open.push(open_statements(&mut connection).await);
        }
        let (first, last) = (open[10], open[59]);
        assert!(last <= first + 2, "{open:?}");
    });
    assert_eq!(committed(&database).len(), 60);
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}
