//! Counts rows in batches, so that no statement reads more rows than it can read in a few
//! milliseconds.

use diesel::connection::LoadConnection;
use diesel::result::QueryResult;

use crate::position::Position;
use crate::sql::dialect::{Dialect, Names, Statement, Value};
use crate::sql::rows::{ReadValue, first_row};

/// The number of rows that one statement counts.
const BATCH: usize = 10_000;

/// Counts rows after a position. `sql` counts the next rows up to a limit, and returns their number
/// and the last position of them. Its last two values are the position and the limit.
pub(in crate::sql) fn count<'a, C>(
    connection: &mut C,
    names: &'a dyn Names,
    sql: &'static str,
    values: &[Value<'a>],
    mut after: Position,
) -> QueryResult<u64>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let mut all = 0;
    loop {
        let bounds = [Value::Number(after.get()), Value::limit(BATCH)];
        let values = values.iter().copied().chain(bounds);
        let counted = first_row(
            connection,
            Statement::new(sql, names, values),
            |[count, last]| {
                let last = last.optional_integer("position")?;
                Ok((count.integer("count")?.unsigned_abs(), last))
            },
        )?;
        let (count, last) = counted.unwrap_or_default();
        all += count;
        match last.map(Position::new) {
            Some(last) if count >= BATCH as u64 && last > after => after = last,
            _ => return Ok(all),
        }
    }
}
