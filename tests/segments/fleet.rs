//! The processes of a test, the messages that they handle, and what they have handled.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::operate::{ConsumerKey, ConsumerStatus};
use tempfile::TempDir;

use super::key;
use super::records::{Published, Record, Verdict, add, assert_exactly_once, judge_topics};
use super::sql::Sql;
use super::topic::{KEYS, Moves, Paid, Payments, Returned, Step, TOPICS};
use super::worker::{PAGE, PAYER, TELLER, Task, Worker};

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// The interval at which messages are published while a test waits.
const INTERVAL: Duration = Duration::from_millis(20);

/// A lease that does not expire in a test, where no process is killed or frozen.
const LONG: Duration = Duration::from_secs(120);

pub const THREADS: usize = 4;

/// A database with the records of its workers.
pub struct Fleet<D: Sql> {
    pub bus: D::Connection,
    pub database: D,
    pub published: Published,
    /// The numbers of the messages that are payments.
    pub payments: BTreeSet<u64>,
    /// The task of the next worker, but for its number.
    pub task: Task,
    /// How many messages are published; the number of the next one.
    pub messages: u64,
    records: Vec<Record>,
    /// The messages that are recorded.
    recorded: BTreeSet<(u64, u64)>,
    file: File,
    _folder: TempDir,
}

impl<D: Sql> Fleet<D> {
    pub fn new(segments: u16) -> Self {
        let (database, bus) = D::with_effects();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        File::create_new(&path).unwrap();
        let task = Task {
            address: database.address(),
            records: path.to_str().unwrap().to_owned(),
            process: 0,
            threads: THREADS,
            segments,
            lease: LONG,
            page: PAGE,
            clock: 0,
            pause: Duration::from_millis(1),
            pays_pages: false,
            is_wider: false,
            reads_payments: false,
            stuck_at: None,
            aborts_at: None,
        };
        Self {
            bus,
            database,
            published: Published::new(),
            payments: BTreeSet::new(),
            task,
            messages: 0,
            records: Vec::new(),
            recorded: BTreeSet::new(),
            file: File::open(path).unwrap(),
            _folder: folder,
        }
    }

    /// Starts a worker.
    pub fn start(&mut self) -> Worker {
        self.task.process += 1;
        Worker::start(&self.task)
    }

    /// Publishes the next messages, one after the other of all orders.
    pub fn publish(&mut self, count: u64) {
        let steps = self.messages..self.messages + count;
        self.publish_steps(steps.map(Step::of).collect());
    }

    /// Publishes steps in one transaction. If the workers read payments, the later half are payments
    /// instead, in another transaction.
    pub fn publish_steps(&mut self, mut steps: Vec<Step>) {
        let numbers: Vec<_> = steps.iter().map(|it| (it.order, it.number)).collect();
        if self.task.reads_payments {
            let later = steps.split_off(steps.len() / 2);
            self.dispatch_steps(steps);
            self.dispatch_payments(later);
        } else {
            self.dispatch_steps(steps);
        }
        self.messages += numbers.len() as u64;
        add(&mut self.published, numbers);
    }

    fn dispatch_steps(&mut self, steps: Vec<Step>) {
        MessageDispatcher::<Moves>::new()
            .dispatch_batch(&mut self.bus, steps)
            .unwrap();
    }

    fn dispatch_payments(&mut self, steps: Vec<Step>) {
        self.payments.extend(steps.iter().map(|it| it.number));
        let payments = steps.into_iter();
        let payments = payments.map(|Step { order, number }| Paid { order, number });
        MessageDispatcher::<Payments>::new()
            .dispatch_batch(&mut self.bus, payments)
            .unwrap();
    }

    /// Publishes a message of the type that was added.
    pub fn publish_return(&mut self) {
        let (order, number) = (self.messages % KEYS, self.messages);
        MessageDispatcher::<Moves>::new()
            .dispatch(&mut self.bus, &Returned { order, number })
            .unwrap();
        self.messages += 1;
        add(&mut self.published, [(order, number)]);
    }

