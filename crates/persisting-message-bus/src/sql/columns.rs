use diesel::backend::Backend;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

use crate::sql::schema::MessageTable;

/// Writes the columns of an inserted message, in the order of its values.
pub(super) fn push_columns<DB: Backend>(
    table: &MessageTable,
    out: &mut AstPass<'_, '_, DB>,
) -> QueryResult<()> {
    let optional = [&table.message_version, &table.correlation_id];
    let columns = [&table.topic, &table.message_type]
        .into_iter()
        .chain(optional.into_iter().flatten())
        .chain([&table.payload, &table.headers, &table.published_at]);
    out.push_identifier(&table.message_id)?;
    for column in columns {
        out.push_sql(", ");
        out.push_identifier(column)?;
    }
    Ok(())
}
