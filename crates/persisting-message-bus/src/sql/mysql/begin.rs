use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use diesel::mysql::{Mysql, MysqlConnection};
use diesel::result::QueryResult;

use crate::sql::mysql::database::REMEMBER;
use crate::sql::plain::plain;
use crate::sql::savepoint;
use crate::sql::transactions::depth;

/// Begins a transaction with its savepoint. On Diesel's own connections, this takes no longer than
/// beginning a transaction: both statements are one text, and Diesel takes three round trips for
/// any text.
pub(super) fn begin_guarded<C>(connection: &mut C) -> QueryResult<()>
where
    C: Connection<Backend = Mysql> + 'static,
{
    if depth(connection) == 0
        && let Some(plain) = plain::<MysqlConnection, C>(connection)
    {
        let begin = format!("BEGIN; {}; {REMEMBER}", savepoint::set_sql(1));
        return AnsiTransactionManager::begin_transaction_sql(plain, &begin);
    }
    C::TransactionManager::begin_transaction(connection)?;
    let open = depth(connection);
    connection.batch_execute(&format!("{}; {REMEMBER}", savepoint::set_sql(open)))
}
