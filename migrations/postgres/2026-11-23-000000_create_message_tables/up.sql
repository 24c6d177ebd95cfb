-- The messages of all topics. "id" is the position. Its sequence must keep
-- CACHE 1: readers tell by its last value what can still be committed.
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

-- Most messages start a flow of their own and have none.
CREATE INDEX public_messages_correlation_id ON public_messages (correlation_id, id)
    WHERE correlation_id IS NOT NULL;

-- One row per consumer and topic: how far it is, and who may work on it.
-- A cursor that is NULL has not left the start. "work" says what was handed out
-- to a handler under the lease: a holder that ends without a word leaves it here.
-- Up to "suspect_until", messages are then handed out one at a time. The epoch is in the key so that
-- the latest version of a row is found at once where many are kept.
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
    PRIMARY KEY (consumer, topic, lease_epoch)
);

-- Messages that a consumer failed on: "state" is failing or stopped for the one
-- that it stands in front of, parked for those that were set aside, redriven for
-- those that it is to handle again.
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

-- Messages from outside that were received, for as long as they may come again.
CREATE TABLE message_inbox (
    consumer text NOT NULL,
    source text NOT NULL,
    message_id text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (consumer, source, message_id)
);

CREATE INDEX message_inbox_received_at ON message_inbox (consumer, source, received_at);
