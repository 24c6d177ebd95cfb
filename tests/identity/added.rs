use std::ops::ControlFlow;
use std::time::Duration;

use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState, MessageSource, Place};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{
    ConsumerCondition, ConsumerStatus, FailureState, MessageFailures, ParkedSelector, stop_wanting,
};
use persisting_message_bus::{
    Message, MessageBus, MessageConsumer, MessageDispatcher, OnAdded, OnUnknown, Position, StartAt,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Closed, Ledger, Paid, Payments};

use crate::Shipped;
use crate::helpers::{
    Handled, Handling, MAILER, assert_conflict, assert_unknown, ignoring, parking, place,
    positions, publish_one_of_each, recording, run, with_one_of_each,
};
use crate::sources::{Exchanged, Without};

/// Publishes three orders of each kind; a consumer of shipped orders has handled two of them.
fn after_two<D: Database>() -> (D, D::Bus) {
    let (database, mut bus) = with_one_of_each::<D>();
    publish_one_of_each(&mut bus);
    assert_eq!(run::<Shipped>(&mut bus, "mailer").unwrap(), 2);
    publish_one_of_each(&mut bus);
    (database, bus)
}

/// Returns a consumer that has replayed one message of a type that was added.
fn replaying<B: MessageSource + MessageConsumerState>(
    bus: &mut B,
    seen: &Handled,
) -> Handling<Closed, impl FnMut(&Message<Closed>) -> Result<(), HandlerError> + use<B>> {
    let mut grown = recording::<Closed>("mailer", seen)
        .on_added(OnAdded::Replay)
        .page_size(1);
    assert_eq!(grown.handle_page(bus).unwrap(), 1);
    grown
}

pub fn a_grown_event_set_is_an_error_without_a_word_about_it<D: Database>() {
    let (_database, mut bus) = after_two::<D>();
    let error = assert_conflict(run::<Closed>(&mut bus, "mailer"));
    assert!(
        error.hint().is_some_and(|hint| hint.contains("on_added")),
        "{error:#}"
    );
    assert_conflict(run::<Ledger>(&mut bus, "mailer"));
}

pub fn added_types_are_handled_from_now_on<D: Database>() {
    let (_database, mut bus) = after_two::<D>();
    let seen = Handled::default();
    let mut grown = recording::<Closed>("mailer", &seen).on_added(OnAdded::FromNow);
    assert_eq!(grown.handle_new_messages(&mut bus).unwrap(), 2);
    assert_eq!(positions(&seen), [8, 9]);
    // The row stores this, so the next start needs no word about it.
    publish_one_of_each(&mut bus);
    let mut next = recording::<Closed>("mailer", &seen);
    assert_eq!(next.handle_new_messages(&mut bus).unwrap(), 2);
    assert_eq!(positions(&seen), [11, 12]);
}

pub fn added_types_are_replayed_alone<D: Database>() {
    for page_size in [500, 1] {
        let (_database, mut bus) = after_two::<D>();
        let seen = Handled::default();
        let mut grown = recording::<Closed>("mailer", &seen)
            .on_added(OnAdded::Replay)
            .page_size(page_size);
        assert_eq!(grown.handle_new_messages(&mut bus).unwrap(), 4);
        assert_eq!(positions(&seen), [3, 6, 8, 9]);
        publish_one_of_each(&mut bus);
        assert_eq!(run::<Closed>(&mut bus, "mailer").unwrap(), 2);
    }
}

pub fn an_event_set_grows_although_there_are_no_new_messages<D: Database>() {
    for (on_added, expected) in [(OnAdded::FromNow, vec![]), (OnAdded::Replay, vec![3, 6])] {
        let (_database, mut bus) = with_one_of_each::<D>();
        publish_one_of_each(&mut bus);
        run::<Closed>(&mut bus, "other").unwrap();
        run::<Shipped>(&mut bus, "mailer").unwrap();
        let seen = Handled::default();
        let mut grown = recording::<Closed>("mailer", &seen).on_added(on_added);
        grown.handle_new_messages(&mut bus).unwrap();
        assert_eq!(positions(&seen), expected, "{on_added:?}");
        // An older program stops before the added type from now on.
        publish_one_of_each(&mut bus);
        assert_unknown(run::<Shipped>(&mut bus, "mailer"));
    }
}