    /// Waits until a condition holds, and calls `meanwhile` in between.
    #[track_caller]
    fn wait(
        &mut self,
        awaited: &str,
        meanwhile: fn(&mut Self),
        mut holds: impl FnMut(&mut Self) -> bool,
    ) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "not within 60 s: {awaited}");
            meanwhile(self);
            std::thread::sleep(INTERVAL);
        }
    }

    /// Waits while no messages come.
    #[track_caller]
    pub fn wait_until(&mut self, awaited: &str, holds: impl FnMut(&mut Self) -> bool) {
        self.wait(awaited, |_| (), holds);
    }

    /// Waits while messages come.
    #[track_caller]
    pub fn publish_until(&mut self, awaited: &str, holds: impl FnMut(&mut Self) -> bool) {
        let publish = |fleet: &mut Self| {
            if fleet.keeps_up() {
                // Each order comes at each place of these, so it has steps and payments.
                fleet.publish(11);
            }
        };
        self.wait(awaited, publish, holds);
    }

    /// Returns whether few messages wait. On a slow machine, more would come than are handled, and what a
    /// test waits for would come too late.
    fn keeps_up(&mut self) -> bool {
        const FEW: u64 = 400;
        let handled = self.told().min(D::count_effects(&mut self.bus));
        self.messages < handled + FEW
    }

    /// Waits while messages of both types come.
    #[track_caller]
    pub fn publish_both_until(&mut self, awaited: &str, holds: impl FnMut(&mut Self) -> bool) {
        let both = |fleet: &mut Self| {
            if fleet.keeps_up() {
                fleet.publish(7);
                fleet.publish_return();
            }
        };
        self.wait(awaited, both, holds);
    }

    /// Waits, while messages come, until these workers have begun so many more messages each.
    #[track_caller]
    pub fn publish_until_at_work(&mut self, workers: &[Worker], more: usize) {
        let before: Vec<_> = workers.iter().map(|it| self.begun_by(it.number)).collect();
        self.publish_until("the workers handle messages", |fleet| {
            let mut workers = workers.iter().zip(&before);
            workers.all(|(worker, before)| fleet.begun_by(worker.number) >= before + more)
        });
    }

    /// Returns all records until now.
    pub fn records(&mut self) -> &[Record] {
        let mut text = String::new();
        let read = self.file.read_to_string(&mut text).unwrap();
        let unfinished = text.rsplit('\n').next().map_or(0, str::len);
        for line in text[..read - unfinished].lines() {
            let record = Record::of_line(line).expect(line);
            self.recorded.insert((record.order, record.number));
            self.records.push(record);
        }
        let back = i64::try_from(unfinished).unwrap();
        self.file.seek(SeekFrom::Current(-back)).unwrap();
        &self.records
    }

    fn begun_by(&mut self, process: u32) -> usize {
        let records = self.records().iter();
        records.filter(|it| it.process == process).count()
    }

    /// Returns how many messages the tellers have begun.
    pub fn told(&mut self) -> u64 {
        self.records();
        self.recorded.len() as u64
    }

    pub fn is_told(&mut self) -> bool {
        self.told() == self.messages
    }

    /// Returns whether this message is recorded.
    pub fn is_recorded(&mut self, (order, number): (u64, u64)) -> bool {
        self.records();
        self.recorded.contains(&(order, number))
    }

    /// Returns the time by the database's clock, once a worker has divided the consumer.
    pub fn now(&mut self) -> DateTime<Utc> {
        let stored = self.bus.stored_consumer(key(TELLER)).unwrap();
        stored.expect("a consumer that has run").now
    }

    /// Returns whether no message waits. Messages that a killed process has recorded can still wait to be
    /// handled again.
    fn has_caught_up(&mut self) -> bool {
        let consumers = [TELLER, PAYER].into_iter();
        let mut keys =
            consumers.flat_map(|consumer| TOPICS.map(|topic| ConsumerKey { consumer, topic }));
        keys.all(|key| {
            // The segments may be replaced at the moment.
            let status = ConsumerStatus::read(&mut self.bus, key);
            status.is_ok_and(|status| status.lag_messages == 0)
        })
    }

    /// Waits until all messages are handled and stops these workers. Returns what was repeated, and
    /// checks everything else.
    pub fn finish(&mut self, workers: Vec<Worker>, disturbed: &[u32]) -> Verdict {
        self.wait_until("everything is handled", |fleet| {
            fleet.is_told()
                && D::count_effects(&mut fleet.bus) == fleet.messages
                && fleet.has_caught_up()
        });
        for worker in workers {
            worker.stop();
        }
        assert_exactly_once(D::effects(&mut self.bus), &self.published);
        self.records();
        judge_topics(&self.records, &self.published, &self.payments, disturbed)
    }
}
