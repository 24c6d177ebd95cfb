#[cfg(feature = "mysql")]
use diesel::connection::AnsiTransactionManager;
use diesel::mysql::Mysql;
#[cfg(feature = "mysql")]
use diesel::mysql::MysqlConnection;
use diesel::result::QueryResult;

use crate::sql::executor::Executor;
use crate::sql::mysql::database::remember_sql;
use crate::sql::own_transactions::depth;
use crate::sql::savepoint;
use crate::sql::watch::connections::{must_remember_database, remembers_database, set_paused};

/// Begins a transaction with its savepoint. On Diesel's own connections, this takes no longer than
/// beginning a transaction: both statements are one text, and Diesel takes three round trips for
/// any text.
///
/// The session remembers the database of the transaction, unless it does so already. A nested
/// transaction has a variable of its own, because its database can be another one.
pub(super) async fn begin_guarded<E>(executor: &mut E) -> QueryResult<()>
where
    E: Executor<Backend = Mysql>,
{
    let open = depth(executor) + 1;
    let mut set_up = savepoint::set_sql(open);
    let is_outermost = open == 1;
    let must_remember = !is_outermost || must_remember_database(executor);
    if must_remember {
        set_up = format!("{set_up}; {}", remember_sql(open));
    }
    let was_paused = set_paused(executor, true);
    let begun = begin(executor, &set_up).await;
    set_paused(executor, was_paused);
    begun?;
    if must_remember && is_outermost {
        remembers_database(executor);
    }
    Ok(())
}

async fn begin<E>(executor: &mut E, set_up: &str) -> QueryResult<()>
where
    E: Executor<Backend = Mysql>,
{
    #[cfg(feature = "mysql")]
    if depth(executor) == 0
        && let Some(plain) = executor.plain::<MysqlConnection>()
    {
        let begin = format!("BEGIN; {set_up}");
        return AnsiTransactionManager::begin_transaction_sql(plain, &begin);
    }
    executor.begin().await?;
    executor.run(set_up).await
}
