use chrono::{DateTime, Datelike, Utc};
use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::Text;
use persisting_message_bus::backend::RawMessage;
use persisting_message_bus::sql::{Database, TableSchema, guard_foreign_inserts, mysql};
use persisting_message_bus_tests::databases::{Mariadb, Server};

use super::{Beside, hex};
use crate::clients::{self, Client};

impl Beside for Mariadb {
    const KIND: Database = Database::Mysql;
    const STRANGE_TABLES: &'static str = r#"CREATE TABLE `my "``Events``` (
        `the ID` bigint AUTO_INCREMENT PRIMARY KEY, `order` char(36) NOT NULL UNIQUE,
        `select` varchar(255) NOT NULL, `Type` varchar(255) NOT NULL, `body` json NOT NULL,
        `meta;--` json NOT NULL, `at` datetime(6) NOT NULL,
        KEY `by topic` (`select`, `the ID`)) DEFAULT CHARACTER SET utf8mb4;
        CREATE TABLE `who?` (`what` varchar(255), `number` int, PRIMARY KEY (`what`, `number`))"#;
    const STRANGE_NAMES: [&'static str; 2] = ["`select`, `Type`, `order`", "`my \"``Events```"];
    const GATE: &'static [&'static str] = &[
        "CREATE TABLE gate (id integer PRIMARY KEY); INSERT INTO gate VALUES (1)",
        "CREATE TRIGGER waits AFTER INSERT ON public_messages FOR EACH ROW BEGIN
            DECLARE passed INT;
            IF NEW.payload LIKE '{\"order\":1,%' THEN
                SELECT id INTO passed FROM gate FOR UPDATE;
            END IF;
        END",
    ];
    const HOLD_ANNOUNCEMENTS: &'static str = "BEGIN;
        SELECT slot FROM message_publisher_slots WHERE topic = 'orders' AND slot >= 0 FOR UPDATE";
    const CANCELS: &'static str = "SET max_statement_time = 1";
    const CANCELS_NO_MORE: &'static str = "SET max_statement_time = 0";
    const INSERT: &'static str = "INSERT INTO public_messages
        (message_id, topic, message_type, payload, headers, published_at)
        VALUES (uuid(), 'orders', 'OrderShipped', '{\"order\":2}', '{}', now())";
    const WAITING: &'static str = "SELECT concat(count(*), '')
        FROM information_schema.innodb_trx
        JOIN information_schema.processlist ON id = trx_mysql_thread_id
        WHERE db = database() AND trx_state = 'LOCK WAIT'";
    const WRONG: &'static [(&'static str, &'static str, &'static str)] = &[
        ("recorded_at", "'x'", "is not a time"),
        ("recorded_at", "'2026-02-30 12:00:00'", "is not a time"),
        (
            "recorded_at",
            "'2026-03-01 12:00:00+01:00'",
            "is not a time",
        ),
        ("version", "'1x'", "is not from 1 to 2147483647"),
        ("recorded_at", "'0000-00-00'", "is not a time"),
        ("message_id", "'x'", "is not a UUID"),
        ("message_id", "concat(uuid(), '\n')", "is not a UUID"),
        ("causation_id", "replace(uuid(), '-', '')", "is not a UUID"),
        (
            "payload",
            "concat(repeat('[', 128), repeat(']', 128))",
            "nests too deeply",
        ),
    ];
    const MIGRATION: &'static str = include_str!(
        "../../../crates/persisting-message-bus/migrations/mysql/2026-11-23-000000-persisting-message-bus_create_message_tables/up.sql"
    );
    const REVERSION: &'static str = include_str!(
        "../../../crates/persisting-message-bus/migrations/mysql/2026-11-23-000000-persisting-message-bus_create_message_tables/down.sql"
    );

    fn clients(&self) -> Vec<Box<dyn Client>> {
        vec![
            self.sqlx(),
            Box::new(clients::Script::python(&self.url())),
            Box::new(clients::Script::php(&self.url())),
        ]
    }

    fn sqlx(&self) -> Box<dyn Client> {
        Box::new(clients::SqlxMysql::connect(&self.url()))
    }

    fn begin(level: &str) -> Vec<String> {
        vec![
            format!("SET TRANSACTION ISOLATION LEVEL {level}"),
            "BEGIN".to_owned(),
        ]
    }

    fn call(arguments: &str) -> String {
        format!("CALL message_bus_publish({arguments})")
    }

    fn statements(schema: &TableSchema) -> Vec<String> {
        mysql::publish_statements(schema)
    }

    fn without_announcement(statement: &str) -> String {
        statement
            .replace(" FOR UPDATE", "")
            .replace(" SKIP LOCKED", "")
    }

    fn guard(connection: &mut Self::Plain) {
        guard_foreign_inserts(connection).unwrap();
    }

    fn texts(connection: &mut Self::Plain, query: &str) -> Vec<String> {
        sql::<Text>(query).load(connection).unwrap()
    }

    fn literal(text: &str) -> String {
        format!("convert(x'{}' USING utf8mb4)", hex(text))
    }

    fn time(time: DateTime<Utc>) -> String {
        format!("'{:04}-{}'", time.year(), time.format("%m-%d %H:%M:%S%.6f"))
    }

    /// MariaDB takes for JSON neither more than 31 levels nor half a surrogate pair.
    fn cannot_check(message: &RawMessage) -> bool {
        let json = [&message.payload, &message.headers];
        json.iter().any(|it| it.matches('[').count() > 31)
            || [r"\ud800", r"\udc00"]
                .iter()
                .any(|half| message.payload.contains(half))
    }
}