pub fn an_added_topic_begins_now_or_at_its_start<D: Database>() {
    let cases = [
        (OnAdded::FromNow, vec![8, 9, 12]),
        (OnAdded::Replay, vec![3, 6, 10, 8, 9, 12]),
    ];
    for (on_added, mut expected) in cases {
        let (_database, mut bus) = after_two::<D>();
        let payments = MessageDispatcher::<Payments>::new();
        payments.dispatch(&mut bus, &Paid { order: 10 }).unwrap();
        let seen = Handled::default();
        let mut grown = recording::<Ledger>("mailer", &seen).on_added(on_added);
        grown.handle_new_messages(&mut bus).unwrap();
        place(&mut bus, 11..=11);
        payments.dispatch(&mut bus, &Paid { order: 12 }).unwrap();
        grown.handle_new_messages(&mut bus).unwrap();
        let mut positions = positions(&seen);
        if on_added == OnAdded::Replay {
            // Each topic is in order.
            assert_eq!(positions[..2], [3, 6]);
            positions.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(positions, expected, "{on_added:?}");
    }
}

/// Writes each state in which a process can die while it adds types.
pub fn an_interrupted_growth_loses_and_doubles_nothing<D: Database>() {
    for steps in 0..4 {
        let (_database, mut bus) = after_two::<D>();
        let mut text = bus
            .stored_consumer(MAILER)
            .unwrap()
            .unwrap()
            .identity
            .event_set;
        let own = r#"{"topics":{"orders":{"only":["Cancelled","OrderSent","OrderShipped"]}}"#;
        let backfill = |has_begun| {
            format!(
                r#"{own},"backfill":{{"types":{{"only":["Cancelled"]}},"until":6,"has_begun":{has_begun}}}}}"#
            )
        };
        let mut replace = |bus: &mut D::Bus, after: String| {
            let before = text.replace(after.clone()).unwrap();
            assert!(bus.replace_event_set(MAILER, &before, &after).unwrap());
        };
        if steps > 0 {
            replace(&mut bus, backfill(false));
        }
        if steps > 1 {
            move_to_start(&mut bus);
        }
        if steps > 2 {
            replace(&mut bus, backfill(true));
        }
        let seen = Handled::default();
        let mut grown = recording::<Closed>("mailer", &seen).on_added(OnAdded::Replay);
        while grown.handle_page(&mut bus).unwrap() > 0 {}
        assert_eq!(positions(&seen), [3, 6, 8, 9], "after {steps} steps");
    }
}

fn move_to_start(bus: &mut impl MessageConsumerState) {
    let lease = bus.acquire(&LeaseRequest {
        consumer: MAILER.consumer,
        topic: MAILER.topic,
        segment: None,
        owner: "a process that dies",
        duration: Duration::from_secs(10),
        identity: Default::default(),
        hands_out: false,
    });
    let update = persisting_message_bus::backend::CursorUpdate {
        place: Place::BEFORE_ALL,
        extend_lease: None,
    };
    bus.store_cursor(&lease.unwrap(), &update).unwrap();
}

pub fn an_older_program_waits_while_added_types_are_replayed<D: Database>() {
    let (_database, mut bus) = after_two::<D>();
    let seen = Handled::default();
    let mut grown = replaying(&mut bus, &seen);
    let mut older = recording::<Shipped>("mailer", &seen);
    assert_unknown(older.handle_new_messages(&mut bus));
    assert_eq!(positions(&seen), [3]);
    grown.handle_new_messages(&mut bus).unwrap();
    assert_eq!(positions(&seen), [6, 8, 9]);
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 0);
}

pub fn a_replay_ends_although_its_messages_were_pruned<D: Database>() {
    let (database, bus) = after_two::<D>();
    let pruned = Without {
        all: database.connect(),
        deleted: (1, 6),
    };
    let mut bus = MessageBus::new(pruned, bus);
    let seen = Handled::default();
    let mut grown = recording::<Closed>("mailer", &seen).on_added(OnAdded::Replay);
    assert_eq!(grown.handle_new_messages(&mut bus).unwrap(), 2);
    assert_eq!(positions(&seen), [8, 9]);
}

pub fn a_type_that_is_not_wanted_any_more_is_not_replayed<D: Database>() {
    let (_database, mut bus) = after_two::<D>();
    let seen = Handled::default();
    let _grown = replaying(&mut bus, &seen);
    assert!(stop_wanting(&mut bus, MAILER, "Cancelled").unwrap());
    let mut older = recording::<Shipped>("mailer", &seen);
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(positions(&seen), [3, 8]);
}

