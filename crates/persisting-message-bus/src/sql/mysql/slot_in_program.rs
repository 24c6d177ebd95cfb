//! Taking a publisher slot in a program that the server keeps: in the trigger of `guard.rs` and the
//! procedure of `publish_procedure.rs`. For the protocol, see `slots.rs`.

use crate::sql::fill::fill;
use crate::sql::mysql::database::quoted;
use crate::sql::mysql::free_slots::LACKS_SLOTS;
use crate::sql::mysql::slots::SLOTS;
use crate::sql::schema::PublisherSlotsTable;

/// The variables that `TAKE_SLOT` uses, beside `new_topic`.
pub(super) const SLOT_VARIABLES: &str = "DECLARE own_slot INT DEFAULT connection_id() % 64;
    DECLARE taken INT;
    DECLARE marks INT;
    DECLARE created_before BOOLEAN DEFAULT FALSE;";

/// Takes a slot, or creates the slots of a new topic, as `slots.rs` does. Such a program cannot pause,
/// so if all slots are taken, it waits for one of them. InnoDB sees that wait, so it finds deadlocks.
///
/// In a trigger, the server opens a table once for each alias, with the strongest lock that any
/// statement asks for. So reading the mark, searching with SKIP LOCKED, and waiting have an alias
/// each. The mark is read by a statement of its own that is a SELECT: in another statement, and for
/// a condition of the search, the server would lock the mark, or the place where it is missing.
///
/// Columns are named with their table, because a variable comes before a column of the same name.
const TAKE_SLOT: &str = "SELECT count(*) INTO marks FROM {slots} AS mark
        WHERE mark.{slots.topic} = new_topic AND mark.{slot} = -1;
    IF marks > 0 THEN
        SET taken = (SELECT free.{slot} FROM {slots} AS free
                WHERE free.{slots.topic} = new_topic AND free.{slot} >= own_slot
                ORDER BY free.{slot} LIMIT 1 FOR UPDATE SKIP LOCKED);
        IF taken IS NULL THEN
            SET taken = (SELECT free.{slot} FROM {slots} AS free
                WHERE free.{slots.topic} = new_topic
                    AND free.{slot} >= 0 AND free.{slot} < own_slot
                ORDER BY free.{slot} LIMIT 1 FOR UPDATE SKIP LOCKED);
        END IF;
    ELSE
        SET taken = (SELECT awaited.{slot} FROM {slots} AS awaited
            WHERE awaited.{slots.topic} = '' AND awaited.{slot} = crc32(new_topic) % 64 FOR UPDATE);
        SET taken = NULL;
        BEGIN
            DECLARE CONTINUE HANDLER FOR 1062 SET created_before = TRUE;
            INSERT INTO {slots} ({slots.topic}, {slot}) VALUES (new_topic, -1);
        END;
        IF NOT created_before THEN
            INSERT INTO {slots} ({slots.topic}, {slot}) VALUES
                {all_slots};
        END IF;
    END IF;
    IF taken IS NULL THEN
        SET taken = (SELECT awaited.{slot} FROM {slots} AS awaited
            WHERE awaited.{slots.topic} = new_topic AND awaited.{slot} = own_slot FOR UPDATE);
    END IF;
    IF taken IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
            'inserting a message failed: {lacks_slots}';
    END IF;";

/// Returns [`TAKE_SLOT`] for the table.
pub(super) fn take_slot(table: &PublisherSlotsTable) -> String {
    let all_slots: Vec<_> = (0..SLOTS)
        .map(|slot| format!("(new_topic, {slot})"))
        .collect();
    let lines: Vec<_> = all_slots.chunks(4).map(|line| line.join(", ")).collect();
    fill(TAKE_SLOT, |key| {
        Some(match key {
            "slots" => quoted(&table.table),
            "slots.topic" => quoted(&table.topic),
            "slot" => quoted(&table.slot),
            "all_slots" => lines.join(",\n                "),
            "lacks_slots" => LACKS_SLOTS.to_owned(),
            _ => return None,
        })
    })
}
