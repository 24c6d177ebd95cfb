-- The messages of all topics. "id" is the position. Its sequence must keep
-- CACHE 1, because readers derive from its last value which messages can still
-- be committed.
CREATE TABLE public_messages (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL UNIQUE,
    topic text NOT NULL,
    message_type text NOT NULL,
    message_version integer NOT NULL DEFAULT 1,
    correlation_id text,
    payload json NOT NULL,
    headers json NOT NULL,
    published_at timestamptz NOT NULL
);

CREATE INDEX public_messages_topic_id ON public_messages (topic, id);

-- Most messages start a flow of their own, so their correlation id is NULL.
CREATE INDEX public_messages_correlation_id ON public_messages (correlation_id, id)
    WHERE correlation_id IS NOT NULL;

-- One row for each consumer and topic: its position and its lease. A NULL
-- cursor is at the start. "work" records the messages that were handed to a
-- handler under the lease. If the holder ends unexpectedly, its record stays
-- here, and messages up to "suspect_until" are then handed out one at a time.
-- The anchor is the topic's last message at or before the cursor. If it is no
-- longer there, the database was restored, emptied or replaced. "source" is
-- where the cursor counts, if that is another database. "event_set" has the
-- topics and message types that the consumer reads.
-- The epoch is in the key, so that the current version of a row is found
-- directly where many versions are kept.
CREATE TABLE message_consumer_state (
    consumer text NOT NULL,
    topic text NOT NULL,
    "cursor" bigint,
    lease_owner text,
    lease_epoch bigint NOT NULL DEFAULT 0,
    lease_expires_at timestamptz,
    replay_until bigint,
    paused_at timestamptz,
    cursor_moved_at timestamptz,
    work text,
    suspect_until bigint,
    anchor_position bigint,
    anchor_id text,
    source text,
    event_set text,
    PRIMARY KEY (consumer, topic, lease_epoch)
);

-- Messages that a consumer failed on. "state" is "failing" or "stopped" for the
-- message that the consumer stands before, "parked" for messages that were set
-- aside, "redriven" for messages that the consumer must handle again, and
-- "final" for messages that are not attempted again because their handler has
-- ended its transaction.
CREATE TABLE message_failures (
    consumer text NOT NULL,
    topic text NOT NULL,
    position bigint NOT NULL,
    message_id text,
    message_type text,
    state text NOT NULL,
    attempts integer NOT NULL,
    error text NOT NULL,
    first_failed_at timestamptz NOT NULL,
    last_failed_at timestamptz NOT NULL,
    PRIMARY KEY (consumer, topic, position)
);

CREATE INDEX message_failures_state
    ON message_failures (consumer, topic, state, position);

-- Messages from outside that were received. They are kept for as long as they
-- may be received again.
CREATE TABLE message_inbox (
    consumer text NOT NULL,
    source text NOT NULL,
    message_id text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (consumer, source, message_id)
);

CREATE INDEX message_inbox_received_at ON message_inbox (consumer, source, received_at);
