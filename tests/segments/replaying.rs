//! Messages that come again after a reset of a consumer that is divided, and hooks before them.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use chrono::DateTime;
use persisting_message_bus::backend::{
    ConsumerRow, DividedBy, Division, MessageConsumerState, MessageSource, TransactionControlOn,
};
use persisting_message_bus::handler::External;
use persisting_message_bus::operate::{MessageFailures, ParkedSelector};
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, ParallelConsumer, RetryPolicy, StartAt,
};
use persisting_message_bus_tests::databases::Database;

use super::begun::segment_of;
use super::handling::{Noted, place};
use super::operating::{take, undivided};
use super::redriven_beside_live::parked;
use super::topic::{KEYS, Orders};
use super::{key, segments_if_any};

const SEGMENTS: u16 = 4;

type Handler = Box<dyn FnMut(&Message<Orders>) -> Noted + Send>;
type Divided = ParallelConsumer<Orders, External<Handler>>;

/// What the handlers of all segments share.
#[derive(Clone, Default)]
struct Seen {
    /// The numbers of the handled messages, and whether each was a replay.
    handled: Arc<Mutex<Vec<(u64, bool)>>>,
    /// Whether the handlers fail on every seventh message.
    fail: Arc<AtomicBool>,
}

impl Seen {
    fn handle(&self, message: &Message<Orders>) -> Noted {
        let number = message.payload().number();
        if number % 7 == 3 && self.fail.load(SeqCst) {
            return Err("a poisonous order".into());
        }
        let handled = (number, message.is_replay());
        self.handled.lock().unwrap().push(handled);
        Ok(())
    }

    /// Returns what was handled since the last call, in the order of the numbers.
    fn take(&self) -> Vec<(u64, bool)> {
        let mut handled = std::mem::take(&mut *self.handled.lock().unwrap());
        handled.sort_unstable();
        handled
    }

    /// Returns a consumer that parks a message after its first failure.
    fn consumer(&self) -> Divided {
        let seen = self.clone();
        let retry = RetryPolicy::default().max_attempts(1);
        let make = move || {
            let seen = seen.clone();
            let handler: Handler = Box::new(move |message: &Message<Orders>| seen.handle(message));
            MessageConsumer::<Orders>::external("all", handler)
                .page_size(7)
                .retry(retry.on_exhausted(FailurePolicy::Park))
        };
        ParallelConsumer::by_key(make).segments(SEGMENTS)
    }
}

fn placed<D: Database>(count: u64) -> (D, D::Bus) {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..count);
    (database, bus)
}

/// Returns whether a message is in one of the last two segments.
fn is_in_last(number: u64) -> bool {
    segment_of(Division::new(DividedBy::Key, SEGMENTS), number % KEYS) >= 2
}

/// Handles what the last two segments have, while another process holds the first two.
fn handle_in_last<B: MessageSource + MessageConsumerState>(consumer: &mut Divided, bus: &mut B) {
    let held = [0, 1].map(|number| take(bus, "all", number));
    let error = consumer.handle_new_messages(bus).unwrap_err();
    assert!(error.is_lease_held(), "{error}");
    held.iter().for_each(|lease| bus.release(lease).unwrap());
}

/// The last two segments have handled more than the others, and the replay is reset once more.
pub fn messages_up_to_the_place_of_their_segment_are_replays<D: Database>() {
    let (_database, mut bus) = placed::<D>(60);
    let seen = Seen::default();
    let mut consumer = seen.consumer();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 60);
    place(&mut bus, 60..100);
    handle_in_last(&mut consumer, &mut bus);
    let was_passed = |number: u64| number < if is_in_last(number) { 100 } else { 60 };
    let passed = (0..100).filter(|it| was_passed(*it));
    assert_eq!(seen.take(), Vec::from_iter(passed.map(|it| (it, false))));
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    handle_in_last(&mut consumer, &mut bus);
    let again = (0..100).filter(|it| is_in_last(*it));
    assert_eq!(seen.take(), Vec::from_iter(again.map(|it| (it, true))));
    place(&mut bus, 100..120);
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 120);
    let expected = Vec::from_iter((0..120).map(|it| (it, was_passed(it))));
    assert_eq!(seen.take(), expected);
}

