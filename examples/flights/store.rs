//! The tables of the example, which are in the same database as the messages.

use diesel::prelude::*;
use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, TransactionControlOn,
};
use persisting_message_bus::sql::migrate;

diesel::table! {
    published_lines (id) {
        id -> BigInt,
        number -> BigInt,
    }
}

diesel::table! {
    carrier_delays (carrier) {
        carrier -> Text,
        departed -> BigInt,
        departure_delay_minutes -> BigInt,
        arrived -> BigInt,
        arrival_delays -> BigInt,
        arrival_delay_minutes -> BigInt,
    }
}

diesel::table! {
    carrier_cancellations (carrier) {
        carrier -> Text,
        cancelled -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(carrier_delays, carrier_cancellations);

/// Table definitions that every database accepts.
const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS published_lines (
        id BIGINT NOT NULL PRIMARY KEY,
        number BIGINT NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS carrier_delays (
        carrier VARCHAR(10) NOT NULL PRIMARY KEY,
        departed BIGINT NOT NULL,
        departure_delay_minutes BIGINT NOT NULL,
        arrived BIGINT NOT NULL,
        arrival_delays BIGINT NOT NULL,
        arrival_delay_minutes BIGINT NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS carrier_cancellations (
        carrier VARCHAR(10) NOT NULL PRIMARY KEY,
        cancelled BIGINT NOT NULL
    )",
];

/// The changes of a page to a carrier's row.
#[derive(Debug, Default)]
pub struct Delays {
    pub departed: i64,
    pub departure_minutes: i64,
    pub arrived: i64,
    /// The number of arrived flights with a known delay.
    pub arrival_delays: i64,
    pub arrival_minutes: i64,
}

/// A carrier's row in the table.
#[derive(Debug, Default, Queryable)]
pub struct Carrier {
    pub name: String,
    pub departed: i64,
    pub departure_delay_minutes: i64,
    pub arrived: i64,
    pub arrival_delays: i64,
    pub arrival_delay_minutes: i64,
    pub cancelled: Option<i64>,
}

/// A connection to a database with the messages and these tables.
pub trait Store:
    MessageRepository + MessageSource + MessageConsumerState + TransactionControlOn<Self> + Sized
{
    /// Creates missing tables, including those of the bus.
    fn prepare(&mut self) -> Result<(), Box<dyn std::error::Error>>;

    /// Returns the number of published lines.
    fn lines_published(&mut self) -> QueryResult<Option<i64>>;

    fn set_lines_published(&mut self, number: i64) -> QueryResult<()>;

    fn add_delays(&mut self, carrier: &str, delays: &Delays) -> QueryResult<()>;

    fn clear_delays(&mut self) -> QueryResult<()>;

    fn add_cancelled(&mut self, carrier: &str) -> QueryResult<()>;

    fn clear_cancelled(&mut self) -> QueryResult<()>;

    /// Returns the carriers by decreasing number of departures.
    fn carriers(&mut self) -> QueryResult<Vec<Carrier>>;
}

/// Implements `Store` for a connection type of Diesel. Not every database has an upsert, so a row
/// is updated, or inserted if it is missing. The consumer's lease excludes concurrent writers.
macro_rules! impl_store {
    ($connection:ty) => {
        impl Store for $connection {
            fn prepare(&mut self) -> Result<(), Box<dyn std::error::Error>> {
                migrate(self)?;
                for table in TABLES {
                    diesel::sql_query(table).execute(self)?;
                }
                Ok(())
            }

            fn lines_published(&mut self) -> QueryResult<Option<i64>> {
                let number = published_lines::table.select(published_lines::number);
                number.first(self).optional()
            }

            fn set_lines_published(&mut self, number: i64) -> QueryResult<()> {
                use published_lines::dsl;
                let set = dsl::number.eq(number);
                if diesel::update(dsl::published_lines)
                    .set(set)
                    .execute(self)?
                    == 0
                {
                    diesel::insert_into(dsl::published_lines)
                        .values((dsl::id.eq(1), set))
                        .execute(self)?;
                }
                Ok(())
            }

            fn add_delays(&mut self, carrier: &str, delays: &Delays) -> QueryResult<()> {
                use carrier_delays::dsl;
                let row = dsl::carrier_delays.find(carrier);
                let sums = (
                    dsl::departed.eq(dsl::departed + delays.departed),
                    dsl::departure_delay_minutes
                        .eq(dsl::departure_delay_minutes + delays.departure_minutes),
                    dsl::arrived.eq(dsl::arrived + delays.arrived),
                    dsl::arrival_delays.eq(dsl::arrival_delays + delays.arrival_delays),
                    dsl::arrival_delay_minutes
                        .eq(dsl::arrival_delay_minutes + delays.arrival_minutes),
                );
                if diesel::update(row).set(sums).execute(self)? == 0 {
                    diesel::insert_into(dsl::carrier_delays)
                        .values((
                            dsl::carrier.eq(carrier),
                            dsl::departed.eq(delays.departed),
                            dsl::departure_delay_minutes.eq(delays.departure_minutes),
                            dsl::arrived.eq(delays.arrived),
                            dsl::arrival_delays.eq(delays.arrival_delays),
                            dsl::arrival_delay_minutes.eq(delays.arrival_minutes),
                        ))
                        .execute(self)?;
                }
                Ok(())
            }

            fn clear_delays(&mut self) -> QueryResult<()> {
                diesel::delete(carrier_delays::table)
                    .execute(self)
                    .map(drop)
            }

            fn add_cancelled(&mut self, carrier: &str) -> QueryResult<()> {
                use carrier_cancellations::dsl;
                let row = dsl::carrier_cancellations.find(carrier);
                let sum = dsl::cancelled.eq(dsl::cancelled + 1);
                if diesel::update(row).set(sum).execute(self)? == 0 {
                    diesel::insert_into(dsl::carrier_cancellations)
                        .values((dsl::carrier.eq(carrier), dsl::cancelled.eq(1)))
                        .execute(self)?;
                }
                Ok(())
            }

            fn clear_cancelled(&mut self) -> QueryResult<()> {
                diesel::delete(carrier_cancellations::table)
                    .execute(self)
                    .map(drop)
            }

            fn carriers(&mut self) -> QueryResult<Vec<Carrier>> {
                use carrier_delays::dsl;
                let same_carrier = carrier_cancellations::carrier.eq(dsl::carrier);
                dsl::carrier_delays
                    .left_join(carrier_cancellations::table.on(same_carrier))
                    .select((
                        dsl::carrier,
                        dsl::departed,
                        dsl::departure_delay_minutes,
                        dsl::arrived,
                        dsl::arrival_delays,
                        dsl::arrival_delay_minutes,
                        carrier_cancellations::cancelled.nullable(),
                    ))
                    .order((dsl::departed.desc(), dsl::carrier))
                    .load(self)
            }
        }
    };
}

impl_store!(SqliteConnection);
#[cfg(feature = "postgres")]
impl_store!(PgConnection);
#[cfg(feature = "mysql")]
impl_store!(MysqlConnection);
