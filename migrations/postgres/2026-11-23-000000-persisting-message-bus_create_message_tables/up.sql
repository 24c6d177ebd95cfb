-- The messages of all topics. "id" is the position. Its sequence must keep
-- CACHE 1, because readers derive from its last value which messages can still
-- be committed. "key_slot" is computed from the key of the message; -1 means
-- that the message has no key.
CREATE TABLE public_messages (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL UNIQUE,
    topic text NOT NULL,
    message_type text NOT NULL,
    message_version integer NOT NULL DEFAULT 1,
    correlation_id text,
    key_slot smallint NOT NULL DEFAULT -1,
    payload json NOT NULL,
    headers json NOT NULL,
    published_at timestamptz NOT NULL
);

CREATE INDEX public_messages_topic_id ON public_messages (topic, id, key_slot);

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

-- Any program publishes by this function. The statements are those of
-- `sql::postgres::publish_statements`.
CREATE OR REPLACE FUNCTION "message_bus_publish"(
    topic text, message_type text, version bigint, payload text, headers text DEFAULT '{}',
    message_id uuid DEFAULT NULL, recorded_at timestamptz DEFAULT NULL,
    correlation_id text DEFAULT NULL, causation_id uuid DEFAULT NULL, key text DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    doing text := concat('publishing a message on topic "', left($1, 255), '" failed: ');
    new_id uuid := coalesce($6, encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid);
    new_time timestamptz := coalesce($7, clock_timestamp());
    new_headers text := coalesce($5, '{}');
    flow text := nullif($8, '');
    names text[] := ARRAY[$1, $2, flow, $10];
    argument text;
    problem text;
    json_text text;
    brackets text;
    name bytea := pg_catalog.convert_to($1, 'UTF8');
    hash bigint := 2166136261;
    slot smallint := -1;
    blank text := E'[\\u0009-\\u000D\\u0020\\u0085\\u00A0\\u1680\\u2000-\\u200A\\u2028-\\u2029\\u202F\\u205F\\u3000]';
    invisible text := E'[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u0600-\\u0605\\u061C\\u06DD\\u070F\\u0890-\\u0891\\u08E2\\u180E\\u200B-\\u200F\\u2028-\\u202E\\u2060-\\u2064\\u2066-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000110BD\\U000110CD\\U00013430-\\U0001343F\\U0001BCA0-\\U0001BCA3\\U0001D173-\\U0001D17A\\U000E0001\\U000E0020-\\U000E007F]';
    noncharacter text := E'[\\uFDD0-\\uFDEF\\uFFFE-\\uFFFF\\U0001FFFE-\\U0001FFFF\\U0002FFFE-\\U0002FFFF\\U0003FFFE-\\U0003FFFF\\U0004FFFE-\\U0004FFFF\\U0005FFFE-\\U0005FFFF\\U0006FFFE-\\U0006FFFF\\U0007FFFE-\\U0007FFFF\\U0008FFFE-\\U0008FFFF\\U0009FFFE-\\U0009FFFF\\U000AFFFE-\\U000AFFFF\\U000BFFFE-\\U000BFFFF\\U000CFFFE-\\U000CFFFF\\U000DFFFE-\\U000DFFFF\\U000EFFFE-\\U000EFFFF\\U000FFFFE-\\U000FFFFF\\U0010FFFE-\\U0010FFFF]';
BEGIN
    FOR i IN 1 .. 2 LOOP
        argument := (ARRAY['payload', 'headers'])[i];
        json_text := (ARRAY[$4, new_headers])[i];
        BEGIN
            IF json_text::json IS NULL THEN
                problem := 'is NULL; pass JSON';
            ELSIF i = 2 AND json_typeof(json_text::json) <> 'object' THEN
                problem := 'is not a JSON object; pass an object of custom headers';
            ELSIF i = 2 THEN
                names := names
                    || ARRAY(SELECT json_object_keys(replace(json_text, E'\\u0000', E'\\u0001')::json));
            END IF;
        EXCEPTION WHEN invalid_text_representation OR untranslatable_character
            OR statement_too_complex THEN
            GET STACKED DIAGNOSTICS problem = PG_EXCEPTION_DETAIL;
            problem := concat('is not JSON (', coalesce(nullif(problem, ''), SQLERRM), '); pass JSON');
        END;
        IF problem IS NULL AND
            length(json_text) - length(replace(replace(json_text, '[', ''), '{', '')) > 127 THEN
            brackets := regexp_replace(json_text, E'"(\\\\.|[^"\\\\])*"', '', 'g');
            brackets := translate(regexp_replace(brackets, '[^][{}]', '', 'g'), '{}', '[]');
            FOR level IN 1 .. 127 LOOP
                brackets := replace(brackets, '[]', '');
            END LOOP;
            IF brackets <> '' THEN
                problem := 'nests arrays and objects deeper than 127 levels; nest them less deeply';
            END IF;
        END IF;
        IF problem IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = concat(doing, argument, ' ', problem);
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(names) LOOP
        problem := CASE
            WHEN names[i] IS NULL THEN CASE WHEN i < 3 THEN 'is NULL; pass a name' END
            WHEN names[i] = '' THEN 'is empty; pass a name'
            WHEN length(names[i]) > 255 THEN 'has more than 255 characters; pass a shorter name'
            WHEN names[i] ~ invisible
                THEN 'contains a control character or an invisible one; remove it'
            WHEN i <= 4 AND names[i] ~ noncharacter
                THEN 'contains a noncharacter of Unicode; remove it'
            WHEN names[i] ~ concat('^', blank, '|', blank, '$')
                THEN 'starts or ends with white space; remove it'
            WHEN i > 4 AND left(names[i], 2) = '__'
                THEN 'begins with "__", which is reserved; rename it'
        END;
        IF problem IS NOT NULL THEN
            argument := coalesce((ARRAY['topic', 'message_type', 'correlation_id', 'key'])[i],
                concat('the name "', left(names[i], 255), '" in headers'));
            doing := CASE WHEN i = 1 THEN 'publishing a message failed: ' ELSE doing END;
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = concat(doing, argument, ' ', problem);
        END IF;
    END LOOP;
    problem := CASE
        WHEN $3 IS NULL OR $3 NOT BETWEEN 1 AND 2147483647
            THEN 'version is not from 1 to 2147483647; pass 1 for the first version'
        WHEN new_time NOT BETWEEN '0001-01-01 00:00:00Z BC' AND '9999-12-31 23:59:59.999999Z'
            THEN 'recorded_at is outside of the years 0 to 9999; pass another time, or NULL'
    END;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = concat(doing, problem);
    END IF;
    IF $10 IS NOT NULL THEN
        name := pg_catalog.convert_to($10, 'UTF8');
        FOR i IN 0 .. pg_catalog.length(name) OPERATOR(pg_catalog.-) 1 LOOP
            hash := ((hash OPERATOR(pg_catalog.#) pg_catalog.get_byte(name, i)::bigint)
                OPERATOR(pg_catalog.*) 16777619::bigint) OPERATOR(pg_catalog.&) 4294967295;
        END LOOP;
        hash := hash OPERATOR(pg_catalog.#) (hash OPERATOR(pg_catalog.>>) 16);
        hash := (((hash OPERATOR(pg_catalog.&) 65535) OPERATOR(pg_catalog.*) 2246822507::bigint)
            OPERATOR(pg_catalog.+) ((((hash OPERATOR(pg_catalog.>>) 16) OPERATOR(pg_catalog.*) 2246822507::bigint)
            OPERATOR(pg_catalog.&) 65535) OPERATOR(pg_catalog.<<) 16)) OPERATOR(pg_catalog.&) 4294967295;
        hash := hash OPERATOR(pg_catalog.#) (hash OPERATOR(pg_catalog.>>) 13);
        hash := (((hash OPERATOR(pg_catalog.&) 65535) OPERATOR(pg_catalog.*) 3266489909::bigint)
            OPERATOR(pg_catalog.+) ((((hash OPERATOR(pg_catalog.>>) 16) OPERATOR(pg_catalog.*) 3266489909::bigint)
            OPERATOR(pg_catalog.&) 65535) OPERATOR(pg_catalog.<<) 16)) OPERATOR(pg_catalog.&) 4294967295;
        hash := hash OPERATOR(pg_catalog.#) (hash OPERATOR(pg_catalog.>>) 16);
        slot := hash OPERATOR(pg_catalog.&) 32767;
        name := pg_catalog.convert_to($1, 'UTF8');
        hash := 2166136261;
    END IF;
    FOR i IN 0 .. pg_catalog.length(name) OPERATOR(pg_catalog.-) 1 LOOP
            hash := ((hash OPERATOR(pg_catalog.#) pg_catalog.get_byte(name, i)::bigint)
                OPERATOR(pg_catalog.*) 16777619::bigint) OPERATOR(pg_catalog.&) 4294967295;
        END LOOP;
    new_headers := concat(
        '{"__message_id":"', new_id, '","__message_type":', to_json($2),
        CASE WHEN $3 > 1 THEN concat(',"__message_version":', $3) END,
        ',"__message_key":' || to_json($10)::text,
        ',"__message_topic":', to_json($1), ',"__time_of_recording":"',
        CASE WHEN new_time < '0001-01-01 00:00:00Z' THEN '0000'
            ELSE to_char(new_time AT TIME ZONE 'UTC', 'YYYY') END,
        to_char(new_time AT TIME ZONE 'UTC', '-MM-DD"T"HH24:MI:SS.US"Z"'), '"',
        ',"__correlation_id":' || to_json(flow)::text, ',"__causation_id":"' || $9::text || '"',
        ',' || nullif(regexp_replace(new_headers, E'^\\s*\\{\\s*|\\s*\\}\\s*$', '', 'g'), ''), '}');
    INSERT INTO "public_messages" ("id", "message_id", "topic", "message_type", "message_version", "correlation_id", "key_slot", "payload", "headers", "published_at")
    OVERRIDING SYSTEM VALUE
    SELECT pg_catalog.nextval(fence.id), new_id, $1, $2, $3::integer, flow, slot, $4::json, new_headers::json, new_time
    FROM (
        SELECT id, of_table, topic,
            topic OPERATOR(pg_catalog.#) (id::pg_catalog.oid::bigint OPERATOR(pg_catalog.<<) 40) AS key,
            'persisting_message_bus.fence_' OPERATOR(pg_catalog.||) pg_catalog.to_hex(
                topic OPERATOR(pg_catalog.#) id::pg_catalog.oid::bigint
            ) AS setting
        FROM (
            SELECT coalesce(
                pg_catalog.pg_get_serial_sequence(pg_catalog.quote_ident(of_table), of_column),
                pg_catalog.quote_ident(pg_catalog.concat('the sequence of ', of_table, '.', of_column))
            )::pg_catalog.regclass AS id, of_table, topic
            FROM (SELECT E'public_messages' AS of_table, E'id' AS of_column,
                hash OPERATOR(pg_catalog.<<) 32 AS topic) AS name
            OFFSET 0
        ) AS sequence
    ) AS fence
    WHERE CASE
        WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 AND pg_catalog.to_regclass(
            'pg_temp.' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(of_table)
        ) IS NOT NULL THEN false
        WHEN pg_catalog.current_setting(setting, true) OPERATOR(pg_catalog.=) 'held' THEN true
        ELSE pg_catalog.pg_advisory_xact_lock_shared(
            key OPERATOR(pg_catalog.#) coalesce(pg_catalog.pg_sequence_last_value(id), 0)
        ) IS NOT NULL AND pg_catalog.set_config(setting, 'held', true) IS NOT NULL
    END
    ON CONFLICT ("message_id") DO NOTHING;
    IF FOUND THEN
        RETURN new_id;
    END IF;
    IF EXISTS (SELECT FROM "public_messages" WHERE "message_id" = new_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation', MESSAGE = concat(
            doing, 'message_id ', new_id, ' was published before; pass another one, or NULL');
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = concat(
        doing, 'the table ', E'public_messages', ' has not stored the row; drop the temporary table of that '
        'name, or the trigger or policy that drops or hides the row');
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION %I.%I(text, text, bigint, text, text, uuid, timestamptz, text, uuid, text) '
        'SET search_path = %I, pg_temp', current_schema(), E'message_bus_publish', current_schema());
END
$$;
