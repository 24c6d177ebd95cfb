//! The procedure by which any program publishes: it checks its arguments, takes a slot and inserts
//! the row.
//!
//! A function would return the id, but servers with a binary log let only few users create functions
//! that write.

use crate::sql::columns::columns;
use crate::sql::fill::fill;
use crate::sql::mysql::database::quoted;
use crate::sql::mysql::free_slots::LACKS_SLOTS;
use crate::sql::mysql::guard::{MODES, MODES_AS_BEFORE};
use crate::sql::mysql::key_slot::{KEY_SLOT_VARIABLES, SLOT_OF_KEY};
use crate::sql::mysql::slot_in_program::{
    SLOT_VARIABLES, create_slots, take_slot, topic_from_awaited_slot, topic_from_free_slot,
};
use crate::sql::publish_call::publish_name;
use crate::sql::schema::{MessageTable, TableSchema};

/// Arguments are texts, so that they are neither cut nor converted before they are checked, whichever
/// modes and character set the session and the database have.
const SIGNATURE: &str = "CREATE /*M! OR REPLACE */ PROCEDURE {procedure}(
    topic {text}, message_type {text}, version {text}, payload {text}, headers {text},
    message_id {text}, recorded_at {text}, correlation_id {text}, causation_id {text}, message_key {text}
) MODIFIES SQL DATA SQL SECURITY INVOKER\n";

/// Only MySQL drops the procedure, because the rights of callers are dropped with it. MariaDB runs the
/// other statement, and replaces the procedure.
const DROP: &str = "/*M! DO 0 */ /*!80000 DROP PROCEDURE IF EXISTS {procedure} */";

const TEXT: &str = "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

/// The character set of the database may be one that cannot be compared with that of the arguments.
const PATTERN: &str = "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

