use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use persisting_message_bus::backend::{MessageSource, TransactionControlOn};
use persisting_message_bus::handler::{HandlerError, PageHandler};
use persisting_message_bus::operate::{
    ConsumerCondition, ConsumerStatus, MessageFailures, ParkedSelector,
};
use persisting_message_bus::{
    Error, Message, MessageBus, MessageConsumer, MessageDispatcher, Position, StartAt,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Closed, Orders, Paid, Payments};

use crate::helpers::{
    ALL, Handled, Handling, assert_broken, handled, ignoring, of_type, parking, place, positions,
    publish_one_of_each, recording,
};
use crate::sources::{Split, Without};

/// Lets a consumer handle ten messages. Returns their database, and the database of the cursor.
fn ten_handled<D: Database>(
    consumer: &mut Handling<Orders, impl FnMut(&Message<Orders>) -> Result<(), HandlerError>>,
) -> (D, D) {
    let (first, state) = (D::create(), D::create());
    let mut messages = first.connect();
    place(&mut messages, 1..=10);
    let mut bus = MessageBus::new(messages, state.connect());
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
    (first, state)
}

/// Lets a consumer handle ten messages, and returns a bus with its cursor, and with the messages of
/// another database.
fn restored_after_ten<D: Database>(
    numbers: RangeInclusive<u64>,
) -> ([D; 2], MessageBus<D::Bus, D::Bus>) {
    let (_first, state) = ten_handled::<D>(&mut ignoring("all"));
    let restored = D::create();
    let mut messages = restored.connect();
    place(&mut messages, numbers);
    let bus = MessageBus::new(messages, state.connect());
    ([state, restored], bus)
}

fn assert_cursor_is_broken<M: MessageSource, D: Database>(bus: &mut MessageBus<M, D::Bus>) {
    let seen = Handled::default();
    let error = assert_broken(recording::<Orders>("all", &seen).handle_new_messages(bus));
    assert_eq!(error.consumer(), Some("all"));
    assert!(error.hint().is_some());
    assert_eq!(handled(&seen), []);
    let status = ConsumerStatus::read(bus, ALL).unwrap();
    assert_eq!(status.condition, ConsumerCondition::BrokenCursor);
    assert!(status.problem.is_some());
}

pub fn a_source_that_overtook_the_cursor_is_not_read<D: Database>() {
    let (_databases, mut bus) = restored_after_ten::<D>(101..=115);
    assert_cursor_is_broken::<_, D>(&mut bus);

    let seen = Handled::default();
    let mut consumer = recording::<Orders>("all", &seen);
    let to = StartAt::Position(Position::new(13));
    consumer.reset(&mut bus, to).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    let placed = |position| of_type(position, "OrderPlaced");
    assert_eq!(handled(&seen), [placed(14), placed(15)]);
    let status = ConsumerStatus::read(&mut bus, ALL).unwrap();
    assert_eq!(status.condition, ConsumerCondition::CaughtUp);
}

pub fn another_message_at_the_cursor_is_noticed_at_an_empty_poll<D: Database>() {
    let (_databases, mut bus) = restored_after_ten::<D>(101..=110);
    assert_cursor_is_broken::<_, D>(&mut bus);
}

pub fn a_topic_that_lost_its_last_messages_is_noticed<D: Database>() {
    let (_databases, mut bus) = restored_after_ten::<D>(1..=5);
    let paid = (1..=10).map(|order| Paid { order });
    let payments = MessageDispatcher::<Payments>::new();
    payments.dispatch_batch(&mut bus.messages, paid).unwrap();
    assert_cursor_is_broken::<_, D>(&mut bus);
}

pub fn a_transactional_consumer_handles_nothing_of_another_source<D: Database>() {
    let (_databases, mut bus) = restored_after_ten::<D>(101..=115);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let count = move |_: &mut D::Bus, _: &Message<Orders>| {
        counted.fetch_add(1, SeqCst);
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::transactional("all", count);
    assert_broken(handle::<D, _, _>(&mut consumer, &mut bus));
    assert_eq!(calls.load(SeqCst), 0);
}

fn handle<D: Database, M, H>(
    consumer: &mut MessageConsumer<Orders, H>,
    bus: &mut MessageBus<M, D::Bus>,
) -> Result<usize, Error>
where
    M: MessageSource,
    H: PageHandler<Orders, MessageBus<M, D::Bus>>,
    D::Bus: TransactionControlOn<D::Bus>,
{
    consumer.handle_new_messages(bus)
}

pub fn an_anchor_that_is_missing_between_others_is_noticed<D: Database>() {
    let (first, state) = ten_handled::<D>(&mut ignoring("all"));
    let mut messages = first.connect();
    place(&mut messages, 11..=15);
    let lost = Without {
        all: messages,
        deleted: (8, 12),
    };
    assert_cursor_is_broken::<_, D>(&mut MessageBus::new(lost, state.connect()));
}

pub fn pruned_messages_are_no_alarm<D: Database>() {
    let mut consumer = ignoring::<Orders>("all");
    let (first, state) = ten_handled::<D>(&mut consumer);
    let pruned = |last| Without {
        all: first.connect(),
        deleted: (1, last),
    };
    for (last, new) in [(4, 0), (10, 0), (12, 3), (15, 0)] {
        let mut bus = MessageBus::new(pruned(last), state.connect());
        assert_eq!(
            consumer.handle_new_messages(&mut bus).unwrap(),
            new,
            "{last}"
        );
        let status = ConsumerStatus::read(&mut bus, ALL).unwrap();
        assert_eq!(status.problem, None);
        if last == 10 {
            place(&mut first.connect(), 11..=15);
        }
    }
}

pub fn a_reset_between_messages_is_no_alarm<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for order in 1..=5 {
        place(&mut bus, order..=order);
        MessageDispatcher::<Payments>::new()
            .dispatch(&mut bus, &Paid { order })
            .unwrap();
    }
    let mut consumer = ignoring::<Orders>("all");
    for (position, rest) in [(0, 5), (1, 4), (4, 3), (8, 1), (10, 0)] {
        let to = StartAt::Position(Position::new(position));
        consumer.reset(&mut bus, to).unwrap();
        assert_eq!(
            consumer.handle_new_messages(&mut bus).unwrap(),
            rest,
            "{position}"
        );
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    }
}

