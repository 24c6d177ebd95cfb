use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use diesel::mysql::{Mysql, MysqlConnection};
use diesel::result::QueryResult;

use crate::diesel::plain::plain;
use crate::diesel::savepoint;
use crate::diesel::transactions::open_transactions;

/// Begins a transaction with its savepoint. On Diesel's own connections, that takes no longer than to begin
/// one: both are one text, and Diesel takes three round trips for any.
pub(super) fn begin_guarded<C>(connection: &mut C) -> QueryResult<()>
where
    C: Connection<Backend = Mysql> + 'static,
{
    if open_transactions(connection) == 0
        && let Some(plain) = plain::<MysqlConnection, C>(connection)
    {
        let begin = format!("BEGIN; {}", savepoint::set_sql(1));
        return AnsiTransactionManager::begin_transaction_sql(plain, &begin);
    }
    C::TransactionManager::begin_transaction(connection)?;
    let open = open_transactions(connection);
    connection.batch_execute(&savepoint::set_sql(open))
}