pub fn a_source_that_was_replaced_before_or_during_a_replay_is_noticed<D: Database>() {
    for pages in [0, 1] {
        let (database, bus) = after_two::<D>();
        let mut bus = MessageBus::new(database.connect(), bus);
        let mut grown = ignoring::<Closed>("mailer")
            .on_added(OnAdded::Replay)
            .page_size(1);
        for _ in 0..pages {
            assert_eq!(grown.handle_page(&mut bus).unwrap(), 1);
        }
        // The message at the former cursor is another one. The replay itself sees no difference.
        let exchanged = Exchanged {
            all: database.connect(),
            position: Position::new(6),
        };
        let mut bus = MessageBus::new(exchanged, bus.state);
        let error = grown.handle_new_messages(&mut bus).unwrap_err();
        assert!(error.is_broken_cursor(), "after {pages} pages: {error:#}");
    }
}

pub fn redriven_messages_are_handled_during_a_replay<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    publish_one_of_each(&mut bus);
    let mut small = parking::<Shipped, _>("mailer", |_| true);
    assert_eq!(small.handle_new_messages(&mut bus).unwrap(), 0);
    let seen = Handled::default();
    let mut grown = replaying(&mut bus, &seen);
    assert_eq!(bus.redrive(MAILER, ParkedSelector::All).unwrap(), 2);
    grown.handle_new_messages(&mut bus).unwrap();
    let mut positions = positions(&seen);
    positions.sort_unstable();
    assert_eq!(positions, [2, 3, 5, 6]);
}

pub fn an_older_program_that_skips_leaves_redriven_messages_to_the_newer<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    let refuses = |message: &Message<Closed>| message.message_type() == "Cancelled";
    let mut newer = parking::<Closed, _>("mailer", refuses);
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(bus.redrive(MAILER, ParkedSelector::All).unwrap(), 1);
    let mut older = ignoring::<Shipped>("mailer").on_unknown(OnUnknown::Skip);
    older.handle_new_messages(&mut bus).unwrap();
    let waiting = bus.count_failed(MAILER, FailureState::Redriven).unwrap();
    let parked = bus.count_parked(MAILER).unwrap();
    assert_eq!(waiting + parked, 1, "it was deleted");
}

pub fn replayed_messages_of_added_types_are_no_replays_and_overcome_failures_no_condition<
    D: Database,
>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    publish_one_of_each(&mut bus);
    let mut failures = 1;
    let mut small = MessageConsumer::<Shipped>::external("mailer", |message: &Message<Shipped>| {
        if message.position().get() == 5 && failures > 0 {
            failures -= 1;
            return Err("not now".into());
        }
        Ok(())
    });
    small.handle_new_messages(&mut bus).unwrap_err();
    assert_eq!(small.handle_new_messages(&mut bus).unwrap(), 1);
    small.reset(&mut bus, StartAt::Start).unwrap();
    assert_eq!(small.handle_new_messages(&mut bus).unwrap(), 2);
    drop(small);

    let mut replays = 0;
    let mut grown = MessageConsumer::<Closed>::external("mailer", |message: &Message<Closed>| {
        replays += u32::from(message.is_replay());
        Ok(())
    })
    .on_added(OnAdded::Replay)
    .page_size(1);
    assert_eq!(grown.handle_page(&mut bus).unwrap(), 1);
    let status = ConsumerStatus::read(&mut bus, MAILER).unwrap();
    assert_eq!((status.failure, status.problem), (None, None));
    assert_eq!(status.condition, ConsumerCondition::Lagging);
    assert_eq!(grown.handle_new_messages(&mut bus).unwrap(), 1);
    drop(grown);
    assert_eq!(replays, 0);
}

pub fn types_added_before_the_first_message_need_no_word<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 1..=1);
    let hook = || Err("not yet".into());
    let mut small = ignoring::<Shipped>("mailer").before_replay(hook);
    publish_one_of_each(&mut bus);
    small.handle_new_messages(&mut bus).unwrap_err();
    assert_eq!(run::<Closed>(&mut bus, "mailer").unwrap(), 2);
    assert_eq!(last(&mut bus), 4);
}

fn last(bus: &mut impl MessageSource) -> i64 {
    let mut last = 0;
    let request = persisting_message_bus::backend::PageRequest {
        topic: "orders",
        part: persisting_message_bus::backend::Part::Whole,
        message_types: persisting_message_bus::backend::TypeFilter::All,
        after: persisting_message_bus::Position::START,
        up_to: persisting_message_bus::Position::new(i64::MAX),
        limit: 100,
    };
    bus.read_page(&request, &mut |stored| {
        last = stored.position.get();
        ControlFlow::Continue(())
    })
    .unwrap();
    last
}
