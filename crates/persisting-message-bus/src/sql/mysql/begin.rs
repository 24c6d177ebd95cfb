use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use diesel::mysql::{Mysql, MysqlConnection};
use diesel::result::QueryResult;

use crate::sql::mysql::database::REMEMBER;
use crate::sql::plain::plain;
use crate::sql::savepoint;
use crate::sql::transactions::depth;
use crate::sql::watch::{must_remember_database, remembers_database};

/// Begins a transaction with its savepoint. On Diesel's own connections, this takes no longer than
/// beginning a transaction: both statements are one text, and Diesel takes three round trips for
/// any text.
///
/// The session remembers its database, unless it does so already. Telling it names the database, so
/// the watch would take that for a USE, and all statements would be prepared again for each page.
pub(super) fn begin_guarded<C>(connection: &mut C) -> QueryResult<()>
where
    C: Connection<Backend = Mysql> + 'static,
{
    let must_remember = must_remember_database(connection);
    let remember = if must_remember {
        format!("; {REMEMBER}")
    } else {
        String::new()
    };
    begin(connection, &remember)?;
    if must_remember {
        remembers_database(connection);
    }
    Ok(())
}

fn begin<C>(connection: &mut C, remember: &str) -> QueryResult<()>
where
    C: Connection<Backend = Mysql> + 'static,
{
    if depth(connection) == 0
        && let Some(plain) = plain::<MysqlConnection, C>(connection)
    {
        let begin = format!("BEGIN; {}{remember}", savepoint::set_sql(1));
        return AnsiTransactionManager::begin_transaction_sql(plain, &begin);
    }
    C::TransactionManager::begin_transaction(connection)?;
    let open = depth(connection);
    connection.batch_execute(&format!("{}{remember}", savepoint::set_sql(open)))
}
