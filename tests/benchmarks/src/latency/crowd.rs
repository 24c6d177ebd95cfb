//! Many idle consumers beside many locks that are not theirs, while another topic gets messages.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use benchmark_rows::Failure;
use benchmark_rows::topic::Orders;
use chrono::Utc;
use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use persisting_message_bus::backend::{MessageRepository, RawMessage, Slot};
use persisting_message_bus::{Message, MessageConsumer, OnDuplicate, Runner};
use uuid::Uuid;

use crate::results::Crowd;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

/// The messages of the other topic in a second.
const PACE: u32 = 10;

/// The number of statements after which a consumer polls once per `idle_interval`. The interval
/// grows by half from 1 ms to 2 seconds, so that takes 19 polls of 3 statements.
const SETTLED: u64 = 60;

/// The time that the consumers have to become idle, and to stop.
const PATIENCE: Duration = Duration::from_secs(300);

/// A tick of the processor times in `/proc`. Linux has 100 in a second on all usual systems.
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures the processor time of the server and of this process, which has the consumers and the
/// publisher. Returns `None` for a database whose server is not measured.
pub fn measure<B: WithDriver>(url: &str, sizes: &Sizes) -> Result<Option<Crowd>, Failure> {
    let consumers = sizes.crowd;
    let Some(foreign) = B::hold_locks(url, sizes.foreign_locks)? else {
        return Ok(None);
    };
    let statements = Arc::new(Mutex::new(Vec::new()));
    let (connector, counters) = (url.to_owned(), Arc::clone(&statements));
    let mut runner = Runner::new(move || {
        let mut connection = B::connect(&connector)?;
        let counter = Arc::new(AtomicU64::new(0));
        locked(&counters).push(Arc::clone(&counter));
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::FinishQuery { .. } = event {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok::<_, Failure>(connection)
    });
    for number in 0..consumers {
        let name = format!("idle {number}");
        runner = runner.consumer(MessageConsumer::external(
            name,
            |_: &Message<Orders>| Ok(()),
        ));
    }
    let running = runner.start();
    let mut publisher = B::connect(url)?;
    // From then on, the polls do not become rarer.
    let begun = Instant::now();
    let is_settled = |counter: &Arc<AtomicU64>| counter.load(Ordering::Relaxed) >= SETTLED;
    while locked(&statements)
        .iter()
        .filter(|counter| is_settled(counter))
        .count()
        < consumers
    {
        if begun.elapsed() > PATIENCE {
            return Err("the consumers do not become idle".into());
        }
        publish_for::<B>(&mut publisher, Duration::from_secs(1))?;
    }
    let before = [ticks_of_server(foreign.server)?, ticks_of("self")?];
    let begun = Instant::now();
    publish_for::<B>(&mut publisher, sizes.idle_for)?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = [ticks_of_server(foreign.server)?, ticks_of("self")?];
    running.stop_within(PATIENCE)?;
    let percent =
        |index: usize| (after[index] - before[index]) as f64 / TICKS_PER_SECOND / seconds * 100.0;
    Ok(Some(Crowd {
        backend: B::NAME,
        consumers,
        foreign_locks: sizes.foreign_locks,
        messages_per_second: PACE,
        server_percent: percent(0),
        client_percent: percent(1),
    }))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Publishes messages that no consumer reads.
fn publish_for<B: WithDriver>(bus: &mut B::Connection, duration: Duration) -> Result<(), Failure> {
    let end = Instant::now() + duration;
    let mut due = Instant::now();
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let message = RawMessage {
            message_id: Uuid::now_v7(),
            topic: "another".to_owned().into(),
            message_type: "Any".into(),
            message_version: 1,
            payload: "{}".to_owned(),
            headers: "{}".to_owned(),
            published_at: Utc::now(),
            correlation_id: None,
            key_slot: Slot::NONE,
        };
        bus.persist(&[message], OnDuplicate::Fail)?;
        due += Duration::from_secs(1) / PACE;
    }
    Ok(())
}

/// Returns the processor time of a server's first process, of its children, and of those that have
/// ended.
fn ticks_of_server(first: u32) -> Result<u64, Failure> {
    let mut ticks = ticks_of(&first.to_string())?;
    for process in fs::read_dir("/proc")? {
        let name = process?.file_name().to_string_lossy().into_owned();
        // A process may have ended meanwhile.
        if let Ok(fields) = fields_of(&name)
            && fields.get(1) == Some(&u64::from(first))
        {
            ticks += fields[11] + fields[12];
        }
    }
    Ok(ticks)
}

/// Returns the processor time of a process and of its children that have ended.
fn ticks_of(process: &str) -> Result<u64, Failure> {
    let fields = fields_of(process)?;
    Ok(fields[11..15].iter().sum())
}

/// Returns the fields of `/proc/<pid>/stat` from the state on, which is the third of all.
fn fields_of(process: &str) -> Result<Vec<u64>, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name of the process")?;
    let fields: Vec<_> = fields
        .split_whitespace()
        // The state is a letter, and some fields can be negative. None of these is used.
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    if fields.len() < 15 {
        return Err("too few fields in the process's stat".into());
    }
    Ok(fields)
}
