//! On MariaDB, open transactions hold all slots of publishers while a divided consumer is at work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, Runner};
use persisting_message_bus_tests::databases::{Database, Mariadb, Server};
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::waiting::wait_until;

use super::LEASE;
use super::begun::Log;
use super::handling::place;
use super::records::{Published, add, judge};
use super::running::has_ended_well;
use super::topic::{KEYS, Orders};

/// As many as a topic has.
const SLOTS: u64 = 64;

/// The messages that are committed before.
const BEFORE: u64 = 40;

/// Starts a process that handles messages while the gate is open.
fn start(
    database: &Arc<Mariadb>,
    log: &Arc<Log>,
    process: u32,
    gate: &Arc<AtomicBool>,
) -> RunHandle {
    let (log, gate) = (Arc::clone(log), Arc::clone(gate));
    let make = move || {
        let (log, gate) = (Arc::clone(&log), Arc::clone(&gate));
        MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
            log.note(process, message);
            wait_until("the gate opens", || gate.load(Ordering::SeqCst));
            Ok(())
        })
        .page_size(2)
        .lease_duration(LEASE)
    };
    let shared = Arc::clone(database);
    Runner::new(move || Ok::<_, io::Error>(shared.connect()))
        .idle_interval(Duration::from_millis(20))
        .parallel(ParallelConsumer::by_key(make).segments(8).threads(3))
        .start()
}

/// The first process has looked before, and the second one begins while all slots are held.
#[test]
fn open_publishers_in_all_slots_lose_nothing_and_reorder_nothing() {
    let mut random = fastrand::Rng::with_seed(seed());
    let database = Arc::new(Mariadb::create());
    let mut bus = database.connect();
    place(&mut bus, 0..BEFORE);
    let (log, gate) = (Arc::<Log>::default(), Arc::new(AtomicBool::new(false)));
    let handled = || log.all().len() as u64;
    let mut processes = vec![start(&database, &log, 1, &gate)];
    wait_until("the threads are at work", || handled() > 0);

    let mut open: Vec<_> = (BEFORE..BEFORE + SLOTS)
        .map(|number| {
            let mut publisher = database.connect();
            publisher.begin().unwrap();
            place(&mut publisher, number..number + 1);
            (number, publisher)
        })
        .collect();
    assert_eq!(Mariadb::fences(&mut bus) as u64, SLOTS);
    processes.push(start(&database, &log, 2, &gate));
    gate.store(true, Ordering::SeqCst);
    wait_until("everything committed is handled", || handled() == BEFORE);

    let mut committed: Vec<_> = (0..BEFORE).collect();
    random.shuffle(&mut open);
    for (number, mut publisher) in open {
        if random.u8(0..4) == 0 {
            publisher.rollback().unwrap();
        } else {
            publisher.commit().unwrap();
            committed.push(number);
        }
    }
    // Its slot is free again.
    let last = BEFORE + SLOTS;
    place(&mut bus, last..last + 1);
    committed.push(last);
    committed.sort_unstable();
    for running in processes {
        running.caught_up_within(Duration::from_secs(60)).unwrap();
        has_ended_well(running);
    }
    let mut published = Published::new();
    add(
        &mut published,
        committed.into_iter().map(|it| (it % KEYS, it)),
    );
    let verdict = judge(&log.records(), &published, &[]);
    assert_eq!(verdict, Default::default());
}
