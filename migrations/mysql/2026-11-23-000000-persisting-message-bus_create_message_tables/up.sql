-- Any program publishes by this procedure. The statements are those of
-- `sql::mysql::publish_statements`. The command-line clients need another
-- DELIMITER for the one that creates it, and MySQL's client also --comments.
-- They come first, because the server commits each statement: a user who may
-- not create procedures then creates no tables either. The server looks for the
-- tables when the procedure is called.
SET @persisting_message_bus_modes = @@sql_mode,
    sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';

/*M! DO 0 */ /*!80000 DROP PROCEDURE IF EXISTS `message_bus_publish` */;

CREATE /*M! OR REPLACE */ PROCEDURE `message_bus_publish`(
    topic LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, message_type LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, version LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, payload LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, headers LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    message_id LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, recorded_at LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, correlation_id LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, causation_id LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, message_key LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
) MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN
    DECLARE in_transaction BOOLEAN DEFAULT TRUE;
    DECLARE problem VARCHAR(128) CHARACTER SET utf8mb4;
    DECLARE header_names LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    DECLARE name LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    DECLARE number INT DEFAULT 1;
    DECLARE uuids VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\z';
    DECLARE escapes VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
        DEFAULT '(^|[^\\\\])(\\\\\\\\)*\\\\([^"\\\\/bfnrtu]|u(?![0-9A-Fa-f]{4}))';
    DECLARE numbers VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
        DEFAULT '[0-9]\\.([^0-9]|\\z)|[0-9][eE]([^0-9+-]|\\z)|[+-]([^0-9]|\\z)';
    DECLARE tokens VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT concat('^(?:[^"0-9.+-]++|"(?:[^"\\\\]++|\\\\.)*+"|',
        '-?[0-9]++(?:\\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![0-9A-Za-z.+-]))*+\\z');
    DECLARE millis BIGINT DEFAULT timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000;
    DECLARE digest CHAR(32) CHARACTER SET ascii DEFAULT md5(concat(uuid(), rand()));
    DECLARE new_topic VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    DECLARE new_id VARCHAR(36) CHARACTER SET ascii;
    DECLARE new_time DATETIME(6) DEFAULT utc_timestamp(6);
    DECLARE new_version INT;
    DECLARE times VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
        DEFAULT '^[0-9]{4}(-[0-9]{2}){2}([ T][0-9]{2}(:[0-9]{2}){2}(\\.[0-9]+)?Z?)?\\z';
    DECLARE key_slot SMALLINT DEFAULT -1;
    DECLARE key_bytes LONGBLOB;
    DECLARE key_hash BIGINT UNSIGNED DEFAULT 2166136261;
    DECLARE own_slot INT DEFAULT connection_id() % 64;
    DECLARE taken INT;
    DECLARE marks INT;
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
            WHEN number <= 4 AND name REGEXP '[\\x{FDD0}-\\x{FDEF}\\x{0FFFE}\\x{0FFFF}\\x{1FFFE}\\x{1FFFF}\\x{2FFFE}\\x{2FFFF}\\x{3FFFE}\\x{3FFFF}\\x{4FFFE}\\x{4FFFF}\\x{5FFFE}\\x{5FFFF}\\x{6FFFE}\\x{6FFFF}\\x{7FFFE}\\x{7FFFF}\\x{8FFFE}\\x{8FFFF}\\x{9FFFE}\\x{9FFFF}\\x{AFFFE}\\x{AFFFF}\\x{BFFFE}\\x{BFFFF}\\x{CFFFE}\\x{CFFFF}\\x{DFFFE}\\x{DFFFF}\\x{EFFFE}\\x{EFFFF}\\x{FFFFE}\\x{FFFFF}\\x{10FFFE}\\x{10FFFF}]'
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
    IF message_key IS NOT NULL THEN
        SET key_bytes = cast(message_key AS BINARY), number = 1;
        WHILE number <= length(key_bytes) DO
            SET key_hash = (key_hash ^ ascii(substr(key_bytes, number, 1))) * 16777619 & 4294967295,
                number = number + 1;
        END WHILE;
        SET key_hash = (key_hash ^ (key_hash >> 16)) * 2246822507 & 4294967295;
        SET key_hash = (key_hash ^ (key_hash >> 13)) * 3266489909 & 4294967295;
        SET key_slot = (key_hash ^ (key_hash >> 16)) & 32767;
    END IF;
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
    SELECT count(*) INTO marks FROM `message_publisher_slots` AS mark
        WHERE mark.`topic` = new_topic AND mark.`slot` = -1;
    IF marks = 0 THEN
        SET taken = (SELECT awaited.`slot` FROM `message_publisher_slots` AS awaited
            WHERE awaited.`topic` = '' AND awaited.`slot` = crc32(new_topic) % 64 FOR UPDATE);
        SET taken = NULL;
        BEGIN
            DECLARE CONTINUE HANDLER FOR 1062 SET taken = NULL;
            INSERT INTO `message_publisher_slots` (`topic`, `slot`) VALUES
                (new_topic, -1), (new_topic, 0), (new_topic, 1), (new_topic, 2),
                (new_topic, 3), (new_topic, 4), (new_topic, 5), (new_topic, 6),
                (new_topic, 7), (new_topic, 8), (new_topic, 9), (new_topic, 10),
                (new_topic, 11), (new_topic, 12), (new_topic, 13), (new_topic, 14),
                (new_topic, 15), (new_topic, 16), (new_topic, 17), (new_topic, 18),
                (new_topic, 19), (new_topic, 20), (new_topic, 21), (new_topic, 22),
                (new_topic, 23), (new_topic, 24), (new_topic, 25), (new_topic, 26),
                (new_topic, 27), (new_topic, 28), (new_topic, 29), (new_topic, 30),
                (new_topic, 31), (new_topic, 32), (new_topic, 33), (new_topic, 34),
                (new_topic, 35), (new_topic, 36), (new_topic, 37), (new_topic, 38),
                (new_topic, 39), (new_topic, 40), (new_topic, 41), (new_topic, 42),
                (new_topic, 43), (new_topic, 44), (new_topic, 45), (new_topic, 46),
                (new_topic, 47), (new_topic, 48), (new_topic, 49), (new_topic, 50),
                (new_topic, 51), (new_topic, 52), (new_topic, 53), (new_topic, 54),
                (new_topic, 55), (new_topic, 56), (new_topic, 57), (new_topic, 58),
                (new_topic, 59), (new_topic, 60), (new_topic, 61), (new_topic, 62),
                (new_topic, 63);
        END;
    END IF;
    IF in_transaction THEN
        IF marks > 0 THEN
        SET taken = (SELECT free.`slot` FROM `message_publisher_slots` AS free
                WHERE free.`topic` = new_topic AND free.`slot` >= own_slot
                ORDER BY free.`slot` LIMIT 1 FOR UPDATE SKIP LOCKED);
        IF taken IS NULL THEN
            SET taken = (SELECT free.`slot` FROM `message_publisher_slots` AS free
                WHERE free.`topic` = new_topic
                    AND free.`slot` >= 0 AND free.`slot` < own_slot
                ORDER BY free.`slot` LIMIT 1 FOR UPDATE SKIP LOCKED);
        END IF;
    END IF;
    IF taken IS NULL THEN
        SET taken = (SELECT awaited.`slot` FROM `message_publisher_slots` AS awaited
            WHERE awaited.`topic` = new_topic AND awaited.`slot` = own_slot FOR UPDATE);
    END IF;
    IF taken IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
            'inserting a message failed: its topic lacks rows in the table of slots; insert them';
    END IF;
        INSERT INTO `public_messages` (`message_id`, `topic`, `message_type`, `message_version`, `correlation_id`, `key_slot`, `payload`, `headers`, `published_at`)
            VALUES (new_id, new_topic, message_type, new_version, correlation_id, key_slot, payload, headers, new_time);
    ELSE
        BEGIN
            DECLARE EXIT HANDLER FOR 1442
            BEGIN
                SET @persisting_message_bus_topic = new_topic, @persisting_message_bus_rows = -1;
                INSERT INTO `public_messages` (`message_id`, `topic`, `message_type`, `message_version`, `correlation_id`, `key_slot`, `payload`, `headers`, `published_at`)
                    VALUES (new_id, nullif(new_topic, new_topic), message_type, new_version, correlation_id, key_slot, payload, headers, new_time);
            END;
            DECLARE EXIT HANDLER FOR 1690
            BEGIN
                DECLARE EXIT HANDLER FOR 1690
                BEGIN
                    IF EXISTS (SELECT 1 FROM `message_publisher_slots` AS mark
                        WHERE mark.`topic` = new_topic AND mark.`slot` = own_slot) THEN
                        RESIGNAL;
                    END IF;
                    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
                        'publishing a message failed: its topic lacks rows in the table of slots; insert them';
                END;
                INSERT INTO `public_messages` (`message_id`, `topic`, `message_type`, `message_version`, `correlation_id`, `key_slot`, `payload`, `headers`, `published_at`)
                    VALUES (new_id, coalesce(
                (SELECT new_topic FROM `message_publisher_slots` AS mine
                    WHERE mine.`topic` = new_topic AND mine.`slot` = own_slot FOR UPDATE),
                9223372036854775807 + 1), message_type, new_version, correlation_id, key_slot, payload, headers, new_time);
            END;
            INSERT INTO `public_messages` (`message_id`, `topic`, `message_type`, `message_version`, `correlation_id`, `key_slot`, `payload`, `headers`, `published_at`)
                VALUES (new_id, coalesce(
                (SELECT new_topic FROM `message_publisher_slots` AS mine
                    WHERE mine.`topic` = new_topic AND mine.`slot` >= own_slot
                    ORDER BY mine.`slot` LIMIT 1 FOR UPDATE SKIP LOCKED),
                (SELECT new_topic FROM `message_publisher_slots` AS below
                    WHERE below.`topic` = new_topic
                        AND below.`slot` >= 0 AND below.`slot` < own_slot
                    ORDER BY below.`slot` LIMIT 1 FOR UPDATE SKIP LOCKED),
                9223372036854775807 + 1), message_type, new_version, correlation_id, key_slot, payload, headers, new_time);
        END;
    END IF;
    SET @message_bus_id = new_id;
