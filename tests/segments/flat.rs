//! The memory of a process does not depend on how many messages wait for a consumer that is divided. Each
//! test measures a process of its own. In `late`, only a single segment has many messages.

use std::io::{self, Read};
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::{DividedBy, Division, MessageRepository, Part};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{
    Message, MessageConsumer, MessageDispatcher, ParallelConsumer, Runner, StartAt,
};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Sqlite};
use persisting_message_bus_tests::waiting::{wait_for, wait_until};

use super::counted::{Lot, Lots, most_at_once};
use super::has_order;
use super::late::Filled;
use super::running::has_ended_well;
use super::topic::KEYS;

const SEGMENTS: u16 = 8;
const THREADS: usize = 4;
const PAGE: usize = 200;
const MOST_AT_ONCE: u64 = (THREADS * PAGE) as u64;

/// How many messages are handled while few wait, and how many while at least `WAITING` wait.
const FEW: u64 = 4_000;
const MANY: u64 = 10_000;
const WAITING: u64 = 200_000;

/// How long a message of the slow segment takes.
const PAUSE: Duration = Duration::from_millis(20);

/// How much more memory the process may need while many messages wait, in KiB: 2 MiB for the cache of each
/// connection to SQLite, and a generous rest. All messages at once would need more than twice as much.
const MOST_GROWTH: u64 = 32 * 1_024;

/// Makes this process the one that is measured, on the database at this address.
const TASK: &str = "SEGMENTS_FLAT";

/// What such a process prints before its figures.
const FIGURES: &str = "messages at once, KiB and handled messages: ";

/// The test to which the messages of that process belong. Other tests run in other processes.
const TEST: usize = 0;

/// The body of such a process, if the environment variable is set. Passes otherwise.
#[test]
fn measured_process() {
    let Ok(address) = env::var(TASK) else { return };
    let (grown, handled) = if address.starts_with("postgres") {
        growth_on::<Postgres>(&address)
    } else if address.starts_with("mysql") {
        growth_on::<Mariadb>(&address)
    } else {
        growth_on::<Sqlite>(&address)
    };
    println!("\n{FIGURES}{} {grown} {handled}", most_at_once(TEST));
}

/// Handles few messages, and then some of many. Returns by how many KiB the process has grown meanwhile, and
/// how many of the many are handled.
fn growth_on<D: Filled>(address: &str) -> (u64, u64) {
    let mut bus = D::connect_at(address);
    publish(&mut bus, 0..KEYS);
    bus.batch_execute(&D::copy_messages()).unwrap();

    let handled = Arc::<Handled>::default();
    let running = handled.start::<D>(address, "few", StartAt::End, Duration::ZERO);
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    assert_eq!(handled.all(), 0, "it starts at the end");
    publish(&mut bus, 0..FEW);
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    has_ended_well(running);
    assert_eq!(handled.all(), FEW);
    let before = peak();

    let handled = Arc::<Handled>::default();
    let running = handled.start::<D>(address, "all", StartAt::Start, PAUSE);
    wait_until("fast and slow messages are handled", || {
        let [slow, fast] = handled.figures();
        slow >= 10 && fast >= MANY
    });
    has_ended_well(running);
    (peak() - before, handled.all())
}

/// Returns the highest memory use of this process so far, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let peak = lines.find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

fn publish(bus: &mut impl MessageRepository, numbers: Range<u64>) {
    let lots = numbers.map(|number| Lot::new(TEST, number % KEYS, number));
    MessageDispatcher::<Lots>::new()
        .dispatch_batch(bus, lots)
        .unwrap();
}

/// Returns the part of the first segment that has messages.
fn slow_part() -> Part {
    let division = Division::new(DividedBy::Key, SEGMENTS);
    let mut parts = division.all("all").map(|segment| segment.part);
    let has_messages = |part: &Part| (0..KEYS).any(|order| has_order(*part, order));
    parts.find(has_messages).unwrap()
}

/// How many messages of the slow segment and of the others are handled.
#[derive(Debug, Default)]
struct Handled([AtomicU64; 2]);

impl Handled {
    fn figures(&self) -> [u64; 2] {
        self.0.each_ref().map(|it| it.load(Ordering::SeqCst))
    }

    fn all(&self) -> u64 {
        self.figures().iter().sum()
    }

    /// Starts a consumer of this name, which has a slow segment.
    fn start<D: Filled>(
        self: &Arc<Self>,
        address: &str,
        name: &'static str,
        start_at: StartAt,
        pause: Duration,
    ) -> RunHandle {
        let (handled, slow) = (Arc::clone(self), slow_part());
        let make = move || {
            let handled = Arc::clone(&handled);
            MessageConsumer::<Lots>::external(name, move |message: &Message<Lots>| {
                let Lots::Lot(lot) = message.payload();
                let is_slow = has_order(slow, lot.order);
                if is_slow {
                    thread::sleep(pause);
                }
                handled.0[usize::from(!is_slow)].fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
            .page_size(PAGE)
            .start_at(start_at)
        };
        let consumer = ParallelConsumer::by_key(make).segments(SEGMENTS);
        let address = address.to_owned();
        Runner::new(move || Ok::<_, io::Error>(D::connect_at(&address)))
            .idle_interval(Duration::from_millis(50))
            .parallel(consumer.threads(THREADS))
            .start()
    }
}

/// One segment is slow, and all have many messages that wait. The process holds no more messages than its
/// threads have pages for, and it needs about as much memory as when few messages wait.
pub fn memory_stays_flat_while_many_messages_wait<D: Filled>() {
    let database = D::create();
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["flat::measured_process", "--exact", "--nocapture"])
        .env(TASK, database.address())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = wait_for("the process ends", || {
        let ended = process.try_wait().unwrap();
        ended.ok_or("it is at work")
    });
    assert!(ended.success(), "{ended}");
    let mut said = String::new();
    let mut output = process.stdout.take().unwrap();
    output.read_to_string(&mut said).unwrap();
    let mut lines = said.lines();
    let figures = lines.find_map(|line| line.strip_prefix(FIGURES)).unwrap();
    let mut figures = figures.split(' ').map(|it| it.parse::<u64>().unwrap());
    let [most, grown, handled] = [(); 3].map(|()| figures.next().unwrap());
    assert!((MOST_AT_ONCE / 16..=MOST_AT_ONCE).contains(&most), "{most}");
    assert!(grown < MOST_GROWTH, "{grown} KiB");
    let waiting = database.key_slots().len() as u64 - handled;
    assert!(waiting >= WAITING, "{waiting} messages");
}
