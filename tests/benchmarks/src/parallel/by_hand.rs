//! A pool of threads by hand. A reader hands pages to the threads, and stores its cursor when they
//! have taken the page. So messages of a key overtake each other, and a crash loses messages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

use benchmark_rows::Failure;
use persisting_message_bus::Topic;

use super::keys::Parcels;
use super::settings::{Load, Settings};
use crate::raw::{PageQuery, RawDriver};
use crate::with_driver::WithDriver;

pub const WAY: &str = "by-hand";

const PAGE: usize = 500;

/// Starts to handle messages, and counts them. The threads end with the process.
pub fn start<B: WithDriver>(
    url: &str,
    consumer: &str,
    settings: Settings,
    handled: &Arc<AtomicU64>,
) -> Result<(), Failure> {
    let (give, take) = sync_channel::<i64>(settings.threads * 4);
    let take = Arc::new(Mutex::new(take));
    for _ in 0..settings.threads {
        let (take, handled) = (Arc::clone(&take), Arc::clone(handled));
        let mut connection = match settings.load {
            Load::Transactional => Some(B::connect(url)?),
            Load::External { .. } => None,
        };
        spawn(move || {
            loop {
                let Ok(number) = take.lock().expect("no thread panics").recv() else {
                    return;
                };
                match (settings.load, &mut connection) {
                    (Load::External { millis }, _) => sleep(Duration::from_millis(millis)),
                    (_, Some(connection)) => {
                        B::insert_handled(connection, number).expect("it is inserted");
                    }
                    _ => {}
                }
                handled.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let (mut driver, consumer) = (B::connect_raw(url)?, consumer.to_owned());
    driver.add_consumer(&consumer, Parcels::NAME)?;
    spawn(move || -> Result<(), String> {
        let mut cursor = 0;
        loop {
            let page = PageQuery {
                topic: Parcels::NAME,
                message_type: None,
                after: cursor,
                limit: PAGE,
            };
            let mut numbers = Vec::with_capacity(PAGE);
            let read = driver.read_page(&page, &mut |row| {
                let message = Parcels::decode(&row)?;
                numbers.push(message.number() as i64);
                cursor = row.id;
                Ok(())
            });
            read.map_err(|error| error.to_string())?;
            if numbers.is_empty() {
                return Ok(());
            }
            for number in numbers {
                give.send(number).map_err(|error| error.to_string())?;
            }
            let stored = driver.store_cursor(&consumer, Parcels::NAME, cursor);
            stored.map_err(|error| error.to_string())?;
        }
    });
    Ok(())
}
