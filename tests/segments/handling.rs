//! What one thread does with the segments, one after the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use persisting_message_bus::backend::{
    DividedBy, Division, MessageConsumerState, MessageRepository, Part,
};
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, MessageDispatcher, ParallelConsumer, Position,
    RetryPolicy,
};
use persisting_message_bus_tests::databases::Database;

use super::topic::{Both, KEYS, Orders, Paid, Payments, Step, Visit, Visits};
use super::traces::take;
use super::{LEASE, division, segments};

pub const MESSAGES: u64 = 100;

pub fn place(bus: &mut impl MessageRepository, numbers: std::ops::Range<u64>) {
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, numbers.map(Step::of))
        .unwrap();
}

/// The result of a handler.
pub type Noted = Result<(), HandlerError>;

/// The handled messages: positions and numbers.
pub type Handled = Arc<Mutex<Vec<(Position, u64)>>>;

pub fn note(handled: &Handled, message: &Message<Orders>) {
    let mut handled = handled.lock().unwrap();
    handled.push((message.position(), message.payload().number()));
}

/// Returns a consumer that notes what it handles.
fn noting(
    handled: &Handled,
) -> MessageConsumer<Orders, External<impl FnMut(&Message<Orders>) -> Noted + use<>>> {
    let handled = Arc::clone(handled);
    MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
        note(&handled, message);
        Ok(())
    })
}

pub fn numbers(handled: &Handled) -> Vec<u64> {
    let mut numbers: Vec<_> = handled.lock().unwrap().iter().map(|it| it.1).collect();
    numbers.sort_unstable();
    numbers
}

pub fn all_messages_are_handled_once_and_those_of_a_segment_in_order<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let handled = Handled::default();
    let noted = Arc::clone(&handled);
    let make = move || noting(&noted).page_size(7);
    let mut consumer = ParallelConsumer::unordered(make).segments(8);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(numbers(&handled), Vec::from_iter(0..MESSAGES));
    let division = division(&mut bus, "all").unwrap();
    assert_eq!(division, Division::new(DividedBy::Position, 8));
    let mut last: BTreeMap<u16, Position> = BTreeMap::new();
    for (position, _) in &*handled.lock().unwrap() {
        let slot = Part::slot_of(*position);
        let is_in = |it: &persisting_message_bus::backend::Segment| match it.part {
            Part::Positions(range) => range.contains(slot),
            _ => false,
        };
        let segment = division.all("all").find(is_in).unwrap().number;
        let before = last.insert(segment, *position);
        assert!(before.is_none_or(|before| before < *position));
    }
    assert_eq!(last.len(), 8, "all segments have messages");
    let end = bus_end(&mut bus);
    let cursors = segments(&mut bus, "all").into_iter().map(|row| row.cursor);
    assert!(cursors.clone().all(|it| it == Some(end)), "{cursors:?}");
}

fn bus_end(bus: &mut impl persisting_message_bus::backend::MessageSource) -> Position {
    bus.current_head("orders").unwrap()
}

pub fn messages_of_a_key_are_in_one_segment_and_in_order<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let handled = Handled::default();
    let noted = Arc::clone(&handled);
    let make = move || noting(&noted).page_size(3);
    let mut consumer = ParallelConsumer::by_key(make).segments(8);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    assert_eq!(numbers(&handled), Vec::from_iter(0..MESSAGES));
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let handled = handled.lock().unwrap();
    for (_, number) in &*handled {
        let before = last.insert(number % KEYS, *number);
        assert!(before.is_none_or(|before| before < *number), "{handled:?}");
    }
    let is_sorted = handled.windows(2).all(|pair| pair[0].0 < pair[1].0);
    assert!(!is_sorted, "the segments are handled one after the other");
}

pub fn a_consumer_is_divided_at_its_cursor<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..5);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    assert_eq!(make().handle_new_messages(&mut bus).unwrap(), 5);
    place(&mut bus, 5..12);
    let mut consumer = ParallelConsumer::unordered(make).segments(4);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 7);
}

pub fn a_program_that_does_not_divide_is_refused<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..5);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::unordered(make).segments(4);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 5);
    place(&mut bus, 5..6);
    let error = make().handle_new_messages(&mut bus).unwrap_err();
    assert!(
        format!("{error:#}").contains("divided by position into 4"),
        "{error:#}"
    );
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
}

