//! Taking a publisher slot in a program that the server keeps: in the trigger of `guard.rs` and the
//! procedure of `publish_procedure.rs`. For the protocol, see `slots.rs`.

use crate::sql::fill::fill;
use crate::sql::mysql::database::quoted;
use crate::sql::mysql::free_slots::LACKS_SLOTS;
use crate::sql::mysql::publish_autocommit::FAILS_WHEN_EVALUATED;
use crate::sql::mysql::slots::{MARK, SLOTS};
use crate::sql::schema::PublisherSlotsTable;

/// The variables that `CREATE_SLOTS` and `TAKE_SLOT` use, beside `new_topic`.
pub(super) const SLOT_VARIABLES: &str = "DECLARE own_slot INT DEFAULT connection_id() % 64;
    DECLARE taken INT;
    DECLARE marks INT;";

/// Creates the slots of a new topic, as `slots.rs` does. The mark is inserted with the slots, so that a
/// cancelled call leaves no mark without slots.
///
/// In a trigger, the server opens a table once for each alias, with the strongest lock that any
/// statement asks for. So reading the mark, searching with SKIP LOCKED, and waiting have an alias
/// each. The mark is read by a statement of its own that is a SELECT: in another statement, and for
/// a condition of the search, the server would lock the mark, or the place where it is missing.
///
/// Columns are named with their table, because a variable comes before a column of the same name.
const CREATE_SLOTS: &str = "SELECT count(*) INTO marks FROM {slots} AS mark
        WHERE mark.{slots.topic} = new_topic AND mark.{slot} = -1;
    IF marks = 0 THEN
        SET taken = (SELECT awaited.{slot} FROM {slots} AS awaited
            WHERE awaited.{slots.topic} = '' AND awaited.{slot} = crc32(new_topic) % 64 FOR UPDATE);
        SET taken = NULL;
        BEGIN
            DECLARE CONTINUE HANDLER FOR 1062 SET taken = NULL;
            INSERT INTO {slots} ({slots.topic}, {slot}) VALUES
                {all_slots};
        END;
    END IF;";

/// Takes a slot. Such a program cannot pause, so if all slots are taken, it waits for one of them.
/// InnoDB sees that wait, so it finds deadlocks.
const TAKE_SLOT: &str = "IF marks > 0 THEN
        SET taken = (SELECT free.{slot} FROM {slots} AS free
                WHERE free.{slots.topic} = new_topic AND free.{slot} >= own_slot
                ORDER BY free.{slot} LIMIT 1 FOR UPDATE SKIP LOCKED);
        IF taken IS NULL THEN
            SET taken = (SELECT free.{slot} FROM {slots} AS free
                WHERE free.{slots.topic} = new_topic
                    AND free.{slot} >= 0 AND free.{slot} < own_slot
                ORDER BY free.{slot} LIMIT 1 FOR UPDATE SKIP LOCKED);
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

/// The topic of a row that is a transaction of its own, from a query that locks a free slot, as in
/// `publish_autocommit.rs`. The second query runs only if the first one finds no slot.
const TOPIC_FROM_FREE_SLOT: &str = "coalesce(
                (SELECT new_topic FROM {slots} AS mine
                    WHERE mine.{slots.topic} = new_topic AND mine.{slot} >= own_slot
                    ORDER BY mine.{slot} LIMIT 1 FOR UPDATE SKIP LOCKED),
                (SELECT new_topic FROM {slots} AS below
                    WHERE below.{slots.topic} = new_topic
                        AND below.{slot} >= 0 AND below.{slot} < own_slot
                    ORDER BY below.{slot} LIMIT 1 FOR UPDATE SKIP LOCKED),
                {fails})";

/// The same, from a query that waits for a slot.
const TOPIC_FROM_AWAITED_SLOT: &str = "coalesce(
                (SELECT new_topic FROM {slots} AS mine
                    WHERE mine.{slots.topic} = new_topic AND mine.{slot} = own_slot FOR UPDATE),
                {fails})";

/// Returns the statements that create the slots of a new topic.
pub(super) fn create_slots(table: &PublisherSlotsTable) -> String {
    filled(CREATE_SLOTS, table)
}

/// Returns the statements that take a slot for the rest of the transaction, after those of
/// [`create_slots`].
pub(super) fn take_slot(table: &PublisherSlotsTable) -> String {
    filled(TAKE_SLOT, table)
}

/// Returns an expression for the topic that locks a free slot, or fails with error 1690.
pub(super) fn topic_from_free_slot(table: &PublisherSlotsTable) -> String {
    filled(TOPIC_FROM_FREE_SLOT, table)
}

/// Returns an expression for the topic that waits for a slot. It fails with error 1690 if there is
/// no slot.
pub(super) fn topic_from_awaited_slot(table: &PublisherSlotsTable) -> String {
    filled(TOPIC_FROM_AWAITED_SLOT, table)
}

fn filled(template: &str, table: &PublisherSlotsTable) -> String {
    let all_slots: Vec<_> = (MARK..SLOTS)
        .map(|slot| format!("(new_topic, {slot})"))
        .collect();
    let lines: Vec<_> = all_slots.chunks(4).map(|line| line.join(", ")).collect();
    fill(template, |key| {
        Some(match key {
            "slots" => quoted(&table.table),
            "slots.topic" => quoted(&table.topic),
            "slot" => quoted(&table.slot),
            "all_slots" => lines.join(",\n                "),
            "lacks_slots" => LACKS_SLOTS.to_owned(),
            "fails" => FAILS_WHEN_EVALUATED.to_owned(),
            _ => return None,
        })
    })
}
