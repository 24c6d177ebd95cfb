-- The messages of all topics. "id" is the position. The primary key begins with
-- the topic, so that a page of a topic is read from one place. Names are
-- compared letter by letter.
CREATE TABLE public_messages (
    id BIGINT NOT NULL AUTO_INCREMENT,
    message_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    topic VARCHAR(255) NOT NULL,
    message_type VARCHAR(255) NOT NULL,
    message_version INT UNSIGNED NOT NULL DEFAULT 1,
    correlation_id VARCHAR(255),
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
