-- The messages of all topics. "id" is the position: AUTOINCREMENT, so that a
-- pruned position is never handed out again.
CREATE TABLE public_messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    message_type TEXT NOT NULL,
    message_version INTEGER NOT NULL DEFAULT 1,
    payload TEXT NOT NULL,
    headers TEXT NOT NULL,
    published_at TEXT NOT NULL
);

CREATE INDEX public_messages_topic_id ON public_messages (topic, id);

-- One row per consumer and topic: how far it is, and who may work on it.
-- A cursor that is NULL has not left the start.
CREATE TABLE message_consumer_state (
    consumer TEXT NOT NULL,
    topic TEXT NOT NULL,
    "cursor" INTEGER,
    lease_owner TEXT,
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    lease_expires_at TEXT,
    PRIMARY KEY (consumer, topic)
) WITHOUT ROWID;
