//! The slot of a key in PL/pgSQL: see `message/slot.rs`.

use crate::sql::postgres::topic_hash::HASH_NAME;

/// The variable that [`slot_of_key`] sets. It begins as that of a message without a key.
pub(super) const SLOT_VARIABLE: &str = "slot smallint := -1;";

/// Returns the statements that compute `slot` from the parameter of the key, if the key is not NULL.
/// `name` and `hash` are as before afterwards, if they were those of the topic's name and 2166136261.
///
/// Functions and operators are qualified, as in `topic_hash.rs`. The server has no integers of 64 bits
/// without a sign, so a product of 32 bits is computed from the halves of one factor.
pub(super) fn slot_of_key() -> String {
    let [first, second] = [0x85eb_ca6b_u32, 0xc2b2_ae35].map(times);
    let [by_16, by_13] = [16, 13].map(folded);
    format!(
        "IF $10 IS NOT NULL THEN
        name := pg_catalog.convert_to($10, 'UTF8');
        {HASH_NAME}
        {by_16}
        {first}
        {by_13}
        {second}
        {by_16}
        slot := hash OPERATOR(pg_catalog.&) 32767;
        name := pg_catalog.convert_to($1, 'UTF8');
        hash := 2166136261;
    END IF;"
    )
}

fn folded(bits: u32) -> String {
    format!("hash := hash OPERATOR(pg_catalog.#) (hash OPERATOR(pg_catalog.>>) {bits});")
}

fn times(factor: u32) -> String {
    format!(
        "hash := (((hash OPERATOR(pg_catalog.&) 65535) OPERATOR(pg_catalog.*) {factor}::bigint)
            OPERATOR(pg_catalog.+) ((((hash OPERATOR(pg_catalog.>>) 16) OPERATOR(pg_catalog.*) {factor}::bigint)
            OPERATOR(pg_catalog.&) 65535) OPERATOR(pg_catalog.<<) 16)) OPERATOR(pg_catalog.&) 4294967295;"
    )
}
