//! Consumers whose handlers succeed, fail and panic at random. No message is skipped, and no cursor
//! moves back.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{
    ConsumerKey, FailedMessagesRequest, FailureState, MessageFailures, ParkedSelector,
};
use persisting_message_bus::{
    Error, FailurePolicy, Message, MessageConsumer, MessageDispatcher, Position, RetryPolicy,
    StartAt,
};
use persisting_message_bus_tests::databases::{Database, Memory, Sqlite};
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

/// The number of messages. The number of an order equals its position.
const MESSAGES: u64 = 25;

/// The expected state, as the operator of the consumer knows it.
struct World {
    random: RefCell<Rng>,
    retry: RetryPolicy,
    page_size: usize,
    /// Orders that always fail.
    poison: BTreeSet<u64>,
    /// The orders that were handled since the last reset, in this sequence.
    handled: RefCell<Vec<u64>>,
    attempts: RefCell<Vec<u64>>,
}

impl World {
    fn new(random: &mut Rng) -> Self {
        let then = [
            FailurePolicy::Stop,
            FailurePolicy::Park,
            FailurePolicy::Skip,
        ];
        Self {
            retry: RetryPolicy::default()
                .initial_delay(Duration::ZERO)
                .max_attempts(random.u32(1..4))
                .on_exhausted(then[random.usize(..3)]),
            page_size: random.usize(1..8),
            poison: (1..=MESSAGES).filter(|_| random.u32(..10) == 0).collect(),
            random: RefCell::new(random.fork()),
            handled: RefCell::default(),
            attempts: RefCell::default(),
        }
    }

    fn handle(&self, order: u64) -> Result<(), HandlerError> {
        self.attempts.borrow_mut().push(order);
        let chance = self.random.borrow_mut().u32(..10);
        match chance {
            _ if self.poison.contains(&order) => Err("poison".into()),
            0 => Err("by chance".into()),
            1 => panic!("by chance"),
            _ => {
                self.handled.borrow_mut().push(order);
                Ok(())
            }
        }
    }

    /// Handles a page as a newly started process.
    fn handle_page<B: TestBus>(&self, bus: &mut B) -> Result<usize, Error> {
        let handler = |message: &Message<Orders>| self.handle(message.payload().order());
        MessageConsumer::<Orders>::external("all", handler)
            .retry(self.retry)
            .page_size(self.page_size)
            .handle_page(bus)
    }

    /// Asserts that every message up to the cursor was handled once, parked or skipped, and that
    /// none after it was.
    fn check<B: TestBus>(&self, bus: &mut B) {
        let cursor = cursor(bus);
        let handled = self.handled.borrow();
        let once: BTreeSet<_> = handled.iter().copied().collect();
        assert_eq!(once.len(), handled.len(), "handled twice: {handled:?}");
        let parked = parked(bus);
        let expected: BTreeSet<_> = (1..=cursor).collect();
        let gone: BTreeSet<_> = once.union(&parked).copied().collect();
        assert!(gone.is_subset(&expected), "after the cursor: {gone:?}");
        for skipped in expected.difference(&gone) {
            assert_eq!(
                self.retry.on_exhausted,
                FailurePolicy::Skip,
                "{skipped} of {expected:?}"
            );
            let attempts = self.attempts.borrow();
            let attempts = attempts.iter().filter(|order| *order == skipped);
            assert!(attempts.count() >= self.retry.max_attempts as usize);
        }
        assert!(once.is_disjoint(&parked), "{once:?} {parked:?}");
    }
}

fn cursor(bus: &mut impl TestBus) -> u64 {
    let stored = bus
        .stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap();
    let cursor = stored.and_then(|stored| stored.cursor).unwrap_or_default();
    cursor.get().unsigned_abs()
}

/// Returns the messages that are parked or redriven.
fn parked(bus: &mut impl TestBus) -> BTreeSet<u64> {
    let mut parked = BTreeSet::new();
    for state in [FailureState::Parked, FailureState::Redriven] {
        let page = bus.failed_messages(&FailedMessagesRequest {
            consumer: "all",
            topic: "orders",
            state,
            slots: None,
            after: Position::START,
            limit: usize::MAX,
        });
        let positions = page.unwrap().into_iter().map(|failed| failed.position);
        parked.extend(positions.map(|at| at.get().unsigned_abs()));
    }
    parked
}

/// Handles pages until the end, each as another process.
fn handle_to_the_end(world: &World, bus: &mut impl TestBus) {
    let mut before = cursor(bus);
    for _ in 0..2_000 {
        let failures_before = world.attempts.borrow().len();
        match world.handle_page(bus) {
            Ok(0) if world.attempts.borrow().len() == failures_before => return,
            Ok(_) => {}
            Err(error) if error.attempts() >= Some(world.retry.max_attempts) => {
                assert_eq!(world.retry.on_exhausted, FailurePolicy::Stop, "{error:?}");
                world.check(bus);
                return;
            }
            Err(error) => assert!(error.is_handler_failure(), "{error:?}"),
        }
        let after = cursor(bus);
        assert!(
            before <= after,
            "the cursor moved back from {before} to {after}"
        );
        before = after;
        world.check(bus);
    }
    panic!("it never ends");
}

fn run<D: Database>(random: &mut Rng) {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (1..=MESSAGES).map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut bus, batch)
        .unwrap();
    let world = World::new(random);
    handle_to_the_end(&world, &mut bus);
    if world.retry.on_exhausted != FailurePolicy::Stop {
        assert_eq!(cursor(&mut bus), MESSAGES);
    }

    // In the end, all parked messages are handled except the poison ones.
    if world.retry.on_exhausted == FailurePolicy::Park {
        while !parked(&mut bus).is_subset(&world.poison) {
            let waiting = bus
                .count_parked(ConsumerKey {
                    consumer: "all",
                    topic: "orders",
                })
                .unwrap();
            let redriven = bus
                .redrive(
                    ConsumerKey {
                        consumer: "all",
                        topic: "orders",
                    },
                    ParkedSelector::All,
                )
                .unwrap();
            assert_eq!(redriven, waiting);
            while bus
                .count_failed(
                    ConsumerKey {
                        consumer: "all",
                        topic: "orders",
                    },
                    FailureState::Redriven,
                )
                .unwrap()
                > 0
            {
                world.handle_page(&mut bus).unwrap();
                world.check(&mut bus);
            }
        }
    }

    // Only a reset moves the cursor back.
    let to = random.i64(0..=i64::try_from(cursor(&mut bus)).unwrap());
    MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()))
        .reset(&mut bus, StartAt::Position(Position::new(to)))
        .unwrap();
    let mut handled = world.handled.borrow_mut();
    handled.retain(|order| *order <= to.unsigned_abs());
    drop(handled);
    world.check(&mut bus);
    handle_to_the_end(&world, &mut bus);
}

#[test]
fn nothing_is_skipped_and_nothing_goes_back() {
    // Handlers panic on purpose, so their panics are not printed.
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or_default();
        if text != "by chance" {
            eprintln!("{info}");
        }
    }));
    let mut random = Rng::with_seed(seed());
    for _ in 0..500 {
        run::<Memory>(&mut random);
    }
    for _ in 0..10 {
        run::<Sqlite>(&mut random);
    }
}

/// The traits that the connections of all databases implement.
trait TestBus: persisting_message_bus::backend::MessageSource + MessageConsumerState {}

impl<B: persisting_message_bus::backend::MessageSource + MessageConsumerState> TestBus for B {}
