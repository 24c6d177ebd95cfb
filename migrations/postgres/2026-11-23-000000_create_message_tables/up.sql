-- The messages of all topics. "id" is the position. Its sequence must keep
-- CACHE 1: readers tell by its last value what can still be committed.
CREATE TABLE public_messages (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL UNIQUE,
    topic text NOT NULL,
    message_type text NOT NULL,
    message_version integer NOT NULL DEFAULT 1,
    payload json NOT NULL,
    headers json NOT NULL,
    published_at timestamptz NOT NULL
);

CREATE INDEX public_messages_topic_id ON public_messages (topic, id);

-- One row per consumer and topic: how far it is, and who may work on it.
-- A cursor that is NULL has not left the start. The epoch is in the key so that
-- the latest version of a row is found at once where many are kept.
CREATE TABLE message_consumer_state (
    consumer text NOT NULL,
    topic text NOT NULL,
    "cursor" bigint,
    lease_owner text,
    lease_epoch bigint NOT NULL DEFAULT 0,
    lease_expires_at timestamptz,
    PRIMARY KEY (consumer, topic, lease_epoch)
);
