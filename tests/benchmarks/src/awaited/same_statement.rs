//! The library's own statement, run by tokio-postgres without the library.

use benchmark_rows::Failure;
use benchmark_rows::topic::Orders;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Oid, Text as SqlText};
use diesel::{QueryableByName, sql_query};
use diesel_async::AsyncPgConnection;
use persisting_message_bus::Topic;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use crate::raw::{Json, NewRow};

/// The text of a statement, with the types of its values.
#[derive(QueryableByName)]
pub struct Text {
    #[diesel(sql_type = SqlText)]
    statement: String,
    #[diesel(sql_type = Array<Oid>)]
    types: Vec<u32>,
}

impl Text {
    /// Returns the session's prepared statement that inserts and that ran most often.
    pub async fn of_inserting(connection: &mut AsyncPgConnection) -> Result<Self, Failure> {
        let prepared = sql_query(
            "SELECT statement, parameter_types::oid[] AS types FROM pg_prepared_statements
            WHERE statement LIKE '%INSERT INTO%' AND statement NOT LIKE '%pg_prepared_statements%'
            ORDER BY generic_plans + custom_plans DESC LIMIT 1",
        );
        Ok(diesel_async::RunQueryDsl::get_result(prepared, connection).await?)
    }
}

/// A connection of tokio-postgres with the prepared statement.
pub struct Bare {
    client: Client,
    insert: Statement,
}

impl Bare {
    pub async fn connect(url: &str, text: &Text) -> Result<Self, Failure> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        // The statement of a single message inserts only in a session that knows the sequence.
        client.execute(TELL_SESSION, &[]).await?;
        let types = text.types.iter().map(|oid| Type::from_oid(*oid));
        let types: Option<Vec<_>> = types.collect();
        let types = types.ok_or("a type that PostgreSQL does not have by itself")?;
        let insert = client.prepare_typed(&text.statement, &types).await?;
        Ok(Self { client, insert })
    }

    pub async fn publish(&mut self, messages: &[Orders]) -> Result<(), Failure> {
        let rows = NewRow::all_of(messages)?;
        let inserted = match &rows[..] {
            [row] => self.insert_one(row).await?,
            rows => self.insert_many(rows).await?,
        };
        if inserted != messages.len() as u64 {
            return Err(format!("{inserted} messages were inserted").into());
        }
        Ok(())
    }

    async fn insert_one(&self, row: &NewRow) -> Result<u64, Failure> {
        let values: [&(dyn ToSql + Sync); 10] = [
            &row.message_id,
            &Orders::NAME,
            &row.message_type,
            &VERSION,
            &NO_FLOW,
            &NO_KEY,
            &Json(&row.payload),
            &Json(&row.headers),
            &row.published_at,
            &LOCK,
        ];
        Ok(self.client.execute(&self.insert, &values).await?)
    }

    async fn insert_many(&self, rows: &[NewRow]) -> Result<u64, Failure> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.message_id).collect();
        let types: Vec<&str> = rows.iter().map(|row| row.message_type).collect();
        let payloads: Vec<_> = rows.iter().map(|row| Json(&row.payload)).collect();
        let headers: Vec<_> = rows.iter().map(|row| Json(&row.headers)).collect();
        let times: Vec<DateTime<Utc>> = rows.iter().map(|row| row.published_at).collect();
        let values: [&(dyn ToSql + Sync); 13] = [
            &"public_messages",
            &"id",
            &"message_id",
            &[LOCK].as_slice(),
            &ids,
            &Orders::NAME,
            &types,
            &payloads,
            &headers,
            &times,
            &VERSION,
            &NO_FLOW,
            &NO_KEY,
        ];
        Ok(self.client.execute(&self.insert, &values).await?)
    }
}

const TELL_SESSION: &str = "
    SELECT set_config(
        'persisting_message_bus.table_of_' || 'public_messages_id_seq'::regclass::oid::text,
        'public_messages'::regclass::oid::text, false
    )";

const VERSION: i64 = 1;
const NO_FLOW: Option<&str> = None;
const NO_KEY: i64 = -1;
/// The key of the topic's lock. It is another one than the library's, at the same cost.
const LOCK: i64 = 4_711;
