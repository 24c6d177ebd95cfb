#[cfg(feature = "mysql")]
use diesel::connection::AnsiTransactionManager;
use diesel::connection::{Connection, TransactionManager};
use diesel::mysql::Mysql;
#[cfg(feature = "mysql")]
use diesel::mysql::MysqlConnection;
use diesel::result::QueryResult;

use crate::sql::mysql::database::remember_sql;
#[cfg(feature = "mysql")]
use crate::sql::plain::plain;
use crate::sql::savepoint;
use crate::sql::transactions::depth;
use crate::sql::watch::{must_remember_database, naming_database, remembers_database};

/// Begins a transaction with its savepoint. On Diesel's own connections, this takes no longer than
/// beginning a transaction: both statements are one text, and Diesel takes three round trips for
/// any text.
///
/// The session remembers the database of the transaction, unless it does so already. A nested
/// transaction has a variable of its own, because its database can be another one.
pub(super) fn begin_guarded<C>(connection: &mut C) -> QueryResult<()>
where
    C: Connection<Backend = Mysql> + 'static,
{
    let open = depth(connection) + 1;
    let mut set_up = savepoint::set_sql(open);
    let is_outermost = open == 1;
    let must_remember = !is_outermost || must_remember_database(connection);
    if must_remember {
        set_up = format!("{set_up}; {}", remember_sql(open));
    }
    naming_database(connection, |connection| begin(connection, &set_up))?;
    if must_remember && is_outermost {
        remembers_database(connection);
    }
    Ok(())
}

fn begin<C>(connection: &mut C, set_up: &str) -> QueryResult<()>
where
    C: Connection<Backend = Mysql> + 'static,
{
    #[cfg(feature = "mysql")]
    if depth(connection) == 0
        && let Some(plain) = plain::<MysqlConnection, C>(connection)
    {
        let begin = format!("BEGIN; {set_up}");
        return AnsiTransactionManager::begin_transaction_sql(plain, &begin);
    }
    C::TransactionManager::begin_transaction(connection)?;
    connection.batch_execute(set_up)
}
