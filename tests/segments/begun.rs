//! What the handlers of several runners in one process have begun.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{Division, MessageRepository};
use persisting_message_bus::handler::External;
use persisting_message_bus::{EventSet, Message, MessageConsumer, MessageDispatcher, Position};

use super::handling::Noted;
use super::has_order;
use super::records::{Published, Record, add};
use super::topic::{Numbered, Orders, Step};

/// A message that a handler has begun. The process is the number of the runner.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    pub record: Record,
    pub position: Position,
    /// How many crashes of the server had begun before.
    pub crashes: usize,
}

/// What all runners have begun.
#[derive(Debug, Default)]
pub struct Log(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    /// In the order in which they were begun.
    begun: Vec<Begun>,
    numbers: BTreeSet<u64>,
    crashes: usize,
}

impl Log {
    pub fn note<S: EventSet + Numbered>(&self, member: u32, message: &Message<S>) {
        let (order, number) = message.payload().numbers();
        let record = Record {
            process: member,
            order,
            number,
            token: message.fencing_token(),
        };
        let mut notes = self.lock();
        let crashes = notes.crashes;
        notes.numbers.insert(number);
        notes.begun.push(Begun {
            record,
            position: message.position(),
            crashes,
        });
    }

    /// Notes that the server crashes from now on.
    pub fn crash(&self) {
        self.lock().crashes += 1;
    }

    pub fn all(&self) -> Vec<Begun> {
        self.lock().begun.clone()
    }

    pub fn records(&self) -> Vec<Record> {
        self.lock().begun.iter().map(|it| it.record).collect()
    }

    /// Returns how many different messages were begun.
    pub fn different(&self) -> u64 {
        self.lock().numbers.len() as u64
    }

    /// Returns how many messages a member has begun.
    pub fn count_of(&self, member: u32) -> usize {
        let notes = self.lock();
        let is_own = |it: &&Begun| it.record.process == member;
        notes.begun.iter().filter(is_own).count()
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap()
    }
}

/// Returns the consumer "all" of a member, which notes what it begins. Each message takes it some time.
/// Its leases do not expire in a test.
pub fn member<S: EventSet + Numbered>(
    log: &Arc<Log>,
    own: u32,
    pause: Duration,
) -> MessageConsumer<S, External<impl FnMut(&Message<S>) -> Noted + use<S>>> {
    let log = Arc::clone(log);
    MessageConsumer::external("all", move |message: &Message<S>| {
        log.note(own, message);
        thread::sleep(pause);
        Ok(())
    })
    .lease_duration(Duration::from_secs(120))
    .time_slice(Duration::from_millis(20))
}

/// Publishes the steps of these numbers in one transaction, one after the other of so many orders.
pub fn publish(bus: &mut impl MessageRepository, numbers: Range<u64>, orders: u64) {
    let steps = numbers.map(|number| Step {
        order: number % orders,
        number,
    });
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, steps)
        .unwrap();
}

/// Returns what `publish` has published, from 0 up to this number.
pub fn published(messages: u64, orders: u64) -> Published {
    let mut published = Published::new();
    add(&mut published, (0..messages).map(|it| (it % orders, it)));
    published
}

/// Returns the number of the segment to which the messages of an order belong.
pub fn segment_of(division: Division, order: u64) -> u16 {
    let mut all = division.all("");
    all.find(|it| has_order(it.part, order)).unwrap().number
}

/// Returns the holder of each epoch of each segment, and checks that there is only one.
pub fn holders(begun: &[Begun], division: Division) -> BTreeMap<(u16, i64), u32> {
    let mut holders = BTreeMap::new();
    for Begun { record, .. } in begun {
        let segment = segment_of(division, record.order);
        let of_epoch = holders.entry((segment, record.token));
        let holder = *of_epoch.or_insert(record.process);
        assert_eq!(holder, record.process, "two holders: {segment}, {record:?}");
    }
    holders
}
