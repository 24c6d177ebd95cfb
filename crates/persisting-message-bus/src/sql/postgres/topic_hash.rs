//! The hash of a topic in PL/pgSQL, for the functions that take the fence: see `hash.rs`.

/// Computes `hash`, which begins as 2166136261, from the bytes in `name`.
///
/// Functions and operators are qualified, because others in the `search_path` can fit the types of
/// the arguments better than those of the server.
pub(super) const HASH_NAME: &str =
    "FOR i IN 0 .. pg_catalog.length(name) OPERATOR(pg_catalog.-) 1 LOOP
            hash := ((hash OPERATOR(pg_catalog.#) pg_catalog.get_byte(name, i)::bigint)
                OPERATOR(pg_catalog.*) 16777619::bigint) OPERATOR(pg_catalog.&) 4294967295;
        END LOOP;";
