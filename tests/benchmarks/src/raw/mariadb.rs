use benchmark_rows::Failure;
use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use mysql::prelude::Queryable;
use mysql::{Conn, Opts, Params, Statement, Value};
use uuid::Uuid;

use super::{NewRow, PageQuery, PublishBatch, RawDriver, Row};

const INSERT: &str = "
    INSERT INTO public_messages
        (message_id, topic, message_type, message_version, payload, headers, published_at)
    VALUES ";

const VALUES: &str = "(?, ?, ?, 1, ?, ?, ?)";

const PAGE: &str = "
    SELECT id, message_id, message_type, message_version, payload, headers, published_at
    FROM public_messages WHERE topic = ? AND id > ? ORDER BY id LIMIT ?";

const PAGE_OF_TYPE: &str = "
    SELECT id, message_id, message_type, message_version, payload, headers, published_at
    FROM public_messages WHERE topic = ? AND id > ? AND message_type = ? ORDER BY id LIMIT ?";

const ADD_CONSUMER: &str =
    "INSERT INTO message_consumer_state (consumer, topic, `cursor`) VALUES (?, ?, 0)";

const STORE_CURSOR: &str =
    "UPDATE message_consumer_state SET `cursor` = ? WHERE consumer = ? AND topic = ?";

/// A connection of the crate `mysql`.
pub struct Mariadb {
    connection: Conn,
    insert: Statement,
    page: Statement,
    page_of_type: Statement,
    store_cursor: Statement,
}

impl Mariadb {
    pub fn connect(url: &str) -> Result<Self, Failure> {
        let mut connection = Conn::new(Opts::from_url(url)?)?;
        Ok(Self {
            insert: connection.prep(format!("{INSERT}{VALUES}"))?,
            page: connection.prep(PAGE)?,
            page_of_type: connection.prep(PAGE_OF_TYPE)?,
            store_cursor: connection.prep(STORE_CURSOR)?,
            connection,
        })
    }

    /// Inserts rows, at most `MOST` in each statement.
    fn many_rows<const MOST: usize>(
        &mut self,
        topic: &str,
        rows: &[NewRow],
    ) -> Result<(), Failure> {
        if rows.len() <= MOST {
            return self.insert_part(topic, rows);
        }
        self.begin()?;
        for part in rows.chunks(MOST) {
            self.insert_part(topic, part)?;
        }
        self.commit()
    }

    fn row_by_row(&mut self, topic: &str, rows: &[NewRow]) -> Result<(), Failure> {
        self.begin()?;
        for row in rows {
            self.publish(topic, row)?;
        }
        self.commit()
    }

    fn insert_part(&mut self, topic: &str, rows: &[NewRow]) -> Result<(), Failure> {
        let values = vec![VALUES; rows.len()].join(", ");
        // The connection caches prepared statements.
        let statement = self.connection.prep(format!("{INSERT}{values}"))?;
        let values = rows.iter().flat_map(|row| values_of(topic, row)).collect();
        self.connection
            .exec_drop(statement, Params::Positional(values))?;
        Ok(())
    }
}

fn values_of(topic: &str, row: &NewRow) -> [Value; 6] {
    [
        row.message_id.to_string().into(),
        topic.into(),
        row.message_type.into(),
        row.payload.as_str().into(),
        row.headers.as_str().into(),
        date(row.published_at),
    ]
}

/// Converts a time. Calendar fields fit into the integer types.
fn date(time: DateTime<Utc>) -> Value {
    Value::Date(
        time.year() as u16,
        time.month() as u8,
        time.day() as u8,
        time.hour() as u8,
        time.minute() as u8,
        time.second() as u8,
        time.timestamp_subsec_micros(),
    )
}

impl RawDriver for Mariadb {
    const BATCHES: &'static [(&'static str, PublishBatch<Self>)] = &[
        ("100 rows", Self::many_rows::<100>),
        ("1,000 rows", Self::many_rows::<1_000>),
        ("row by row", Self::row_by_row),
    ];

    fn publish(&mut self, topic: &str, row: &NewRow) -> Result<(), Failure> {
        let values = values_of(topic, row).into();
        self.connection
            .exec_drop(&self.insert, Params::Positional(values))?;
        Ok(())
    }

    fn read_page(
        &mut self,
        page: &PageQuery<'_>,
        receive: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let rows = match page.message_type {
            None => self
                .connection
                .exec_iter(&self.page, (page.topic, page.after, page.limit)),
            Some(of_type) => self.connection.exec_iter(
                &self.page_of_type,
                (page.topic, page.after, of_type, page.limit),
            ),
        }?;
        let mut read = 0;
        for row in rows {
            let row = row?;
            receive(Row {
                id: integer(&row, 0)?,
                message_id: Uuid::try_parse(text(&row, 1)?)?,
                message_type: text(&row, 2)?,
                message_version: integer(&row, 3)?,
                payload: text(&row, 4)?,
                headers: text(&row, 5)?,
                published_at: time(&row, 6)?,
            })?;
            read += 1;
        }
        Ok(read)
    }

    fn add_consumer(&mut self, consumer: &str, topic: &str) -> Result<(), Failure> {
        Ok(self.connection.exec_drop(ADD_CONSUMER, (consumer, topic))?)
    }

    fn store_cursor(&mut self, consumer: &str, topic: &str, cursor: i64) -> Result<(), Failure> {
        let values = (cursor, consumer, topic);
        Ok(self.connection.exec_drop(&self.store_cursor, values)?)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        Ok(self.connection.query_drop("START TRANSACTION")?)
    }

    fn commit(&mut self) -> Result<(), Failure> {
        Ok(self.connection.query_drop("COMMIT")?)
    }
}

fn integer(row: &mysql::Row, column: usize) -> Result<i64, Failure> {
    match row.as_ref(column) {
        Some(Value::Int(number)) => Ok(*number),
        Some(Value::UInt(number)) => Ok(i64::try_from(*number)?),
        other => Err(format!("no integer: {other:?}").into()),
    }
}

fn text(row: &mysql::Row, column: usize) -> Result<&str, Failure> {
    match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => Ok(str::from_utf8(bytes)?),
        other => Err(format!("no text: {other:?}").into()),
    }
}

fn time(row: &mysql::Row, column: usize) -> Result<DateTime<Utc>, Failure> {
    let time = match row.as_ref(column) {
        Some(Value::Date(year, month, day, hour, minute, second, micros)) => {
            let date = NaiveDate::from_ymd_opt((*year).into(), (*month).into(), (*day).into());
            let (hour, minute, second) = ((*hour).into(), (*minute).into(), (*second).into());
            date.and_then(|date| date.and_hms_micro_opt(hour, minute, second, *micros))
        }
        _ => None,
    };
    time.map(|time| time.and_utc())
        .ok_or_else(|| "no time".into())
}
