use benchmark_rows::Failure;
use chrono::{DateTime, Utc};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use super::{NewRow, PageQuery, PublishBatch, RawDriver, Row};

const INSERT: &str = "
    INSERT INTO public_messages
        (message_id, topic, message_type, message_version, payload, headers, published_at)
    VALUES ($1, $2, $3, 1, $4, $5, $6)";

const COPY: &str = "
    COPY public_messages
        (message_id, topic, message_type, message_version, payload, headers, published_at)
    FROM STDIN (FORMAT BINARY)";

const COPIED: [Type; 7] = [
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::INT4,
    Type::JSON,
    Type::JSON,
    Type::TIMESTAMPTZ,
];

const UNNEST: &str = "
    INSERT INTO public_messages
        (message_id, topic, message_type, message_version, payload, headers, published_at)
    SELECT message_id, $1, message_type, 1, payload::json, headers::json, published_at
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
        AS message (message_id, message_type, payload, headers, published_at)";

const PAGE: &str = "
    SELECT id, message_id, message_type, message_version, payload, headers, published_at
    FROM public_messages WHERE topic = $1 AND id > $2 ORDER BY id LIMIT $3";

const PAGE_OF_TYPE: &str = "
    SELECT id, message_id, message_type, message_version, payload, headers, published_at
    FROM public_messages WHERE topic = $1 AND id > $2 AND message_type = $4 ORDER BY id LIMIT $3";

const ADD_CONSUMER: &str =
    "INSERT INTO message_consumer_state (consumer, topic, cursor) VALUES ($1, $2, 0)";

const STORE_CURSOR: &str =
    "UPDATE message_consumer_state SET cursor = $1 WHERE consumer = $2 AND topic = $3";

/// A connection of the crate `postgres`.
pub struct Postgres {
    client: Client,
    insert: Statement,
    copy: Statement,
    unnest: Statement,
    page: Statement,
    page_of_type: Statement,
    store_cursor: Statement,
}

impl Postgres {
    pub fn connect(url: &str) -> Result<Self, Failure> {
        let mut client = Client::connect(url, NoTls)?;
        Ok(Self {
            insert: client.prepare(INSERT)?,
            copy: client.prepare(COPY)?,
            unnest: client.prepare(UNNEST)?,
            page: client.prepare(PAGE)?,
            page_of_type: client.prepare(PAGE_OF_TYPE)?,
            store_cursor: client.prepare(STORE_CURSOR)?,
            client,
        })
    }

    fn copy(&mut self, topic: &str, rows: &[NewRow]) -> Result<(), Failure> {
        let writer = self.client.copy_in(&self.copy)?;
        let mut writer = BinaryCopyInWriter::new(writer, &COPIED);
        for row in rows {
            writer.write(&[
                &row.message_id,
                &topic,
                &row.message_type,
                &1,
                &Json(&row.payload),
                &Json(&row.headers),
                &row.published_at,
            ])?;
        }
        writer.finish()?;
        Ok(())
    }

    fn unnest(&mut self, topic: &str, rows: &[NewRow]) -> Result<(), Failure> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.message_id).collect();
        let types: Vec<&str> = rows.iter().map(|row| row.message_type).collect();
        let payloads: Vec<&str> = rows.iter().map(|row| row.payload.as_str()).collect();
        let headers: Vec<&str> = rows.iter().map(|row| row.headers.as_str()).collect();
        let times: Vec<DateTime<Utc>> = rows.iter().map(|row| row.published_at).collect();
        let values: [&(dyn ToSql + Sync); 6] = [&topic, &ids, &types, &payloads, &headers, &times];
        self.client.execute(&self.unnest, &values)?;
        Ok(())
    }
}

impl RawDriver for Postgres {
    const BATCHES: &'static [(&'static str, PublishBatch<Self>)] =
        &[("COPY", Self::copy), ("unnest", Self::unnest)];

    fn publish(&mut self, topic: &str, row: &NewRow) -> Result<(), Failure> {
        let values: [&(dyn ToSql + Sync); 6] = [
            &row.message_id,
            &topic,
            &row.message_type,
            &Json(&row.payload),
            &Json(&row.headers),
            &row.published_at,
        ];
        self.client.execute(&self.insert, &values)?;
        Ok(())
    }

    fn read_page(
        &mut self,
        page: &PageQuery<'_>,
        receive: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let limit = i64::try_from(page.limit)?;
        let rows = match &page.message_type {
            None => self
                .client
                .query(&self.page, &[&page.topic, &page.after, &limit]),
            Some(message_type) => self.client.query(
                &self.page_of_type,
                &[&page.topic, &page.after, &limit, message_type],
            ),
        }?;
        for row in &rows {
            let (Json(payload), Json(headers)) = (row.get(4), row.get(5));
            receive(Row {
                id: row.get(0),
                message_id: row.get(1),
                message_type: row.get(2),
                message_version: i64::from(row.get::<_, i32>(3)),
                payload,
                headers,
                published_at: row.get(6),
            })?;
        }
        Ok(rows.len())
    }

    fn add_consumer(&mut self, consumer: &str, topic: &str) -> Result<(), Failure> {
        self.client.execute(ADD_CONSUMER, &[&consumer, &topic])?;
        Ok(())
    }

    fn store_cursor(&mut self, consumer: &str, topic: &str, cursor: i64) -> Result<(), Failure> {
        let values: [&(dyn ToSql + Sync); 3] = [&cursor, &consumer, &topic];
        self.client.execute(&self.store_cursor, &values)?;
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Failure> {
        Ok(self.client.batch_execute("BEGIN")?)
    }

    fn commit(&mut self) -> Result<(), Failure> {
        Ok(self.client.batch_execute("COMMIT")?)
    }
}

/// JSON as text, which is not parsed here.
#[derive(Debug)]
pub struct Json<'a>(pub &'a str);

impl ToSql for Json<'_> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        self.0.to_sql(of, out)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSON
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Json<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(str::from_utf8(bytes)?))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSON
    }
}
