//! The two consumers.

use persisting_message_bus::operate::ConsumerKey;
use std::collections::BTreeMap;
use std::error::Error;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use persisting_message_bus::handler::{HandlerError, PageHandler};
use persisting_message_bus::{EventSet, Message, MessageConsumer};

use crate::store::{Delays, Store};
use crate::topic::{Cancellations, Flights};

/// The settings of the consumers.
pub struct Pages {
    pub size: usize,
    pub lease: Duration,
}

/// Updates the delays, and returns the number of handled messages.
pub fn project_delays<C: Store>(pages: &Pages, connection: &mut C) -> Result<u64, Box<dyn Error>> {
    let consumer =
        MessageConsumer::<Flights>::transactional_pages("carrier-delays", add_delays::<C>)
            .before_replay(|connection: &mut C| Ok(connection.clear_delays()?))
            .page_size(pages.size)
            .lease_duration(pages.lease);
    catch_up(consumer, connection)
}

fn add_delays<C: Store>(
    connection: &mut C,
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
        connection.add_delays(carrier, &delays)?;
    }
    Ok(())
}

/// Updates the cancellations, and returns the number of handled messages.
pub fn count_cancellations<C: Store>(
    pages: &Pages,
    connection: &mut C,
) -> Result<u64, Box<dyn Error>> {
    let consumer =
        MessageConsumer::<Cancellations>::transactional("cancellations", add_cancelled::<C>)
            .before_replay(|connection: &mut C| Ok(connection.clear_cancelled()?))
            .page_size(pages.size)
            .lease_duration(pages.lease);
    catch_up(consumer, connection)
}

fn add_cancelled<C: Store>(
    connection: &mut C,
    message: &Message<Cancellations>,
) -> Result<(), HandlerError> {
    let Cancellations::Cancelled(cancelled) = message.payload();
    Ok(connection.add_cancelled(&cancelled.flight.carrier)?)
}

fn catch_up<S, H, C>(
    mut consumer: MessageConsumer<S, H>,
    connection: &mut C,
) -> Result<u64, Box<dyn Error>>
where
    S: EventSet,
    H: PageHandler<S, C>,
    C: Store,
{
    let head = connection.current_head("flights")?;
    let style = ProgressStyle::with_template("{msg} {bar:40} {percent:>3}%")?;
    let progress = ProgressBar::new(u64::try_from(head.get())?)
        .with_style(style)
        .with_message(consumer.name().to_owned());
    let mut handled = 0;
    loop {
        match consumer.handle_page(connection) {
            Ok(0) => break,
            Ok(page) => {
                handled += page as u64;
                progress.set_position(cursor(consumer.name(), connection)?);
            }
            // A killed run may still hold the lease.
            Err(error) if error.is_lease_held() => thread::sleep(Duration::from_millis(50)),
            // An attempt failed. A run that was killed while it handled one message alone counts as
            // a failed attempt, too.
            Err(error) => match error.retry_after() {
                Some(wait) => thread::sleep(wait),
                None => return Err(error.into()),
            },
        }
    }
    progress.finish_and_clear();
    Ok(handled)
}

/// Returns the cursor of a consumer.
fn cursor<C: Store>(consumer: &str, connection: &mut C) -> Result<u64, Box<dyn Error>> {
    let status = connection.stored_consumer(ConsumerKey {
        consumer,
        topic: "flights",
    })?;
    let cursor = status.and_then(|status| status.cursor);
    Ok(u64::try_from(cursor.unwrap_or_default().get())?)
}
