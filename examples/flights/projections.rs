//! What the consumers keep: tables beside the messages, in the same file.

use std::collections::BTreeMap;
use std::error::Error;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};
use persisting_message_bus::{
    EventSet, HandlePages, HandlerError, Message, MessageConsumer, MessageConsumerState,
    MessageSource,
};

use crate::topic::{Cancellations, Flights};

diesel::table! {
    published_lines (id) {
        id -> BigInt,
        lines -> BigInt,
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

pub fn create_tables(connection: &mut SqliteConnection) -> QueryResult<()> {
    connection.batch_execute(
        "CREATE TABLE IF NOT EXISTS published_lines (
            id INTEGER NOT NULL PRIMARY KEY,
            lines INTEGER NOT NULL
        );
        CREATE TABLE IF NOT EXISTS carrier_delays (
            carrier TEXT NOT NULL PRIMARY KEY,
            departed INTEGER NOT NULL,
            departure_delay_minutes INTEGER NOT NULL,
            arrived INTEGER NOT NULL,
            arrival_delays INTEGER NOT NULL,
            arrival_delay_minutes INTEGER NOT NULL
        );
        CREATE TABLE IF NOT EXISTS carrier_cancellations (
            carrier TEXT NOT NULL PRIMARY KEY,
            cancelled INTEGER NOT NULL
        );",
    )
}

/// How messages are handled.
pub struct Pages {
    pub size: usize,
    pub lease: Duration,
}

/// What a page adds to a carrier's row.
#[derive(Debug, Default)]
struct Delays {
    departed: i64,
    departure_minutes: i64,
    arrived: i64,
    /// Of those that arrived, how many have a known delay.
    arrival_delays: i64,
    arrival_minutes: i64,
}

/// Brings the delays up to date, and returns how many messages were handled.
pub fn project_delays(
    pages: &Pages,
    connection: &mut SqliteConnection,
) -> Result<u64, Box<dyn Error>> {
    let consumer = MessageConsumer::<Flights>::transactional_pages("carrier-delays", add_delays)
        .before_replay(|connection: &mut SqliteConnection| {
            diesel::delete(carrier_delays::table).execute(connection)?;
            Ok(())
        })
        .page_size(pages.size)
        .lease_duration(pages.lease);
    catch_up(consumer, connection)
}

fn add_delays(
    connection: &mut SqliteConnection,
    messages: &[Message<Flights>],
) -> Result<(), HandlerError> {
    let mut carriers: BTreeMap<&str, Delays> = BTreeMap::new();
    for message in messages {
        match message.payload() {
            Flights::Departed(departed) => {
                let delays = carriers.entry(&departed.flight.carrier).or_default();
                delays.departed += 1;
                delays.departure_minutes += departed.delay_minutes.unwrap_or(0);
            }
            Flights::Arrived(arrived) => {
                let delays = carriers.entry(&arrived.flight.carrier).or_default();
                delays.arrived += 1;
                delays.arrival_delays += i64::from(arrived.delay_minutes.is_some());
                delays.arrival_minutes += arrived.delay_minutes.unwrap_or(0);
            }
            Flights::Cancelled(_) => {}
        }
    }
    for (carrier, delays) in carriers {
        add(connection, carrier, &delays)?;
    }
    Ok(())
}

fn add(connection: &mut SqliteConnection, carrier: &str, delays: &Delays) -> QueryResult<usize> {
    use carrier_delays::dsl;
    diesel::insert_into(dsl::carrier_delays)
        .values((
            dsl::carrier.eq(carrier),
            dsl::departed.eq(delays.departed),
            dsl::departure_delay_minutes.eq(delays.departure_minutes),
            dsl::arrived.eq(delays.arrived),
            dsl::arrival_delays.eq(delays.arrival_delays),
            dsl::arrival_delay_minutes.eq(delays.arrival_minutes),
        ))
        .on_conflict(dsl::carrier)
        .do_update()
        .set((
            dsl::departed.eq(dsl::departed + delays.departed),
            dsl::departure_delay_minutes
                .eq(dsl::departure_delay_minutes + delays.departure_minutes),
            dsl::arrived.eq(dsl::arrived + delays.arrived),
            dsl::arrival_delays.eq(dsl::arrival_delays + delays.arrival_delays),
            dsl::arrival_delay_minutes.eq(dsl::arrival_delay_minutes + delays.arrival_minutes),
        ))
        .execute(connection)
}

/// Brings the cancellations up to date, and returns how many messages were handled.
pub fn count_cancellations(
    pages: &Pages,
    connection: &mut SqliteConnection,
) -> Result<u64, Box<dyn Error>> {
    let consumer = MessageConsumer::<Cancellations>::transactional("cancellations", add_cancelled)
        .before_replay(|connection: &mut SqliteConnection| {
            diesel::delete(carrier_cancellations::table).execute(connection)?;
            Ok(())
        })
        .page_size(pages.size)
        .lease_duration(pages.lease);
    catch_up(consumer, connection)
}

fn add_cancelled(
    connection: &mut SqliteConnection,
    message: &Message<Cancellations>,
) -> Result<(), HandlerError> {
    use carrier_cancellations::dsl;
    let Cancellations::Cancelled(cancelled) = message.payload();
    diesel::insert_into(dsl::carrier_cancellations)
        .values((
            dsl::carrier.eq(&cancelled.flight.carrier),
            dsl::cancelled.eq(1),
        ))
        .on_conflict(dsl::carrier)
        .do_update()
        .set(dsl::cancelled.eq(dsl::cancelled + 1))
        .execute(connection)?;
    Ok(())
}

fn catch_up<S, H>(
    mut consumer: MessageConsumer<S, H>,
    connection: &mut SqliteConnection,
) -> Result<u64, Box<dyn Error>>
where
    S: EventSet,
    H: HandlePages<S, SqliteConnection>,
{
    let head = connection.safe_head("flights")?;
    let style = ProgressStyle::with_template("{msg} {bar:40} {percent:>3}%")?;
    let progress = ProgressBar::new(u64::try_from(head.get())?)
        .with_style(style)
        .with_message(consumer.name().to_owned());
    let mut handled = 0;
    loop {
        match consumer.handle_new_messages(connection) {
            Ok(0) => break,
            Ok(page) => {
                handled += page as u64;
                progress.set_position(cursor(consumer.name(), connection)?);
            }
            // The lease of a run that was killed.
            Err(error) if error.is_locked() => thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(error.into()),
        }
    }
    progress.finish_and_clear();
    Ok(handled)
}

/// How far a consumer is.
fn cursor(consumer: &str, connection: &mut SqliteConnection) -> Result<u64, Box<dyn Error>> {
    let status = connection.consumer_status(consumer, "flights")?;
    let cursor = status.and_then(|status| status.cursor);
    Ok(u64::try_from(cursor.unwrap_or_default().get())?)
}
