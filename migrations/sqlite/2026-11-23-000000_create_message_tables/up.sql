-- The messages of all topics. "id" is the position: AUTOINCREMENT, so that a
-- pruned position is never handed out again.
CREATE TABLE public_messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    message_type TEXT NOT NULL,
    message_version INTEGER NOT NULL DEFAULT 1,
    correlation_id TEXT,
    payload TEXT NOT NULL,
    headers TEXT NOT NULL,
    published_at TEXT NOT NULL
);

CREATE INDEX public_messages_topic_id ON public_messages (topic, id);

-- Most messages start a flow of their own and have none.
CREATE INDEX public_messages_correlation_id ON public_messages (correlation_id)
    WHERE correlation_id IS NOT NULL;

-- One row per consumer and topic: how far it is, and who may work on it.
-- A cursor that is NULL has not left the start. "work" says what was handed out
-- to a handler under the lease: a holder that ends without a word leaves it here.
-- Up to "suspect_until", messages are then handed out one at a time.
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
    PRIMARY KEY (consumer, topic)
) WITHOUT ROWID;

-- Messages that a consumer failed on: "state" is failing or stopped for the one
-- that it stands in front of, parked for those that were set aside, redriven for
-- those that it is to handle again.
CREATE TABLE message_failures (
    consumer TEXT NOT NULL,
    topic TEXT NOT NULL,
    position INTEGER NOT NULL,
    message_id TEXT,
    message_type TEXT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    first_failed_at TEXT NOT NULL,
    last_failed_at TEXT NOT NULL,
    PRIMARY KEY (consumer, topic, position)
) WITHOUT ROWID;

CREATE INDEX message_failures_state
    ON message_failures (consumer, topic, state, position);

-- Messages from outside that were received, for as long as they may come again.
CREATE TABLE message_inbox (
    consumer TEXT NOT NULL,
    source TEXT NOT NULL,
    message_id TEXT NOT NULL,
    received_at TEXT NOT NULL,
    PRIMARY KEY (consumer, source, message_id)
) WITHOUT ROWID;

CREATE INDEX message_inbox_received_at ON message_inbox (consumer, source, received_at);
