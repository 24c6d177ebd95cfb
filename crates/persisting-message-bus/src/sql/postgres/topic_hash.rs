//! The hash of a topic in PL/pgSQL, for the functions that take the fence: see `hash.rs`.

/// Computes `hash`, which begins as 2166136261, from the bytes in `name`.
pub(super) const HASH_NAME: &str = "FOR i IN 0 .. length(name) - 1 LOOP
            hash := ((hash # get_byte(name, i)) * 16777619) & 4294967295;
        END LOOP;";
