//! A segment that is more than a million positions late.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::{
    CursorUpdate, MessageConsumerState, MessageSource, Place, Segment,
};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{
    Message, MessageConsumer, MessageDispatcher, ParallelConsumer, Position, Runner,
};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Sqlite};
use persisting_message_bus_tests::waiting::wait_until;

use super::counted::{Lot, Lots, most_at_once};
use super::running::has_ended_well;
use super::sql::Sql;
use super::topic::KEYS;
use super::traces::take;
use super::{LEASE, connector, division, has_order, segments};

const SEGMENTS: u16 = 8;
const THREADS: usize = 4;
const PAGE: usize = 20;

/// How often the first messages, one of each key, are repeated.
const COPIES: u64 = 12_800;

/// The distance of two positions. Rolled-back transactions leave such gaps. So the positions of fewer
/// messages are more than a million.
const DISTANCE: u64 = 4;

/// How long the handler of the late segment takes, so that it has no end while a test waits.
const PAUSE: Duration = Duration::from_millis(1);

/// How many messages are handled at full speed.
const MANY: u64 = 2_000;

/// A database that makes many messages out of a few.
pub trait Filled: Sql {
    /// The number of the test on this database.
    const TEST: usize;

    /// Copies all messages many times.
    fn copy_messages() -> String;
}

impl Filled for Sqlite {
    const TEST: usize = 0;

    fn copy_messages() -> String {
        format!(
            "WITH RECURSIVE copies (copy) AS (
                SELECT 1 UNION ALL SELECT copy + 1 FROM copies WHERE copy < {COPIES})
            INSERT INTO public_messages (id, message_id, topic, message_type, message_version,
                key_slot, payload, headers, published_at)
            SELECT (copy * {KEYS} + id) * {DISTANCE},
                printf('%08x-0000-4000-8000-%012x', copy, id), topic, message_type, message_version,
                key_slot, payload, headers, published_at
            FROM copies CROSS JOIN public_messages"
        )
    }
}

impl Filled for Postgres {
    const TEST: usize = 1;

    fn copy_messages() -> String {
        format!(
            "INSERT INTO public_messages (id, message_id, topic, message_type, message_version,
                key_slot, payload, headers, published_at) OVERRIDING SYSTEM VALUE
            SELECT (copy * {KEYS} + id) * {DISTANCE},
                (lpad(to_hex(copy), 20, '0') || lpad(to_hex(id), 12, '0'))::uuid, topic, message_type,
                message_version, key_slot, payload, headers, published_at
            FROM generate_series(1, {COPIES}) AS copy CROSS JOIN public_messages
            ORDER BY copy;
            SELECT setval('public_messages_id_seq', max(id)) FROM public_messages"
        )
    }
}

impl Filled for Mariadb {
    const TEST: usize = 2;

    fn copy_messages() -> String {
        format!(
            "INSERT INTO public_messages (id, message_id, topic, message_type, message_version,
                key_slot, payload, headers, published_at)
            SELECT (copies.seq * {KEYS} + id) * {DISTANCE},
                concat(lpad(lower(hex(copies.seq)), 8, '0'), '-0000-4000-8000-',
                    lpad(lower(hex(id)), 12, '0')),
                topic, message_type, message_version, key_slot, payload, headers, published_at
            FROM seq_1_to_{COPIES} AS copies CROSS JOIN public_messages"
        )
    }
}

/// What the handlers share.
#[derive(Debug, Default)]
struct Handled {
    /// How many messages of the late segment are handled.
    late: AtomicU64,
    /// Whether its handler takes no time.
    is_fast: AtomicBool,
    /// The messages of the other segments: numbers and orders.
    others: Mutex<Vec<(u64, u64)>>,
}

impl Handled {
    fn late(&self) -> u64 {
        self.late.load(Ordering::SeqCst)
    }

    fn others(&self) -> Vec<(u64, u64)> {
        let mut others = self.others.lock().unwrap().clone();
        others.sort_unstable();
        others
    }
}

