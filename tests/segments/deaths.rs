//! Processes that are killed between any two statements of a change of the number of segments.

use diesel::Connection;
use persisting_message_bus::backend::{
    CursorUpdate, DividedBy, Division, MessageConsumerState, MessageSource,
};
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::operate::{ConsumerKey, end_lease};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, ParallelConsumer};
use persisting_message_bus_tests::seed;

use super::dying::run_until;
use super::records::{Published, add, assert_exactly_once};
use super::sql::{Sql, effects};
use super::topic::{Both, Numbered, Orders, Paid, Payments, Step};
use super::traces::take;
use super::{LEASE, division, has_order};

const TOPICS: [&str; 2] = ["orders", "payments"];

/// A change that needs fewer statements would show that the statements are not seen.
const AT_LEAST: u32 = 20;

/// One of so many statements is tried.
const STEPS: usize = 8;

/// The consumer "all" of one process, which inserts an effect for each message.
fn member<D: Sql>() -> ParallelConsumer<Both, impl PageHandler<Both, D::Connection>> {
    let make = || {
        let handler = |bus: &mut D::Connection, message: &Message<Both>| {
            let (order, number) = message.payload().numbers();
            effects(bus, [(order, number)])?;
            Ok(())
        };
        MessageConsumer::<Both>::transactional("all", handler).page_size(3)
    };
    ParallelConsumer::by_key(make).segments(2)
}

fn on(topic: &str) -> ConsumerKey<'_> {
    ConsumerKey {
        consumer: "all",
        topic,
    }
}

/// A database, and what is published there.
struct Place<D: Sql> {
    database: D,
    bus: D::Connection,
    published: Published,
    messages: u64,
}

impl<D: Sql> Place<D> {
    /// Creates a database with a consumer in two segments.
    fn new() -> Self {
        let (database, mut bus) = D::with_effects();
        assert_eq!(member::<D>().handle_new_messages(&mut bus).unwrap(), 0);
        Self {
            database,
            bus,
            published: Published::new(),
            messages: 0,
        }
    }

    /// Publishes a step of each order, and then a payment.
    fn publish(&mut self, orders: &[u64]) {
        let numbered = |first| orders.iter().copied().zip(first..).collect::<Vec<_>>();
        let steps = numbered(self.messages);
        let payments = numbered(self.messages + orders.len() as u64);
        self.messages += 2 * orders.len() as u64;
        add(&mut self.published, steps.iter().chain(&payments).copied());
        let steps = steps.into_iter();
        MessageDispatcher::<Orders>::new()
            .dispatch_batch(
                &mut self.bus,
                steps.map(|(order, number)| Step { order, number }),
            )
            .unwrap();
        let payments = payments.into_iter();
        MessageDispatcher::<Payments>::new()
            .dispatch_batch(
                &mut self.bus,
                payments.map(|(order, number)| Paid { order, number }),
            )
            .unwrap();
    }

    /// Checks that the stored segments of both topics are those of one division.
    fn check_segments(&mut self, when: &str) {
        let numbers = TOPICS.map(|topic| {
            let stored = self.bus.stored_consumer(on(topic)).unwrap().unwrap();
            let division = stored.division.expect("it is divided");
            let rows = self.bus.segments(on(topic), division);
            let rows = rows.unwrap_or_else(|error| panic!("{when}: {error:#}"));
            assert_eq!(rows.len(), usize::from(division.segments), "{when}");
            division.segments
        });
        assert_eq!(numbers[0], numbers[1], "{when}");
    }

    /// Another process finishes the change, once the leases of the dead one have ended.
    fn finish(&mut self, to: u16, when: &str) {
        for topic in TOPICS {
            end_lease(&mut self.bus, on(topic)).unwrap();
        }
        let mut other = member::<D>();
        // The change may be in progress, or not have begun.
        if let Err(error) = other.resize(&mut self.bus, to) {
            assert!(error.is_retryable(), "{when}: {error:#}");
        }
        self.publish(&[0, 1]);
        other.handle_new_messages(&mut self.bus).unwrap();
        let wanted = Some(Division::new(DividedBy::Key, to));
        for topic in TOPICS {
            let stored = self.bus.stored_consumer(on(topic)).unwrap().unwrap();
            assert_eq!(stored.division, wanted, "{when}, on {topic}");
        }
        self.check_segments(when);
        assert_exactly_once(D::effects(&mut self.bus), &self.published);
    }

    /// Stores that the first segment has handled everything, as a thread does that began before the
    /// change.
    fn pass_the_stop(&mut self) {
        let first = division(&mut self.bus, "all").unwrap().segment("all", 0);
        let is_elsewhere = |order: &u64| !has_order(first.part, *order);
        self.publish(&[(0..).find(is_elsewhere).unwrap()]);
        let mut lease = take(&mut self.bus, &first, "a thread", LEASE).unwrap();
        lease.cursor = Some(self.bus.current_head("orders").unwrap());
        let update = CursorUpdate {
            place: lease.place(),
            extend_lease: None,
        };
        self.bus.store_cursor(&lease, &update).unwrap();
    }
}

/// Ends a process before its first statement, before its second one, and so on, until it finishes the
/// change. Each time, another process finishes it. Only some statements are tried, which are others each
/// time; a soak tries all.
fn die_at_each_statement<D: Sql>(
    prepare: fn(&mut Place<D>, u16),
    change: fn(&mut D::Connection, u16) -> Result<(), persisting_message_bus::Error>,
) where
    D::Connection: Connection,
{
    let mut place = Place::<D>::new();
    let is_soak = std::env::var_os("SOAK_SECONDS").is_some();
    let steps = if is_soak { 1 } else { STEPS };
    let first = fastrand::Rng::with_seed(seed()).usize(0..steps);
    for statement in (1..).skip(first).step_by(steps) {
        let mut has_died = false;
        for to in [3, 2] {
            let when = format!("to {to}, a death before statement {statement}");
            prepare(&mut place, to);
            let ran = run_until(place.database.connect(), statement, |bus| change(bus, to));
            has_died |= ran.is_none();
            if let Some(ran) = ran {
                ran.unwrap();
            }
            place.check_segments(&when);
            place.finish(to, &when);
        }
        if !has_died {
            assert!(statement > AT_LEAST, "only {statement} statements");
            return;
        }
    }
}

/// The process begins the change, handles the messages before the position at which segments stop, and
/// replaces them.
pub fn a_change_goes_on_after_a_death_before_any_statement<D: Sql>()
where
    D::Connection: Connection,
{
    let change = |bus: &mut D::Connection, to| {
        let mut member = member::<D>();
        member.resize(bus, to)?;
        member.handle_new_messages(bus).map(drop)
    };
    die_at_each_statement::<D>(|place, _| place.publish(&[0, 1, 2]), change);
}

/// The process finds a cursor after the position at which segments stop, so it raises that first.
pub fn a_raised_change_goes_on_after_a_death_before_any_statement<D: Sql>()
where
    D::Connection: Connection,
{
    let prepare = |place: &mut Place<D>, to| {
        assert!(member::<D>().resize(&mut place.bus, to).unwrap());
        place.pass_the_stop();
    };
    let change = |bus: &mut D::Connection, _| member::<D>().handle_new_messages(bus).map(drop);
    die_at_each_statement::<D>(prepare, change);
}
