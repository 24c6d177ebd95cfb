use diesel::backend::Backend;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

use crate::sql::schema::MessageTable;

/// Returns the columns of an inserted message, in the order of its values.
pub(super) fn columns(table: &MessageTable) -> impl Iterator<Item = &str> {
    let optional = [
        &table.message_version,
        &table.correlation_id,
        &table.key_slot,
    ];
    [&table.message_id, &table.topic, &table.message_type]
        .into_iter()
        .chain(optional.into_iter().flatten())
        .chain([&table.payload, &table.headers, &table.published_at])
        .map(|column| &**column)
}

/// Writes the columns of an inserted message, in the order of its values.
pub(super) fn push_columns<DB: Backend>(
    table: &MessageTable,
    out: &mut AstPass<'_, '_, DB>,
) -> QueryResult<()> {
    for (index, column) in columns(table).enumerate() {
        if index > 0 {
            out.push_sql(", ");
        }
        out.push_identifier(column)?;
    }
    Ok(())
}