pub fn an_accepted_source_is_read_after_the_cursor<D: Database>() {
    let (_databases, mut bus) = restored_after_ten::<D>(101..=112);
    assert_cursor_is_broken::<_, D>(&mut bus);
    let mut consumer = ignoring::<Orders>("all");
    consumer.accept_source(&mut bus).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);

    let empty = D::create();
    let mut bus = MessageBus::new(empty.connect(), bus.state);
    assert_broken(consumer.accept_source(&mut bus));
}

pub fn a_page_from_an_older_state_is_read_again<D: Database>() {
    for page_size in [500, 5, 3] {
        for event_set in [false, true] {
            older_state::<D>(page_size, event_set);
        }
    }
}

fn older_state<D: Database>(page_size: usize, event_set: bool) {
    let database = D::create();
    for _ in 0..5 {
        publish_one_of_each(&mut database.connect());
    }
    let seen = Handled::default();
    let mut bus = MessageBus::new(
        Split {
            primary: database.connect(),
            applied: Position::START,
        },
        database.connect(),
    );
    let mut all = recording::<Orders>("all", &seen).page_size(page_size);
    let mut some = recording::<Closed>("some", &seen).page_size(page_size);
    let mut run = |bus: &mut _| match event_set {
        true => some.handle_new_messages(bus),
        false => all.handle_new_messages(bus),
    };
    // The second standby is even further back.
    for applied in [10, 4] {
        bus.messages.applied = Position::new(applied);
        let error = run(&mut bus).unwrap_err();
        assert!(
            error.is_retryable() && !error.is_broken_cursor(),
            "{error:#}"
        );
    }
    bus.messages.applied = Position::new(15);
    run(&mut bus).unwrap();
    let expected = (1..=15).filter(|at| !event_set || at % 3 != 1);
    assert_eq!(
        positions(&seen),
        expected.collect::<Vec<_>>(),
        "page size {page_size}"
    );
}

pub fn a_redriven_message_is_not_mistaken_for_another<D: Database>() {
    let (first, state) = (D::create(), D::create());
    let mut messages = first.connect();
    place(&mut messages, 1..=3);
    let mut bus = MessageBus::new(messages, state.connect());
    let mut failing = parking::<Orders, _>("all", |message| message.position().get() == 2);
    assert_eq!(failing.handle_new_messages(&mut bus).unwrap(), 2);

    let restored = D::create();
    let mut messages = restored.connect();
    place(&mut messages, 101..=103);
    let mut bus = MessageBus::new(messages, state.connect());
    let seen = Handled::default();
    let mut consumer = recording::<Orders>("all", &seen);
    consumer.accept_source(&mut bus).unwrap();
    assert_eq!(bus.redrive(ALL, ParkedSelector::All).unwrap(), 1);
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(handled(&seen), []);
    assert_eq!(bus.count_parked(ALL).unwrap(), 1);
}

pub fn a_source_of_another_name_is_refused<D: Database>() {
    let (first, state) = (D::create(), D::create());
    place(&mut first.connect(), 1..=3);
    let bus = |name| MessageBus::new(first.connect(), state.connect()).source(name);
    let mut consumer = ignoring::<Orders>("all");
    assert_eq!(consumer.handle_new_messages(&mut bus("shop")).unwrap(), 3);
    let error = assert_broken(consumer.handle_new_messages(&mut bus("mall")));
    let text = error.to_string();
    assert!(
        text.contains("\"shop\"") && text.contains("\"mall\""),
        "{text}"
    );
    let mut unnamed = MessageBus::new(first.connect(), state.connect());
    assert_broken(consumer.handle_new_messages(&mut unnamed));
    consumer.accept_source(&mut bus("mall")).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus("mall")).unwrap(), 0);
}