/// In the caller's transaction, the procedure takes a slot until that transaction ends. Outside of a
/// transaction, each statement commits by itself, so the slot is locked by the statement that inserts
/// the row, as in `publish_autocommit.rs`. The procedure never begins a transaction: the server runs
/// no handlers for a cancelled call, which would leave the transaction open, and the session's later
/// messages in it. MySQL does not tell whether there is a transaction. Only in a transaction does a
/// savepoint last until the next statement.
///
/// On a table with the guard, a statement cannot read the slots that the trigger locks, and fails with
/// the error 1442. The guard then announces the row, as in `publish_guarded.rs`: a row without a topic
/// cannot be stored without the guard.
///
/// A trigger can also fail with the error 1690, by which a statement tells that it found no slot. So
/// that error is returned as it is if the slot exists.
///
/// MariaDB accepts some escapes and numbers that are not valid JSON. The pattern `escapes` finds such
/// escapes. The pattern `numbers` finds such numbers, but also texts that look like them, so then all
/// must consist of `tokens`. That pattern takes texts whole and never goes back, so its time is linear.
/// Only MariaDB reads the comments.
///
/// A text of an error has at most 128 characters.
const BODY: &str = r#"BEGIN
    DECLARE in_transaction BOOLEAN DEFAULT TRUE;
    DECLARE problem VARCHAR(128) CHARACTER SET utf8mb4;
    DECLARE header_names {text};
    DECLARE name {text};
    DECLARE number INT DEFAULT 1;
    DECLARE uuids {pattern} DEFAULT '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\z';
    DECLARE escapes {pattern}
        DEFAULT '(^|[^\\\\])(\\\\\\\\)*\\\\([^"\\\\/bfnrtu]|u(?![0-9A-Fa-f]{4}))';
    DECLARE numbers {pattern}
        DEFAULT '[0-9]\\.([^0-9]|\\z)|[0-9][eE]([^0-9+-]|\\z)|[+-]([^0-9]|\\z)';
    DECLARE tokens {pattern} DEFAULT concat('^(?:[^"0-9.+-]++|"(?:[^"\\\\]++|\\\\.)*+"|',
        '-?[0-9]++(?:\\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![0-9A-Za-z.+-]))*+\\z');
    DECLARE millis BIGINT DEFAULT timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000;
    DECLARE digest CHAR(32) CHARACTER SET ascii DEFAULT md5(concat(uuid(), rand()));
    DECLARE new_topic VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    DECLARE new_id VARCHAR(36) CHARACTER SET ascii;
    DECLARE new_time DATETIME(6) DEFAULT utc_timestamp(6);
    DECLARE new_version INT;
    DECLARE times {pattern}
        DEFAULT '^[0-9]{4}(-[0-9]{2}){2}([ T][0-9]{2}(:[0-9]{2}){2}(\\.[0-9]+)?Z?)?\\z';
    {key_slot_variables}
    {slot_variables}
    SET @message_bus_id = NULL, headers = coalesce(headers, '{}'),
        correlation_id = nullif(correlation_id, ''),
        message_id = lower(message_id), causation_id = lower(causation_id);
    SET problem = CASE
        WHEN payload IS NULL THEN 'payload is NULL; pass JSON'
        WHEN NOT json_valid(payload) /*M! OR payload REGEXP escapes OR payload REGEXP numbers
                AND payload NOT REGEXP tokens */
            THEN 'payload is not JSON, or nests too deeply for this server; pass other JSON'
        WHEN NOT json_valid(headers) /*M! OR headers REGEXP escapes OR headers REGEXP numbers
                AND headers NOT REGEXP tokens */
            THEN 'headers is not JSON, or nests too deeply for this server; pass an object'
        WHEN json_type(headers) <> 'OBJECT'
            THEN 'headers is not a JSON object; pass an object of custom headers'
        WHEN version IS NULL OR version NOT REGEXP '^[0-9]{1,10}\\z'
                OR cast(version AS UNSIGNED) NOT BETWEEN 1 AND 2147483647
            THEN 'version is not from 1 to 2147483647; pass 1 for the first version'
        WHEN recorded_at NOT REGEXP times
            THEN 'recorded_at is not a time; pass 2026-03-01 12:00:00.123456, in UTC, or NULL'
        WHEN message_id NOT REGEXP uuids
            THEN 'message_id is not a UUID with hyphens; pass one as a text, or NULL'
        WHEN causation_id NOT REGEXP uuids
            THEN 'causation_id is not a UUID with hyphens; pass one as a text, or NULL'
    END;
    IF problem IS NULL AND recorded_at IS NOT NULL THEN
        BEGIN
            DECLARE CONTINUE HANDLER FOR 1292 SET new_time = NULL;
            SET new_time = cast(left(trim(TRAILING 'Z' FROM recorded_at), 26) AS DATETIME(6));
        END;
        IF new_time IS NULL OR month(new_time) = 0 OR day(new_time) = 0 THEN
            SET problem = 'recorded_at is not a time; pass one that exists, or NULL';
        END IF;
    END IF;
    IF problem IS NULL THEN
        SET new_version = version, header_names = json_keys(headers);
    END IF;
    WHILE problem IS NULL AND number <= 4 + json_length(header_names) DO
        SET name = if(number <= 4, elt(number, topic, message_type, correlation_id, message_key),
            json_unquote(json_extract(header_names, concat('$[', number - 5, ']'))));
        SET problem = CASE
            WHEN name IS NULL THEN if(number < 3, 'is NULL; pass a name', NULL)
            WHEN char_length(name) = 0 THEN 'is empty; pass a name'
            WHEN char_length(name) > 255 THEN 'has more than 255 characters; pass a shorter name'
            WHEN name REGEXP '[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]'
                THEN 'contains a control character or an invisible one; remove it'
            WHEN number <= 4 AND name REGEXP '{noncharacter}'
                THEN 'contains a noncharacter of Unicode; remove it'
            WHEN name REGEXP '^\\p{Z}|\\p{Z}\\z' THEN 'starts or ends with white space; remove it'
            WHEN number > 4 AND left(name, 2) = '__'
                THEN 'begins with "__", which is reserved; rename it'
        END;
        SET problem = concat(elt(least(number, 5),
            'topic', 'message_type', 'correlation_id', 'key', 'a name in headers'), ' ', problem);
        SET number = number + 1;
    END WHILE;
    IF problem IS NOT NULL THEN
        SET problem = concat('publishing a message failed: ', problem);
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = problem;
    END IF;
    {slot_of_key}
    SET new_topic = topic, new_id = coalesce(message_id, lower(concat(
        lpad(hex(millis DIV 65536), 8, '0'), '-', lpad(hex(millis % 65536), 4, '0'),
        '-7', substr(digest, 1, 3), '-', elt(1 + floor(rand() * 4), '8', '9', 'a', 'b'),
        substr(digest, 4, 3), '-', substr(digest, 7, 12))));
    SET headers = concat(
        '{"__message_id":"', new_id, '","__message_type":', json_quote(message_type),
        if(new_version > 1, concat(',"__message_version":', new_version), ''),
        coalesce(concat(',"__message_key":', json_quote(message_key)), ''),
        ',"__message_topic":', json_quote(topic),
        ',"__time_of_recording":"', date_format(new_time, '%Y-%m-%dT%H:%i:%s.%fZ'), '"',
        coalesce(concat(',"__correlation_id":', json_quote(correlation_id)), ''),
        coalesce(concat(',"__causation_id":"', causation_id, '"'), ''),
        coalesce(concat(',', nullif(
            regexp_replace(headers, '^\\s*\\{\\s*(\\}\\s*\\z)?|(?<!\\s)\\s*\\}\\s*\\z', ''), '')), ''), '}');
    SAVEPOINT persisting_message_bus_publish;
    BEGIN
        DECLARE CONTINUE HANDLER FOR 1305 SET in_transaction = FALSE;
        RELEASE SAVEPOINT persisting_message_bus_publish;
    END;
    IF NOT in_transaction AND @@log_bin AND @@binlog_format = 'STATEMENT' THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
            'publishing a message failed: binlog_format is STATEMENT; begin a transaction, or set it to ROW';
    END IF;
    {create_slots}
    IF in_transaction THEN
        {take_slot}
        INSERT INTO {table} ({columns})
            VALUES ({values});
    ELSE
        BEGIN
            DECLARE EXIT HANDLER FOR 1442
            BEGIN
                SET @persisting_message_bus_topic = new_topic, @persisting_message_bus_rows = -1;
                INSERT INTO {table} ({columns})
                    VALUES ({values_when_guarded});
            END;
            DECLARE EXIT HANDLER FOR 1690
            BEGIN
                DECLARE EXIT HANDLER FOR 1690
                BEGIN
                    IF EXISTS (SELECT 1 FROM {slots} AS mark
                        WHERE mark.{slots.topic} = new_topic AND mark.{slot} = own_slot) THEN
                        RESIGNAL;
                    END IF;
                    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
                        'publishing a message failed: {lacks_slots}';
                END;
                INSERT INTO {table} ({columns})
                    VALUES ({values_when_awaited});
            END;
            INSERT INTO {table} ({columns})
                VALUES ({values_when_free});
        END;
    END IF;
    SET @message_bus_id = new_id;
