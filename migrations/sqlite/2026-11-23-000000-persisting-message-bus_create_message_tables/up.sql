-- The messages of all topics. "id" is the position. AUTOINCREMENT ensures that
-- the position of a pruned message is never assigned again. "key_slot" is
-- computed from the key of the message; -1 means that the message has no key.
CREATE TABLE public_messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    message_type TEXT NOT NULL,
    message_version INTEGER NOT NULL DEFAULT 1,
    correlation_id TEXT,
    key_slot INTEGER NOT NULL DEFAULT -1,
    payload TEXT NOT NULL,
    headers TEXT NOT NULL,
    published_at TEXT NOT NULL
);

CREATE INDEX public_messages_topic_id ON public_messages (topic, id, key_slot);

-- Most messages start a flow of their own, so their correlation id is NULL.
CREATE INDEX public_messages_correlation_id ON public_messages (correlation_id)
    WHERE correlation_id IS NOT NULL;

-- One row for each consumer and topic: its position and its lease. A NULL
-- cursor is at the start. "work" records the messages that were handed to a
-- handler under the lease. If the holder ends unexpectedly, its record stays
-- here, and messages up to "suspect_until" are then handed out one at a time.
-- The anchor is the topic's last message at or before the cursor. If it is no
-- longer there, the database was restored, emptied or replaced. "source" is
-- where the cursor counts, if that is another database. "event_set" has the
-- topics and message types that the consumer reads.
CREATE TABLE message_consumer_state (
    consumer TEXT NOT NULL,
    topic TEXT NOT NULL,
    "cursor" INTEGER,
    lease_owner TEXT,
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    lease_expires_at TEXT,
    replay_until INTEGER,
    paused_at TEXT,
    cursor_moved_at TEXT,
    work TEXT,
    suspect_until INTEGER,
    anchor_position INTEGER,
    anchor_id TEXT,
    source TEXT,
    event_set TEXT,
    division TEXT,
    PRIMARY KEY (consumer, topic)
) WITHOUT ROWID;

-- The segments of a consumer that is divided ("division" in its row says how), on
-- each topic. A segment is a range of slots. Each has a cursor and a lease of its
-- own, as a consumer has. "segment" is the consumer's name, a slash and the
-- segment's number.
CREATE TABLE message_consumer_segments (
    segment TEXT NOT NULL,
    topic TEXT NOT NULL,
    consumer TEXT NOT NULL,
    slot_from INTEGER NOT NULL,
    slot_to INTEGER NOT NULL,
    "cursor" INTEGER,
    lease_owner TEXT,
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    lease_expires_at TEXT,
    replay_until INTEGER,
    paused_at TEXT,
    cursor_moved_at TEXT,
    work TEXT,
    suspect_until INTEGER,
    anchor_position INTEGER,
    anchor_id TEXT,
    source TEXT,
    event_set TEXT,
    PRIMARY KEY (segment, topic)
) WITHOUT ROWID;

CREATE INDEX message_consumer_segments_consumer
    ON message_consumer_segments (consumer, topic);

-- Messages that a consumer failed on. "state" is "failing" or "stopped" for the
-- message that the consumer stands before, "parked" for messages that were set
-- aside, "redriven" for messages that the consumer must handle again, and
-- "final" for messages that are not attempted again because their handler has
-- ended its transaction.
CREATE TABLE message_failures (
    consumer TEXT NOT NULL,
    topic TEXT NOT NULL,
    position INTEGER NOT NULL,
    message_id TEXT,
    message_type TEXT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    key_slot INTEGER NOT NULL DEFAULT -1,
    first_failed_at TEXT NOT NULL,
    last_failed_at TEXT NOT NULL,
    PRIMARY KEY (consumer, topic, position)
) WITHOUT ROWID;

CREATE INDEX message_failures_state
    ON message_failures (consumer, topic, state, position);

-- Messages from outside that were received. They are kept for as long as they
-- may be received again.
CREATE TABLE message_inbox (
    consumer TEXT NOT NULL,
    source TEXT NOT NULL,
    message_id TEXT NOT NULL,
    received_at TEXT NOT NULL,
    PRIMARY KEY (consumer, source, message_id)
) WITHOUT ROWID;

CREATE INDEX message_inbox_received_at ON message_inbox (consumer, source, received_at);
