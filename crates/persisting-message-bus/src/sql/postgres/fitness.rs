//! Whether a table can hold messages without losing any.
//!
//! A message must not be stored twice, so there must be a unique index on the message id alone. A
//! partitioned table cannot have that index, unless it is partitioned by the message id. A rule can
//! put rows elsewhere, and a temporary table is not visible to other sessions.
//!
//! A statement for one message fails by itself on such a table, because it names the index
//! (ON CONFLICT), which the server neither finds nor accepts together with rules. A statement for
//! several messages checks the table. It inserts nothing, and `left_out.rs` then finds the reason.

use crate::sql::postgres::guard::trigger;
use crate::sql::schema::MessageTable;

/// The unique indexes on the message id alone. The value of the text is the column of message ids.
macro_rules! unique_index {
    () => {
        "SELECT FROM pg_catalog.pg_index
        JOIN pg_catalog.pg_attribute ON attrelid OPERATOR(pg_catalog.=) indrelid
            AND attnum OPERATOR(pg_catalog.=) indkey[0]
        WHERE indrelid OPERATOR(pg_catalog.=) of_table AND attname OPERATOR(pg_catalog.=) ?
            AND indnkeyatts OPERATOR(pg_catalog.=) 1 AND indpred IS NULL
            AND indisunique AND indimmediate AND indisvalid"
    };
}
pub(super) use unique_index;

/// The rules for INSERT.
macro_rules! rules {
    () => {
        "FROM pg_catalog.pg_rewrite
        WHERE ev_class OPERATOR(pg_catalog.=) of_table AND ev_type OPERATOR(pg_catalog.=) '3'"
    };
}
pub(super) use rules;

/// The triggers that can drop a row. The guard of foreign inserts drops none.
macro_rules! triggers {
    () => {
        concat!(
            "FROM pg_catalog.pg_trigger
            WHERE tgrelid OPERATOR(pg_catalog.=) of_table
                AND (tgtype::integer OPERATOR(pg_catalog.&) 7) OPERATOR(pg_catalog.=) 7
                AND tgname OPERATOR(pg_catalog.<>) '",
            trigger!(),
            "'"
        )
    };
}
pub(super) use triggers;

/// Has a unique index on the message id alone, is not temporary, and has no rules for INSERT. The
/// value of the statement is the column of message ids.
const IS_FIT: &str = concat!(
    "EXISTS (",
    unique_index!(),
    ") AND NOT EXISTS (
        SELECT ",
    rules!(),
    ") AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_class
        WHERE pg_class.oid OPERATOR(pg_catalog.=) of_table
            AND relpersistence OPERATOR(pg_catalog.=) 't'
    )"
);

/// Has no trigger that can drop a row.
const HAS_NO_TRIGGER: &str = concat!("AND NOT EXISTS (SELECT ", triggers!(), ")");

/// Has a default that draws from the sequence: that of an identity column, or another one.
#[cfg(feature = "postgres")]
const DRAWS_FROM_SEQUENCE: &str = "
    AND EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid OPERATOR(pg_catalog.=) of_table AND attname OPERATOR(pg_catalog.=) of_column
            AND CASE WHEN attidentity OPERATOR(pg_catalog.=) '' THEN EXISTS (
                SELECT FROM pg_catalog.pg_attrdef
                JOIN pg_catalog.pg_depend ON objid OPERATOR(pg_catalog.=) pg_attrdef.oid
                    AND classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                    AND refobjid OPERATOR(pg_catalog.=) id::pg_catalog.oid
                WHERE adrelid OPERATOR(pg_catalog.=) attrelid
                    AND adnum OPERATOR(pg_catalog.=) attnum
            ) ELSE EXISTS (
                SELECT FROM pg_catalog.pg_depend
                WHERE objid OPERATOR(pg_catalog.=) id::pg_catalog.oid
                    AND classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
                    AND refobjid OPERATOR(pg_catalog.=) attrelid
                    AND refobjsubid OPERATOR(pg_catalog.=) attnum
                    AND deptype OPERATOR(pg_catalog.=) 'i'
            ) END
    )";

/// The use that is made of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A statement that is a transaction of its own. A trigger that drops some of its rows would
    /// leave the others.
    Alone,
    /// A statement in a transaction, which is rolled back if it inserts too few rows.
    InTransaction,
    /// COPY, whose positions come from the column's default.
    #[cfg(feature = "postgres")]
    Copy,
}

impl Use {
    /// Returns the common table expression `fitness`. A setting of the session remembers that the
    /// table is fit, except for triggers and defaults, which are easily changed.
    pub(super) fn fitness(self) -> String {
        let more = match self {
            Self::Alone => HAS_NO_TRIGGER,
            Self::InTransaction => "",
            #[cfg(feature = "postgres")]
            Self::Copy => DRAWS_FROM_SEQUENCE,
        };
        format!(
            "fitness AS MATERIALIZED (
                SELECT CASE
                    WHEN pg_catalog.current_setting(setting, true) OPERATOR(pg_catalog.=) 'yes'
                    THEN true
                    ELSE {IS_FIT} AND pg_catalog.set_config(setting, 'yes', false) IS NOT NULL
                END {more} AS is_fit
                FROM (
                    SELECT id, of_table, of_column, 'persisting_message_bus.fit_'
                        OPERATOR(pg_catalog.||) of_table::pg_catalog.text AS setting
                    FROM sequence
                ) AS wanted
            )"
        )
    }
}

/// Returns what is wrong with a table that has no unique index on the message id alone.
pub(super) fn no_unique_index(table: &MessageTable) -> String {
    format!(
        "table \"{}\" has no unique index on \"{}\" alone, which a partitioned table can only have if \
         it is partitioned by that column: use a table without partitions, and CREATE UNIQUE INDEX",
        table.table, table.message_id
    )
}
