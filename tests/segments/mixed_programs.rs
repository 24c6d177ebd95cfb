//! Programs of one name that do not fit together are at work at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use persisting_message_bus::backend::{DividedBy, MessageConsumerState, MessageSource};
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{ParallelConsumer, Runner};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::wait_until_every;

use super::begun::{Log, member, publish, published};
use super::disturbed::{Disturbance, Plan};
use super::records::{Verdict, judge};
use super::running::STOP;
use super::topic::{KEYS, Orders};
use super::{connector, division};

const SEGMENTS: u16 = 4;

/// How long a message takes.
const PAUSE: Duration = Duration::from_millis(1);

/// The longest interval between polls. The test looks as often, and publishes messages.
const INTERVAL: Duration = Duration::from_millis(20);

/// How a program handles the consumer "all".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Undivided,
    By(DividedBy),
}

impl Program {
    fn start<B>(
        self,
        connect: impl Fn() -> B + Send + Sync + 'static,
        log: &Arc<Log>,
        own: u32,
    ) -> RunHandle
    where
        B: MessageSource + MessageConsumerState + Send + 'static,
    {
        let connect = move || Ok::<_, io::Error>(connect());
        let runner = Runner::new(connect).idle_interval(INTERVAL);
        let log = Arc::clone(log);
        let make = move || member::<Orders>(&log, own, PAUSE);
        let divided = match self {
            Self::Undivided => return runner.consumer(make()).start(),
            Self::By(DividedBy::Key) => ParallelConsumer::by_key(make),
            Self::By(DividedBy::Position) => ParallelConsumer::unordered(make),
        };
        let divided = divided.segments(SEGMENTS).threads(2);
        runner.parallel(divided).start()
    }

    /// Returns what its error says when the consumer is divided in another way.
    fn refusal(self, by: DividedBy) -> String {
        match self {
            Self::Undivided => format!("divided by {by} into {SEGMENTS} segments"),
            Self::By(own) => format!("divided by {by}, and this program divides it by {own}"),
        }
    }
}

/// A database, and what happens there.
struct Place<D: Database> {
    bus: D::Bus,
    log: Arc<Log>,
    messages: u64,
}

impl<D: Database> Place<D> {
    fn publish(&mut self, count: u64) {
        let numbers = self.messages..self.messages + count;
        publish(&mut self.bus, numbers, KEYS);
        self.messages += count;
    }

    /// Waits while messages come, of which few wait. So the lease of a consumer that is not divided is free
    /// from time to time.
    fn publish_until(&mut self, awaited: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        wait_until_every(INTERVAL, awaited, || {
            if self.messages < self.log.different() + 10 {
                self.publish(10);
            }
            holds(self)
        });
    }
}

/// Starts the second program at once, or when the first one is at work. The one that divides the consumer
/// goes on, and the other one is refused and handles nothing more.
fn one_is_refused<D: Database + Send + 'static>(programs: [Program; 2], is_at_work: bool) {
    let (database, connect) = connector::<D>();
    let log = Arc::<Log>::default();
    let mut place = Place::<D> {
        bus: database.connect(),
        log: Arc::clone(&log),
        messages: 0,
    };
    place.publish(50);
    let first = programs[0].start(connect.clone(), &log, 0);
    place.publish_until("the first program is at work", |_| {
        !is_at_work || log.count_of(0) >= 20
    });
    let running = [first, programs[1].start(connect, &log, 1)];
    place.publish_until("the consumer is divided", |place| {
        division(&mut place.bus, "all").is_some()
    });
    let by = division(&mut place.bus, "all").unwrap().by;
    let own = usize::from(programs[1] == Program::By(by));
    let refused = 1 - own;
    let refusal = programs[refused].refusal(by);
    place.publish_until("the other program is refused", |_| {
        let late = running[refused].caught_up_within(INTERVAL);
        late.is_err_and(|late| late.to_string().contains(&refusal))
    });

    let before = log.count_of(refused as u32);
    place.publish(100);
    running[own].caught_up_within(STOP).unwrap();
    assert_eq!(log.count_of(refused as u32), before, "{programs:?}");
    let exits = running.map(|it| it.stop_within(STOP).unwrap().remove(0));
    assert!(exits[own].error.is_none(), "{exits:?}");
    // All that this program has tried was refused.
    if is_at_work && refused == 1 {
        let error = exits[1].error.as_ref().expect("it was refused");
        assert!(format!("{error:#}").contains(&refusal), "{error:#}");
    }
    let records = log.records();
    let handled = [records.len() as u64, log.different()];
    assert_eq!(handled, [place.messages; 2], "each is handled once");
    if by == DividedBy::Key {
        let published = published(place.messages, KEYS);
        assert_eq!(judge(&records, &published, &[]), Verdict::default());
    }
}

fn in_each_order<D: Database + Send + 'static>([one, other]: [Program; 2]) {
    for programs in [[one, other], [other, one]] {
        one_is_refused::<D>(programs, false);
        one_is_refused::<D>(programs, true);
    }
}

pub fn an_undivided_program_is_refused_beside_a_divided_one<D: Database + Send + 'static>() {
    in_each_order::<D>([Program::Undivided, Program::By(DividedBy::Key)]);
}

pub fn a_program_that_divides_differently_is_refused<D: Database + Send + 'static>() {
    in_each_order::<D>([DividedBy::Key, DividedBy::Position].map(Program::By));
}

/// Lets another program divide the consumer at this call of one that does not, or as soon as the lease is
/// free afterwards. Returns whether there was such a call.
fn divide_at(at: usize) -> bool {
    const MESSAGES: u64 = 12;
    const ORDERS: u64 = 5;
    let mut bus = InMemoryMessageBus::default();
    let log = Arc::<Log>::default();
    publish(&mut bus, 0..MESSAGES, ORDERS);
    let dividing = || {
        let log = Arc::clone(&log);
        let make = move || member::<Orders>(&log, 1, Duration::ZERO);
        ParallelConsumer::by_key(make).segments(SEGMENTS)
    };
    let (mut other, mut last) = (dividing(), dividing());
    let divide = move |bus: &mut InMemoryMessageBus| {
        if let Err(error) = other.handle_new_messages(bus) {
            assert!(error.is_lease_held(), "{error:#}");
        }
    };
    let plan = Plan::new(Disturbance::Operated, at, bus.clone(), Box::new(divide));
    let mut undivided = member::<Orders>(&log, 0, Duration::ZERO).page_size(3);
    let mut disturbed = plan.disturb();
    let refused = loop {
        match undivided.handle_page(&mut disturbed) {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(format!("{error:#}")),
        }
    };
    let is_usual = |text: &String| text.contains("divided by key into");
    assert!(refused.as_ref().is_none_or(is_usual), "{refused:?}");
    last.handle_new_messages(&mut bus).unwrap();
    let published = published(MESSAGES, ORDERS);
    assert_eq!(judge(&log.records(), &published, &[]), Verdict::default());
    plan.has_happened()
}

/// Among the calls is the one that takes the lease after the consumer's row was read.
#[test]
fn a_consumer_is_divided_at_any_call_of_an_undivided_program() {
    let calls = (1..).take_while(|at| divide_at(*at)).count();
    assert!(calls >= 8, "only {calls} calls");
}
