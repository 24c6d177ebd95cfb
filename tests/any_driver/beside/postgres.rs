use chrono::{DateTime, Datelike, Utc};
use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::Text;
use persisting_message_bus::backend::RawMessage;
use persisting_message_bus::sql::{Database, TableSchema, guard_foreign_inserts, postgres};
use persisting_message_bus_tests::databases::{Postgres, Server};

use super::{Beside, hex};
use crate::clients::{self, Client};

impl Beside for Postgres {
    const KIND: Database = Database::Postgres;
    const STRANGE_TABLES: &'static str = r#"CREATE TABLE "my ""`Events`" (
        "the ID" bigserial PRIMARY KEY, "order" uuid NOT NULL UNIQUE, "select" text NOT NULL,
        "Type" text NOT NULL, "body" json NOT NULL, "meta;--" json NOT NULL,
        "at" timestamptz NOT NULL)"#;
    const STRANGE_NAMES: [&'static str; 2] = [r#""select", "Type", "order""#, r#""my ""`Events`""#];
    const GATE: &'static [&'static str] = &[
        "CREATE TABLE gate (id integer); INSERT INTO gate VALUES (1)",
        "CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.payload->>'order' = '1' THEN
                PERFORM id FROM gate FOR UPDATE;
            END IF;
            RETURN NEW;
        END $$",
        "CREATE TRIGGER waits AFTER INSERT ON public_messages FOR EACH ROW
        EXECUTE FUNCTION wait_at_gate()",
    ];
    /// The number is the hash of the topic: see the library's `hash.rs`.
    const HOLD_ANNOUNCEMENTS: &'static str = "BEGIN; SELECT pg_advisory_xact_lock(
        (845059820::bigint << 32) # ('public_messages_id_seq'::regclass::oid::bigint << 40) # 1)";
    const CANCELS: &'static str = "SET statement_timeout = '1s'";
    const CANCELS_NO_MORE: &'static str = "SET statement_timeout = 0";
    const INSERT: &'static str = "INSERT INTO public_messages
        (message_id, topic, message_type, payload, headers, published_at)
        VALUES (gen_random_uuid(), 'orders', 'OrderShipped', '{\"order\":2}', '{}', now())";
    const WAITING: &'static str = "SELECT count(*)::text FROM pg_locks WHERE NOT granted
        AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'public_messages'::regclass)";
    const WRONG: &'static [(&'static str, &'static str, &'static str)] = &[
        (
            "recorded_at",
            "'infinity'",
            "is outside of the years 0 to 9999",
        ),
        (
            "recorded_at",
            "'10000-01-01'",
            "is outside of the years 0 to 9999",
        ),
        (
            "recorded_at",
            "'0002-12-31 23:59:59Z BC'",
            "is outside of the years 0 to 9999",
        ),
        (
            "payload",
            "repeat('[', 128) || repeat(']', 128)",
            "deeper than 127 levels",
        ),
        ("payload", "repeat('[', 100000)", "is not JSON"),
    ];
    const MIGRATION: &'static str = include_str!(
        "../../../crates/persisting-message-bus/migrations/postgres/2026-11-23-000000-persisting-message-bus_create_message_tables/up.sql"
    );
    const REVERSION: &'static str = include_str!(
        "../../../crates/persisting-message-bus/migrations/postgres/2026-11-23-000000-persisting-message-bus_create_message_tables/down.sql"
    );

    fn clients(&self) -> Vec<Box<dyn Client>> {
        vec![
            self.sqlx(),
            Box::new(clients::TokioPostgres::connect(&self.url())),
            Box::new(clients::Script::python(&self.url())),
            Box::new(clients::Script::php(&self.url())),
        ]
    }

    fn sqlx(&self) -> Box<dyn Client> {
        Box::new(clients::SqlxPostgres::connect(&self.url()))
    }

    fn begin(level: &str) -> Vec<String> {
        vec![format!("BEGIN ISOLATION LEVEL {level}")]
    }

    fn call(arguments: &str) -> String {
        format!("SELECT message_bus_publish({arguments})")
    }

    fn statements(schema: &TableSchema) -> Vec<String> {
        postgres::publish_statements(schema)
    }

    fn without_announcement(statement: &str) -> String {
        statement.replace("WHERE CASE", "WHERE true OR CASE")
    }

    fn guard(connection: &mut Self::Plain) {
        guard_foreign_inserts(connection).unwrap();
    }

    fn texts(connection: &mut Self::Plain, query: &str) -> Vec<String> {
        sql::<Text>(query).load(connection).unwrap()
    }

    fn literal(text: &str) -> String {
        format!("convert_from('\\x{}', 'UTF8')", hex(text))
    }

    fn time(time: DateTime<Utc>) -> String {
        let year = time.year();
        let (year, era) = if year > 0 {
            (year, "")
        } else {
            (1 - year, " BC")
        };
        format!("'{year:04}-{}{era}'", time.format("%m-%d %H:%M:%S%.6fZ"))
    }

    fn cannot_check(_: &RawMessage) -> bool {
        false
    }
}