END;

SET sql_mode = @persisting_message_bus_modes;

-- The messages of all topics. "id" is the position. The primary key begins with
-- the topic, so that a page of a topic is read from one place. Names are
-- compared letter by letter. "key_slot" is computed from the key of the
-- message; -1 means that the message has no key.
CREATE TABLE public_messages (
    id BIGINT NOT NULL AUTO_INCREMENT,
    message_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    topic VARCHAR(255) NOT NULL,
    message_type VARCHAR(255) NOT NULL,
    message_version INT UNSIGNED NOT NULL DEFAULT 1,
    correlation_id VARCHAR(255),
    key_slot SMALLINT NOT NULL DEFAULT -1,
    payload LONGTEXT NOT NULL,
    headers LONGTEXT NOT NULL,
    published_at DATETIME(6) NOT NULL,
    PRIMARY KEY (topic, id),
    UNIQUE KEY id (id),
    UNIQUE KEY message_id (message_id),
    KEY correlation_id (correlation_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row for each consumer and topic: its position and its lease. A NULL
-- cursor is at the start. "work" records the messages that were handed to a
-- handler under the lease. If the holder ends unexpectedly, its record stays
-- here, and messages up to "suspect_until" are then handed out one at a time.
-- The anchor is the topic's last message at or before the cursor. If it is no
-- longer there, the database was restored, emptied or replaced. "source" is
-- where the cursor counts, if that is another database. "event_set" has the
-- topics and message types that the consumer reads.
CREATE TABLE message_consumer_state (
    consumer VARCHAR(255) NOT NULL,
    topic VARCHAR(255) NOT NULL,
    `cursor` BIGINT,
    lease_owner VARCHAR(255),
    lease_epoch BIGINT NOT NULL DEFAULT 0,
    lease_expires_at DATETIME(6),
    replay_until BIGINT,
    paused_at DATETIME(6),
    cursor_moved_at DATETIME(6),
    work VARCHAR(64),
    suspect_until BIGINT,
    anchor_position BIGINT,
    anchor_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin,
    source VARCHAR(255),
    event_set TEXT,
    PRIMARY KEY (consumer, topic)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Messages that a consumer failed on. "state" is "failing" or "stopped" for the
-- message that the consumer stands before, "parked" for messages that were set
-- aside, "redriven" for messages that the consumer must handle again, and
-- "final" for messages that are not attempted again because their handler has
-- ended its transaction.
CREATE TABLE message_failures (
    consumer VARCHAR(255) NOT NULL,
    topic VARCHAR(255) NOT NULL,
    position BIGINT NOT NULL,
    message_id CHAR(36),
    message_type VARCHAR(255),
    state VARCHAR(16) NOT NULL,
    attempts INT UNSIGNED NOT NULL,
    error TEXT NOT NULL,
    first_failed_at DATETIME(6) NOT NULL,
    last_failed_at DATETIME(6) NOT NULL,
    PRIMARY KEY (consumer, topic, position),
    KEY message_failures_state (consumer, topic, state, position)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Messages from outside that were received. They are kept for as long as they
-- may be received again.
CREATE TABLE message_inbox (
    consumer VARCHAR(255) NOT NULL,
    source VARCHAR(255) NOT NULL,
    message_id VARCHAR(255) NOT NULL,
    received_at DATETIME(6) NOT NULL,
    PRIMARY KEY (consumer, source, message_id),
    KEY message_inbox_received_at (consumer, source, received_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Each active publisher of a topic locks one slot. Nothing is written here
-- after the first message of a topic. The first publishers of a new topic wait
-- for each other at one of the rows that belong to no topic.
CREATE TABLE message_publisher_slots (
    topic VARCHAR(255) NOT NULL,
    slot INT NOT NULL,
    PRIMARY KEY (topic, slot)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO message_publisher_slots (topic, slot) VALUES
    ('', 0), ('', 1), ('', 2), ('', 3), ('', 4), ('', 5), ('', 6), ('', 7),
    ('', 8), ('', 9), ('', 10), ('', 11), ('', 12), ('', 13), ('', 14), ('', 15),
    ('', 16), ('', 17), ('', 18), ('', 19), ('', 20), ('', 21), ('', 22), ('', 23),
    ('', 24), ('', 25), ('', 26), ('', 27), ('', 28), ('', 29), ('', 30), ('', 31),
    ('', 32), ('', 33), ('', 34), ('', 35), ('', 36), ('', 37), ('', 38), ('', 39),
    ('', 40), ('', 41), ('', 42), ('', 43), ('', 44), ('', 45), ('', 46), ('', 47),
    ('', 48), ('', 49), ('', 50), ('', 51), ('', 52), ('', 53), ('', 54), ('', 55),
    ('', 56), ('', 57), ('', 58), ('', 59), ('', 60), ('', 61), ('', 62), ('', 63);