pub fn a_division_of_another_kind_is_refused<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..5);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::unordered(make).segments(4);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 5);
    let mut other = ParallelConsumer::by_key(make).segments(4);
    let error = other.handle_new_messages(&mut bus).unwrap_err();
    assert!(
        format!("{error:#}").contains("divided by position, and this"),
        "{error:#}"
    );
}

pub fn a_segment_that_fails_keeps_only_its_messages<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let handled = Handled::default();
    let noted = Arc::clone(&handled);
    let make = move || {
        let noted = Arc::clone(&noted);
        let retry = RetryPolicy::default()
            .initial_delay(std::time::Duration::ZERO)
            .max_attempts(2)
            .on_exhausted(FailurePolicy::Stop);
        MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
            if message.payload().number() == 41 {
                return Err("a poisonous order".into());
            }
            note(&noted, message);
            Ok(())
        })
        .retry(retry)
    };
    let mut consumer = ParallelConsumer::unordered(make).segments(8);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_handler_failure(), "{error}");
    assert!(error.to_string().contains("segment "), "{error}");
    let mut unfinished = Vec::new();
    for row in segments(&mut bus, "all") {
        if row.cursor < Some(bus_end(&mut bus)) {
            unfinished.push(row);
        }
    }
    assert_eq!(unfinished.len(), 1, "{unfinished:?}");
    let handled = numbers(&handled);
    assert!(handled.len() > 80 && !handled.contains(&41), "{handled:?}");
}

/// The topics of an event set can have taken their leases differently often. A resource that refuses lower
/// tokens of a key must take the messages of all topics.
pub fn tokens_never_decrease_from_topic_to_topic<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let tokens: Arc<Mutex<BTreeMap<u64, Vec<i64>>>> = Arc::default();
    let noted = Arc::clone(&tokens);
    let make = move || {
        let noted = Arc::clone(&noted);
        MessageConsumer::<Both>::external("all", move |message: &Message<Both>| {
            let order = match message.payload() {
                Both::Step(step) => step.order,
                Both::Paid(paid) => paid.order,
            };
            let mut noted = noted.lock().unwrap();
            noted
                .entry(order)
                .or_default()
                .push(message.fencing_token());
            Ok(())
        })
        .page_size(3)
    };
    let mut consumer = ParallelConsumer::by_key(make).segments(4);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    let division = division(&mut bus, "all").unwrap();
    for segment in division.all("all") {
        for _take in 0..3 {
            let lease = take(&mut bus, &segment, "another process", LEASE).unwrap();
            bus.release(&lease).unwrap();
        }
    }
    let payments = MessageDispatcher::<Payments>::new();
    for number in (0..60).step_by(2) {
        place(&mut bus, number..number + 1);
        let paid = Paid {
            order: number % KEYS,
            number: number + 1,
        };
        payments.dispatch(&mut bus, &paid).unwrap();
    }
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 60);
    let tokens = tokens.lock().unwrap();
    let tokens: Vec<_> = tokens.values().collect();
    assert!(tokens.iter().all(|of_key| of_key.is_sorted()), "{tokens:?}");
}

/// Some messages of the topic have a key, and others have none.
pub fn messages_without_a_key_keep_their_order<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let visits = (0..MESSAGES).map(|number| Visit {
        customer: (number % 3 > 0).then_some(number % 7),
        number,
    });
    MessageDispatcher::<Visits>::new()
        .dispatch_batch(&mut bus, visits)
        .unwrap();
    let seen: Arc<Mutex<BTreeMap<Option<u64>, Vec<u64>>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let make = move || {
        let noted = Arc::clone(&noted);
        MessageConsumer::<Visits>::external("all", move |message: &Message<Visits>| {
            let Visits::Visit(visit) = message.payload();
            let mut noted = noted.lock().unwrap();
            noted.entry(visit.customer).or_default().push(visit.number);
            Ok(())
        })
        .page_size(7)
    };
    let mut consumer = ParallelConsumer::by_key(make).segments(8);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 8, "seven customers, and no customer");
    assert!(seen.values().all(|numbers| numbers.is_sorted()), "{seen:?}");
    let handled: usize = seen.values().map(Vec::len).sum();
    assert_eq!(handled, 100);
}
