//! The slot of a key in a procedure: see `message/slot.rs`.

/// The variables that [`SLOT_OF_KEY`] uses. The slot begins as that of a message without a key.
pub(super) const KEY_SLOT_VARIABLES: &str = "DECLARE key_slot SMALLINT DEFAULT -1;
    DECLARE key_bytes LONGBLOB;
    DECLARE key_hash BIGINT UNSIGNED DEFAULT 2166136261;";

/// Computes `key_slot` from the parameter of the key, if the key is not NULL. The factors have 32 bits,
/// so no product has more than the 64 bits of `key_hash`.
pub(super) const SLOT_OF_KEY: &str = "IF message_key IS NOT NULL THEN
        SET key_bytes = cast(message_key AS BINARY), number = 1;
        WHILE number <= length(key_bytes) DO
            SET key_hash = (key_hash ^ ascii(substr(key_bytes, number, 1))) * 16777619 & 4294967295,
                number = number + 1;
        END WHILE;
        SET key_hash = (key_hash ^ (key_hash >> 16)) * 2246822507 & 4294967295;
        SET key_hash = (key_hash ^ (key_hash >> 13)) * 3266489909 & 4294967295;
        SET key_slot = (key_hash ^ (key_hash >> 16)) & 32767;
    END IF;";
