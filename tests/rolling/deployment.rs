//! A running deployment: a database, a publisher, and processes.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use persisting_message_bus::Position;
use persisting_message_bus::backend::{ConsumerRow, MessageConsumerState};
use persisting_message_bus::operate::{ConsumerCondition, ConsumerKey, ConsumerStatus};
use persisting_message_bus_tests::waiting::wait_until_every;
use persisting_message_bus_tests::{seed, soak_time};

use super::fleet::Fleet;
use super::letters::{Program, TOPIC};
use super::publisher::Publisher;
use super::sql::{Sql, messages};
use super::worker::{EXTERNAL, TRANSACTIONAL};

pub const CONSUMERS: [&str; 2] = [EXTERNAL, TRANSACTIONAL];

const INTERVAL: Duration = Duration::from_millis(10);

pub struct Deployment<D: Sql> {
    pub bus: D::Connection,
    pub fleet: Fleet,
    random: Rng,
    publisher: Publisher,
    /// The duration of one phase.
    phase: Duration,
    _database: D,
}

pub fn key(consumer: &str) -> ConsumerKey<'_> {
    ConsumerKey {
        consumer,
        topic: TOPIC,
    }
}

impl<D: Sql> Deployment<D> {
    /// Starts processes of the first program, and waits until both consumers have handled messages.
    pub fn of(program: Program) -> Self {
        let time = soak_time(3);
        let mut random = Rng::with_seed(seed());
        let database = D::prepare();
        let mut deployment = Self {
            bus: database.connect(),
            fleet: Fleet::new(database.address()),
            publisher: Publisher::start(database.connect(), random.fork()),
            random,
            phase: time / 5,
            _database: database,
        };
        let programs = [program];
        deployment
            .fleet
            .leave_only(&programs, &mut deployment.random);
        deployment.wait_until("the consumers begin", |_, row| row.cursor.is_some());
        deployment
    }

    /// Kills processes for a phase, and replaces each by one of these programs. Other programs are
    /// replaced at once.
    pub fn roll(&mut self, programs: &[Program]) {
        self.fleet.leave_only(programs, &mut self.random);
        self.fleet.roll(programs, self.phase, &mut self.random);
    }

    /// Waits until a condition holds for the rows of both consumers.
    pub fn wait_until(&mut self, awaited: &str, mut holds: impl FnMut(&str, &ConsumerRow) -> bool) {
        wait_until_every(INTERVAL, awaited, || {
            CONSUMERS.iter().all(|consumer| {
                let row = self.bus.stored_consumer(key(consumer)).unwrap();
                row.is_some_and(|row| holds(consumer, &row))
            })
        });
    }

    /// Waits until both rows store that the consumer wants C.
    pub fn wait_until_grown(&mut self) {
        let wants_it = |event_set: &str| event_set.contains("\"C\"");
        self.wait_until("the event set has grown", |_, row| {
            row.identity.event_set.as_deref().is_some_and(wants_it)
        });
    }

    /// Waits until both consumers wait before a message of a type, without a lease. Returns the
    /// positions of these messages.
    pub fn wait_before_unknown(&mut self, message_type: &str) -> [i64; 2] {
        let (bus, awaited) = (&mut self.bus, "a consumer waits before an unknown message");
        CONSUMERS.map(|consumer| {
            let mut position = 0;
            wait_until_every(INTERVAL, awaited, || {
                let status = ConsumerStatus::read(bus, key(consumer)).unwrap();
                let Some(failure) = &status.failure else {
                    return false;
                };
                position = failure.position.get();
                // A killed holder may have left a lease, which has expired.
                let now = bus.stored_consumer(key(consumer)).unwrap().unwrap().now;
                status.condition == ConsumerCondition::UnknownType
                    && status.lease_expires_at.is_none_or(|until| until <= now)
                    && failure.message_type.as_deref() == Some(message_type)
            });
            position
        })
    }

    /// Waits until both consumers have handled the last message. They must make progress all the
    /// time, because a long run leaves many messages for the end.
    fn catch_up(&mut self, last: i64) {
        let bus = &mut self.bus;
        let mut place = |consumer| {
            let row = bus.stored_consumer(key(consumer)).unwrap().unwrap();
            let event_set = row.identity.event_set.unwrap_or_default();
            (row.cursor, event_set.contains("backfill"))
        };
        let mut places = CONSUMERS.map(&mut place);
        let is_at_end = |(cursor, backfill): (Option<Position>, bool)| {
            cursor >= Some(Position::new(last)) && !backfill
        };
        while !places.into_iter().all(is_at_end) {
            wait_until_every(INTERVAL, "the consumers make progress", || {
                let before = std::mem::replace(&mut places, CONSUMERS.map(&mut place));
                places != before
            });
        }
    }

    /// Ends the publisher, and lets only these programs run until both consumers have caught up.
    pub fn finish(mut self, programs: &[Program]) -> Finished<D> {
        self.fleet.leave_only(programs, &mut self.random);
        let published = self.publisher.end();
        let messages = messages(&mut self.bus);
        assert_eq!(messages.len(), published);
        let last = messages.last().map_or(0, |(position, _)| *position);
        self.catch_up(last);
        self.fleet.end();
        let started = self.fleet.started.len();
        eprintln!("{published} messages, {started} processes");
        let types: BTreeSet<_> = messages.iter().map(|(_, it)| it.as_str()).collect();
        assert_eq!(types.len(), 4, "too few messages: {types:?}");
        Finished {
            bus: self.bus,
            fleet: self.fleet,
            messages,
            _database: self._database,
        }
    }
}

/// A deployment whose consumers have caught up, and whose processes have ended.
pub struct Finished<D: Sql> {
    pub bus: D::Connection,
    pub fleet: Fleet,
    pub messages: Vec<(i64, String)>,
    _database: D,
}