/// All segments but one are at the end of the topic, and get new messages. These are handled although the
/// late one has far to go, and the late one goes on.
pub fn a_late_segment_holds_up_no_other<D: Filled>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    let late = make_late::<D>(&mut bus);
    let others = Vec::from_iter((0..KEYS).filter(|order| !has_order(late.part, *order)));
    let handled = Arc::<Handled>::default();
    let mut published = Vec::new();
    // One thread works on all segments in turns.
    for threads in [1, THREADS] {
        let running = start(connect.clone(), threads, &late, &handled);
        for _round in 0..3 {
            let (before, number) = (handled.late(), published.len() as u64);
            let lots = others.iter().map(|order| Lot::new(D::TEST, *order, number));
            MessageDispatcher::<Lots>::new()
                .dispatch_batch(&mut bus, lots)
                .unwrap();
            published.extend(others.iter().map(|order| (number, *order)));
            wait_until("the new messages of other keys are handled", || {
                handled.others().len() == published.len()
            });
            wait_until("the late segment goes on", || handled.late() > before);
        }
        has_ended_well(running);
    }
    assert_eq!(handled.others(), published);
    handled.is_fast.store(true, Ordering::SeqCst);
    let running = start(connect, THREADS, &late, &handled);
    let before = handled.late();
    wait_until("many messages are handled", || {
        handled.late() > before + MANY
    });
    has_ended_well(running);
    let all = (KEYS - others.len() as u64) * COPIES;
    assert!(handled.late() < all, "it is still late");
    let most = most_at_once(D::TEST);
    assert!(
        (PAGE / 4..=THREADS * PAGE).contains(&most),
        "{most} messages"
    );
}

/// Divides the consumer "all", fills the topic, and moves all segments to the end, but for the first that
/// has messages. Returns that one.
fn make_late<D: Filled>(bus: &mut D::Connection) -> Segment {
    let make = || MessageConsumer::<Lots>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::by_key(make).segments(SEGMENTS);
    assert_eq!(consumer.handle_new_messages(bus).unwrap(), 0);
    let first = (0..KEYS).map(|order| Lot::new(D::TEST, order, 0));
    MessageDispatcher::<Lots>::new()
        .dispatch_batch(bus, first)
        .unwrap();
    bus.batch_execute(&D::copy_messages()).unwrap();
    let end = bus.current_head("orders").unwrap();
    assert!(end > Position::new(1_000_000));
    let division = division(bus, "all").unwrap();
    let has_messages = |it: &Segment| (0..KEYS).any(|order| has_order(it.part, order));
    let late = division.all("all").find(has_messages).unwrap();
    for segment in division.all("all").filter(|it| *it != late) {
        let lease = take(bus, &segment, "an operator", LEASE).unwrap();
        let place = Place {
            cursor: Some(end),
            anchor: None,
        };
        let update = CursorUpdate {
            place,
            extend_lease: None,
        };
        bus.store_cursor(&lease, &update).unwrap();
    }
    let at_end = segments(bus, "all")
        .into_iter()
        .filter(|row| row.cursor == Some(end));
    assert_eq!(at_end.count(), usize::from(SEGMENTS) - 1);
    late
}

fn start<B: MessageSource + MessageConsumerState + Send + 'static>(
    connect: impl Fn() -> B + Send + Sync + 'static,
    threads: usize,
    late: &Segment,
    handled: &Arc<Handled>,
) -> RunHandle {
    let (late, handled) = (late.clone(), Arc::clone(handled));
    let make = move || {
        let (late, handled) = (late.clone(), Arc::clone(&handled));
        MessageConsumer::<Lots>::external("all", move |message: &Message<Lots>| {
            let Lots::Lot(lot) = message.payload();
            if !has_order(late.part, lot.order) {
                let mut others = handled.others.lock().unwrap();
                others.push((lot.number, lot.order));
                return Ok(());
            }
            if !handled.is_fast.load(Ordering::SeqCst) {
                thread::sleep(PAUSE);
            }
            handled.late.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .page_size(PAGE)
        .lease_duration(LEASE)
        .time_slice(Duration::from_millis(20))
    };
    let consumer = ParallelConsumer::by_key(make).segments(SEGMENTS);
    Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(Duration::from_millis(50))
        .parallel(consumer.threads(threads))
        .start()
}
