use std::time::Duration;

use benchmark_rows::Failure;
use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{CachedStatement, Connection, ToSql, params, params_from_iter};
use uuid::Uuid;

use super::{NewRow, PageQuery, PublishBatch, RawDriver, Row};

const INSERT: &str = "
    INSERT INTO public_messages
        (message_id, topic, message_type, message_version, payload, headers, published_at)
    VALUES ";

const VALUES: &str = "(?, ?, ?, 1, ?, ?, ?)";

/// The maximum number of rows in a statement.
const MOST_ROWS: usize = 500;

const PAGE: &str = "
    SELECT id, message_id, message_type, message_version, payload, headers, published_at
    FROM public_messages WHERE topic = ? AND id > ? ORDER BY id LIMIT ?";

const PAGE_OF_TYPE: &str = "
    SELECT id, message_id, message_type, message_version, payload, headers, published_at
    FROM public_messages WHERE topic = ? AND id > ? AND message_type = ? ORDER BY id LIMIT ?";

const ADD_CONSUMER: &str =
    "INSERT INTO message_consumer_state (consumer, topic, \"cursor\") VALUES (?, ?, 0)";

const STORE_CURSOR: &str =
    "UPDATE message_consumer_state SET \"cursor\" = ? WHERE consumer = ? AND topic = ?";

/// A connection of the crate `rusqlite`.
pub struct Sqlite(Connection);

impl Sqlite {
    /// Connects with the settings that the library recommends.
    pub fn connect(path: &str, synchronous: &str, busy_timeout: Duration) -> Result<Self, Failure> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(busy_timeout)?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; \
             PRAGMA foreign_keys = ON;"
        ))?;
        Ok(Self(connection))
    }

    fn in_transaction(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.execute("BEGIN IMMEDIATE")?;
        work(self)?;
        self.commit()
    }

    fn row_by_row(&mut self, topic: &str, rows: &[NewRow]) -> Result<(), Failure> {
        self.in_transaction(|sqlite| rows.iter().try_for_each(|row| sqlite.insert(topic, row)))
    }

    fn many_rows(&mut self, topic: &str, rows: &[NewRow]) -> Result<(), Failure> {
        self.in_transaction(|sqlite| {
            let mut parts = rows.chunks(MOST_ROWS);
            parts.try_for_each(|part| sqlite.insert_part(topic, part))
        })
    }

    fn insert(&mut self, topic: &str, row: &NewRow) -> Result<(), Failure> {
        let mut statement = self.cached(&format!("{INSERT}{VALUES}"))?;
        let (message_id, published_at) = texts(row);
        statement.execute(params![
            message_id,
            topic,
            row.message_type,
            row.payload,
            row.headers,
            published_at
        ])?;
        Ok(())
    }

    fn insert_part(&mut self, topic: &str, rows: &[NewRow]) -> Result<(), Failure> {
        let values = vec![VALUES; rows.len()].join(", ");
        let mut statement = self.cached(&format!("{INSERT}{values}"))?;
        let texts: Vec<_> = rows.iter().map(texts).collect();
        let values = rows.iter().zip(&texts).flat_map(|(row, texts)| {
            let (message_id, published_at) = texts;
            let values: [&dyn ToSql; 6] = [
                message_id,
                &topic,
                &row.message_type,
                &row.payload,
                &row.headers,
                published_at,
            ];
            // The conversion avoids a borrow of values that do not live long enough.
            values.map(|value| value.to_sql())
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        statement.execute(params_from_iter(values))?;
        Ok(())
    }

    fn cached(&self, sql: &str) -> Result<CachedStatement<'_>, Failure> {
        Ok(self.0.prepare_cached(sql)?)
    }

    fn execute(&self, sql: &str) -> Result<(), Failure> {
        self.cached(sql)?.execute([])?;
        Ok(())
    }
}

fn texts(row: &NewRow) -> (String, String) {
    let published_at = row.published_at;
    (
        row.message_id.to_string(),
        published_at.to_rfc3339_opts(SecondsFormat::Micros, true),
    )
}

impl RawDriver for Sqlite {
    const BATCHES: &'static [(&'static str, PublishBatch<Self>)] = &[
        ("row by row", Self::row_by_row),
        ("500 rows", Self::many_rows),
    ];

    fn publish(&mut self, topic: &str, row: &NewRow) -> Result<(), Failure> {
        self.insert(topic, row)
    }

    fn read_page(
        &mut self,
        page: &PageQuery<'_>,
        receive: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let limit = i64::try_from(page.limit)?;
        let mut statement = self.cached(match page.message_type {
            None => PAGE,
            Some(_) => PAGE_OF_TYPE,
        })?;
        let mut rows = match page.message_type {
            None => statement.query(params![page.topic, page.after, limit]),
            Some(of_type) => statement.query(params![page.topic, page.after, of_type, limit]),
        }?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            let text = |column| row.get_ref(column).map(|value| value.as_str());
            receive(Row {
                id: row.get(0)?,
                message_id: Uuid::try_parse(text(1)??)?,
                message_type: text(2)??,
                message_version: row.get(3)?,
                payload: text(4)??,
                headers: text(5)??,
                published_at: DateTime::parse_from_rfc3339(text(6)??)?.with_timezone(&Utc),
            })?;
            read += 1;
        }
        Ok(read)
    }

    fn add_consumer(&mut self, consumer: &str, topic: &str) -> Result<(), Failure> {
        self.0.execute(ADD_CONSUMER, params![consumer, topic])?;
        Ok(())
    }

    fn store_cursor(&mut self, consumer: &str, topic: &str, cursor: i64) -> Result<(), Failure> {
        let mut statement = self.cached(STORE_CURSOR)?;
        statement.execute(params![cursor, consumer, topic])?;
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Failure> {
        self.execute("BEGIN IMMEDIATE")
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.execute("COMMIT")
    }
}