/// The consumer has one cursor when it is reset, and one for each segment when the messages come again.
pub fn a_replay_goes_on_after_the_division<D: Database>() {
    let (_database, mut bus) = placed::<D>(40);
    let middle = bus.current_head("orders").unwrap();
    place(&mut bus, 40..60);
    let (mut whole, seen) = (undivided("all"), Seen::default());
    assert_eq!(whole.handle_new_messages(&mut bus).unwrap(), 60);
    whole.reset(&mut bus, StartAt::Position(middle)).unwrap();
    place(&mut bus, 60..80);
    let mut consumer = seen.consumer();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 40);
    let expected = (40..80).map(|it| (it, it < 60));
    assert_eq!(seen.take(), Vec::from_iter(expected));
}

/// Those before the place stay parked, or redriven. One of each kind is redriven before the reset.
pub fn parked_messages_after_the_place_of_a_reset_come_again<D: Database>() {
    let (_database, mut bus) = placed::<D>(50);
    let middle = bus.current_head("orders").unwrap();
    place(&mut bus, 50..100);
    let seen = Seen::default();
    let mut consumer = seen.consumer();
    seen.fail.store(true, SeqCst);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 86);
    seen.take();
    let failed = parked(&mut bus);
    for redriven in [&failed[1], &failed[8]] {
        let which = ParkedSelector::At(redriven.position);
        assert_eq!(bus.redrive(key("all"), which).unwrap(), 1);
    }
    consumer.reset(&mut bus, StartAt::Position(middle)).unwrap();
    assert_eq!(bus.count_parked(key("all")).unwrap(), 6);
    seen.fail.store(false, SeqCst);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 51);
    let expected = [10].into_iter().chain(50..100).map(|it| (it, true));
    assert_eq!(seen.take(), Vec::from_iter(expected));
}

/// Returns the rows of the consumer and its segments, without the present time.
fn rows(bus: &mut impl MessageConsumerState) -> Vec<ConsumerRow> {
    let now = DateTime::UNIX_EPOCH;
    let whole = bus.stored_consumer(key("all")).unwrap();
    let rows = segments_if_any(bus, "all").into_iter().chain(whole);
    rows.map(|row| ConsumerRow { now, ..row }).collect()
}

/// Checks that programs with a hook are refused before they call it, and that no row changes.
fn hooks_are_refused<B>(bus: &mut B)
where
    B: MessageSource + MessageConsumerState + TransactionControlOn<B> + 'static,
{
    let external = || {
        MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()))
            .before_replay(|| Err("the hook was called".into()))
    };
    let transactional = || {
        let handler = |_: &mut B, _: &Message<Orders>| Ok(());
        MessageConsumer::<Orders>::transactional("all", handler)
            .before_replay(|_: &mut B| Err("the hook was called".into()))
    };
    let before = rows(bus);
    for handled in [
        ParallelConsumer::by_key(external).handle_new_messages(bus),
        ParallelConsumer::by_key(transactional).handle_new_messages(bus),
    ] {
        let error = format!("{:#}", handled.unwrap_err());
        assert!(error.contains("remove `before_replay`"), "{error}");
    }
    assert_eq!(rows(bus), before);
}

/// A hook empties something that all segments share.
pub fn a_consumer_with_a_hook_is_not_divided<D: Database>() {
    let (_database, mut bus) = placed::<D>(20);
    assert_eq!(undivided("all").handle_new_messages(&mut bus).unwrap(), 20);
    hooks_are_refused(&mut bus);
}

/// Each segment would call the hook of a later program, some after others have handled messages.
pub fn a_hook_is_refused_by_segments_at_the_start<D: Database>() {
    let (_database, mut bus) = placed::<D>(20);
    let mut consumer = Seen::default().consumer();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 20);
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    hooks_are_refused(&mut bus);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 20);
}