END"#;

/// Returns the statements that create the procedure by which any program publishes, for migrations
/// in SQL. [`migrate`](crate::sql::migrate) has created it for the default tables. On MariaDB, the
/// statements replace a procedure of the same name. On MySQL, they drop it before, together with
/// the rights on it: grant EXECUTE on the database, or grant it again. The first and the last of
/// them set the session's `sql_mode`, which the procedure keeps.
///
/// The procedure has the name [`publish_name`](crate::sql::publish_name). The
/// [guide](crate::guide::publishing_from_anywhere) documents its arguments. The command-line
/// clients need another `DELIMITER` for it, because it contains semicolons, and MySQL's client also
/// `--comments`, because the statements contain comments that MariaDB reads. The user needs the
/// rights CREATE ROUTINE and ALTER ROUTINE. Callers need EXECUTE on the procedure, INSERT on the
/// message table, and SELECT, INSERT and UPDATE on the table of slots.
#[must_use]
pub fn publish_statements(schema: &TableSchema) -> Vec<String> {
    let value = |key: &str| value_of(schema, key);
    let create = fill(SIGNATURE, value) + &fill(BODY, value);
    let drop = fill(DROP, value);
    vec![MODES.to_owned(), drop, create, MODES_AS_BEFORE.to_owned()]
}

fn value_of(schema: &TableSchema, key: &str) -> Option<String> {
    let (table, slots) = (&schema.messages, &schema.publisher_slots);
    Some(match key {
        "procedure" => quoted(&publish_name(schema)),
        "text" => TEXT.to_owned(),
        "noncharacter" => noncharacters(),
        "pattern" => PATTERN.to_owned(),
        "table" => quoted(&table.table),
        "columns" => columns(table).map(quoted).collect::<Vec<_>>().join(", "),
        "values" => values(table, "new_topic"),
        "values_when_free" => values(table, &topic_from_free_slot(slots)),
        "values_when_awaited" => values(table, &topic_from_awaited_slot(slots)),
        "values_when_guarded" => values(table, "nullif(new_topic, new_topic)"),
        "slots" => quoted(&slots.table),
        "slots.topic" => quoted(&slots.topic),
        "slot" => quoted(&slots.slot),
        "lacks_slots" => LACKS_SLOTS.to_owned(),
        "key_slot_variables" => KEY_SLOT_VARIABLES.to_owned(),
        "slot_of_key" => SLOT_OF_KEY.to_owned(),
        "slot_variables" => SLOT_VARIABLES.to_owned(),
        "create_slots" => create_slots(slots),
        "take_slot" => take_slot(slots),
        _ => return None,
    })
}

/// Returns the pattern of a noncharacter of Unicode, as a part of a text in SQL. A dispatch escapes them
/// in its headers, which SQL would not do, so they are refused.
fn noncharacters() -> String {
    let last_two = (0..=16).map(|plane| format!(r"\\x{{{plane:X}FFFE}}\\x{{{plane:X}FFFF}}"));
    format!(r"[\\x{{FDD0}}-\\x{{FDEF}}{}]", last_two.collect::<String>())
}

/// Returns the values of the row, with an expression for its topic.
fn values(table: &MessageTable, topic: &str) -> String {
    let version = table
        .message_version
        .as_ref()
        .map_or("", |_| ", new_version");
    let flow = table
        .correlation_id
        .as_ref()
        .map_or("", |_| ", correlation_id");
    let slot = table.key_slot.as_ref().map_or("", |_| ", key_slot");
    format!("new_id, {topic}, message_type{version}{flow}{slot}, payload, headers, new_time")
}
