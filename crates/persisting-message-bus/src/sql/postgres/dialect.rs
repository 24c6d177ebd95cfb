use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

use crate::sql::dialect::{self, Dialect, Value};

impl Dialect for Pg {
    const NOW: &'static str = "pg_catalog.clock_timestamp()";
    const NOW_PLUS_MILLIS: &'static str = "pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) (
        ? OPERATOR(pg_catalog.*) interval '1 millisecond')";

    const UUID: &'static str = "?::pg_catalog.uuid";

    /// A proxy can send reads to a standby, where messages are missing that were committed late. A
    /// page that was read there is empty, which the reader notices.
    const IS_READABLE: &'static str = "AND NOT pg_catalog.pg_is_in_recovery()";

    /// Where many versions of the rows are kept, because a transaction stays open for long, each row's
    /// current version is found by itself.
    const SEGMENTS_OF: &'static str = "
        (SELECT latest.* FROM (SELECT ? AS total) AS division
        CROSS JOIN LATERAL pg_catalog.generate_series(1, division.total) AS numbers(next)
        CROSS JOIN LATERAL (
            SELECT * FROM {table} AS version
            WHERE {consumer} = pg_catalog.concat(
                    ?, '/', numbers.next OPERATOR(pg_catalog.-) 1, ' of ', division.total)
                AND {topic} = ?
            ORDER BY {lease_epoch} DESC LIMIT 1) AS latest) AS segment";

    const COLUMNS: &'static str = "SELECT attname::pg_catalog.text FROM pg_catalog.pg_attribute
        WHERE attrelid OPERATOR(pg_catalog.=)
                pg_catalog.to_regclass(pg_catalog.quote_ident(?))::pg_catalog.oid
            AND attnum OPERATOR(pg_catalog.>) 0 AND NOT attisdropped";
    const PLACE: &'static str = "SELECT pg_catalog.format(
        'the schemas of the search_path (%s) of database \"%s\", as role \"%s\"%s',
        pg_catalog.current_setting('search_path'), pg_catalog.current_database(), current_user,
        (SELECT ', which has no USAGE on schema '
            OPERATOR(pg_catalog.||) pg_catalog.string_agg(nspname::pg_catalog.text, ', ')
        FROM pg_catalog.pg_namespace
        WHERE nspname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (
                pg_catalog.regexp_split_to_array(
                    pg_catalog.replace(pg_catalog.current_setting('search_path'), '\"', ''),
                    ' *, *'))
            AND NOT pg_catalog.has_schema_privilege(oid, 'USAGE')))";

    fn bind<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        dialect::bind(value, out)
    }
}
