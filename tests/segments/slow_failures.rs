//! Segments whose messages fail slowly, again and again.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, RetryPolicy, Runner};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::wait_until;

use super::handling::{Handled, MESSAGES, note, numbers, place};
use super::running::has_ended_well;
use super::topic::{KEYS, Orders};
use super::traces::segment;
use super::{connector, has_order};

/// Longer than the interval of the looks, so that each look finds a failing segment that may be tried
/// again.
const TAKES: Duration = Duration::from_millis(40);
const LOOKS: Duration = Duration::from_millis(10);

/// Replays `where_releases_are_forgotten`. After the first message of each key, two of four segments fail whenever they are tried, and may be tried
/// again at once. A failure moves no cursor. The only thread works on the other segments nevertheless.
pub fn segments_that_fail_slowly_hold_up_no_other<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    let handled = Handled::default();
    let noted = Arc::clone(&handled);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut divided = ParallelConsumer::by_key(make).segments(4);
    divided.handle_new_messages(&mut bus).unwrap();
    let parts = [0, 3].map(|number| segment(&mut bus, number).part);
    let fails = move |number: u64| {
        number >= KEYS && parts.iter().any(|part| has_order(*part, number % KEYS))
    };
    let healthy = Vec::from_iter((0..MESSAGES).filter(|number| !fails(*number)));
    assert!(
        (50..MESSAGES as usize).contains(&healthy.len()),
        "{healthy:?}"
    );
    place(&mut bus, 0..MESSAGES);

    let make = move || {
        let noted = Arc::clone(&noted);
        MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
            if fails(message.payload().number()) {
                thread::sleep(TAKES);
                return Err("the service does not answer".into());
            }
            note(&noted, message);
            Ok(())
        })
        .retry(
            RetryPolicy::default()
                .initial_delay(Duration::ZERO)
                .max_attempts(u32::MAX),
        )
        .page_size(5)
        .time_slice(Duration::ZERO)
    };
    let running = Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(LOOKS)
        .parallel(ParallelConsumer::by_key(make).segments(4).threads(1))
        .start();
    wait_until("the other segments are handled", || {
        numbers(&handled) == healthy
    });
    has_ended_well(running);
}
