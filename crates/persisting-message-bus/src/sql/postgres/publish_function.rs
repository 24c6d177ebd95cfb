//! The function by which any program publishes: it checks its arguments, takes the fence and inserts
//! the row.

use crate::message::name::is_invisible;
use crate::message::plain_json::is_noncharacter;
use crate::sql::columns::columns;
use crate::sql::fill::fill;
use crate::sql::postgres::key_slot::{SLOT_VARIABLE, slot_of_key};
use crate::sql::postgres::publish_one::{FENCE, POSITION, SEQUENCE};
use crate::sql::postgres::quoting::{quoted, quoted_text};
use crate::sql::postgres::topic_hash::HASH_NAME;
use crate::sql::publish_call::publish_name;
use crate::sql::schema::TableSchema;

/// The function has the rights of its caller.
const SIGNATURE: &str = "CREATE OR REPLACE FUNCTION {function}(
    topic text, message_type text, version bigint, payload text, headers text DEFAULT '{}',
    message_id uuid DEFAULT NULL, recorded_at timestamptz DEFAULT NULL,
    correlation_id text DEFAULT NULL, causation_id uuid DEFAULT NULL, key text DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql VOLATILE AS ";

/// Lets the function find the table in the schema in which it was created, for every caller. The
/// current `search_path` would not do: it often contains `"$user"`, which is the caller's schema.
const SET_PATH: &str = "
BEGIN
    EXECUTE format('ALTER FUNCTION %I.%I(text, text, bigint, text, text, uuid, timestamptz, text, uuid, text) '
        'SET search_path = %I, pg_temp', current_schema(), {name}, current_schema());
END
";

/// The parameters are named for callers. The body numbers them, because columns can have the same
/// names.
///
/// JSON is checked in a block that catches the error, so that the error names the argument. The fence
/// is taken outside of such a block, because its end could release the lock. To count the levels of
/// arrays and objects, everything but the brackets is removed, and then the innermost pairs, level by
/// level.
///
/// A dispatch escapes noncharacters of Unicode in its headers, which SQL would not do, so they are
/// refused in the names that become headers.
///
/// The server cannot read the character 0 in JSON, so the names of headers are read with another control
/// character in its place.
///
/// The row is inserted by the statement of `publish_one.rs`, with the same fence. From the key to
/// the fence, functions and operators are qualified, as in `topic_hash.rs`.
const BODY: &str = r#"
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
    {slot_variable}
    blank text := {blank};
    invisible text := {invisible};
    noncharacter text := {noncharacter};
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
    {slot_of_key}
    {hash_name}
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
    INSERT INTO {table} ({id}, {columns})
    OVERRIDING SYSTEM VALUE
    SELECT {position}, {values}{sequence}{table_text} AS of_table, {id_text} AS of_column,
                hash OPERATOR(pg_catalog.<<) 32 AS topic{fence}
    ON CONFLICT ({message_id}) DO NOTHING;
    IF FOUND THEN
        RETURN new_id;
    END IF;
    IF EXISTS (SELECT FROM {table} WHERE {message_id} = new_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation', MESSAGE = concat(
            doing, 'message_id ', new_id, ' was published before; pass another one, or NULL');
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = concat(
        doing, 'the table ', {table_text}, ' has not stored the row; drop the temporary table of that '
        'name, or the trigger or policy that drops or hides the row');
END
"#;

/// Returns the statements that create the function by which any program publishes, for migrations
/// in SQL. [`migrate`](crate::sql::migrate) has created it for the default tables.
///
/// The function has the name [`publish_name`](crate::sql::publish_name). Run the statements with
/// the table's schema first in the `search_path`; the function then finds the table there. The
/// [guide](crate::guide::publishing_from_anywhere) documents its arguments. PostgreSQL 13 or newer is
/// needed.
///
/// Callers need the rights INSERT and SELECT on the table, and USAGE on the sequence of its positions.
#[must_use]
pub fn publish_statements(schema: &TableSchema) -> Vec<String> {
    let function = quoted(&publish_name(schema));
    let signature = fill(SIGNATURE, |key| {
        (key == "function").then(|| function.clone())
    });
    let body = fill(BODY, |key| value_of(schema, key));
    let set_path = fill(SET_PATH, |key| {
        (key == "name").then(|| quoted_text(&publish_name(schema)))
    });
    vec![
        signature + &dollar_quoted(&body),
        format!("DO {}", dollar_quoted(&set_path)),
    ]
}

fn value_of(schema: &TableSchema, key: &str) -> Option<String> {
    let table = &schema.messages;
    Some(match key {
        "table" => quoted(&table.table),
        "table_text" => quoted_text(&table.table),
        "id" => quoted(&table.id),
        "id_text" => quoted_text(&table.id),
        "message_id" => quoted(&table.message_id),
        "columns" => columns(table).map(quoted).collect::<Vec<_>>().join(", "),
        "values" => {
            let version = table
                .message_version
                .as_ref()
                .map_or("", |_| ", $3::integer");
            let flow = table.correlation_id.as_ref().map_or("", |_| ", flow");
            let slot = table.key_slot.as_ref().map_or("", |_| ", slot");
            format!("new_id, $1, $2{version}{flow}{slot}, $4::json, new_headers::json, new_time")
        }
        "position" => POSITION.to_owned(),
        "sequence" => SEQUENCE.to_owned(),
        "fence" => FENCE.to_owned(),
        "hash_name" => HASH_NAME.to_owned(),
        "slot_variable" => SLOT_VARIABLE.to_owned(),
        "slot_of_key" => slot_of_key(),
        "invisible" => quoted_text(&class_of(is_invisible)),
        "noncharacter" => quoted_text(&class_of(is_noncharacter)),
        "blank" => quoted_text(&class_of(char::is_whitespace)),
        _ => return None,
    })
}

/// Returns the regular expression for one character of a kind. No text contains the character 0.
fn class_of(is_of_kind: fn(char) -> bool) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for code in ('\u{1}'..=char::MAX)
        .filter(|it| is_of_kind(*it))
        .map(u32::from)
    {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == code => *last = code,
            _ => ranges.push((code, code)),
        }
    }
    let ranges = ranges.into_iter().map(|(first, last)| {
        if first == last {
            return escaped(first);
        }
        format!("{}-{}", escaped(first), escaped(last))
    });
    format!("[{}]", ranges.collect::<String>())
}

fn escaped(code: u32) -> String {
    if code > 0xffff {
        return format!("\\U{code:08X}");
    }
    format!("\\u{code:04X}")
}

/// Quotes a text as it stands, so that it can be read in the database.
fn dollar_quoted(text: &str) -> String {
    let mut tag = "$$".to_owned();
    while text.contains(&tag) {
        tag.insert(1, 'q');
    }
    format!("{tag}{text}{tag}")
}
