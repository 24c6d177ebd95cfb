use persisting_message_bus::operate::{ConsumerKey, stop_wanting};
use persisting_message_bus::{
    EventSet, Message, MessageConsumer, MessageDispatcher, OnUnknown, StartAt,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{
    Closed, Ledger, Orders, Paid, Payments, ShippedOrUnknown,
};

use crate::helpers::{
    ALL, Handled, MAILER, assert_conflict, assert_unknown, handled, ignoring, of_type, positions,
    publish_one_of_each, recording, run, with_one_of_each,
};
use crate::{Placed, Shipped};

pub fn no_consumer_passes_what_another_of_its_name_wants<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for _ in 0..5 {
        publish_one_of_each(&mut bus);
    }
    assert_eq!(run::<Placed>(&mut bus, "mailer").unwrap(), 5);
    let error = assert_conflict(run::<Shipped>(&mut bus, "mailer"));
    assert_eq!(error.consumer(), Some("mailer"));
    let text = error.to_string();
    assert!(
        text.contains("OrderShipped") && text.contains("OrderPlaced"),
        "{text}"
    );
    assert!(error.hint().is_some());
    let count = |_: &mut D::Bus, _: &Message<Shipped>| Ok(());
    let mut transactional = MessageConsumer::<Shipped>::transactional("mailer", count);
    assert_conflict(transactional.handle_new_messages(&mut bus));
    assert_eq!(run::<Shipped>(&mut bus, "shipper").unwrap(), 5);
}

#[derive(Debug, EventSet)]
#[event_set(topic = Orders)]
#[allow(dead_code)]
enum PlacedAndShipped {
    OrderPlaced(persisting_message_bus_tests::topics::OrderPlaced),
    Shipped(persisting_message_bus_tests::topics::OrderShipped),
}

pub fn a_consumer_that_exchanges_types_is_refused<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    assert_eq!(run::<Closed>(&mut bus, "mailer").unwrap(), 2);
    let mut other = ignoring::<PlacedAndShipped>("mailer");
    assert_conflict(other.handle_new_messages(&mut bus));
    assert_conflict(other.reset(&mut bus, StartAt::Start));
}

pub fn an_older_program_stops_before_what_only_the_newer_one_wants<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    let seen = Handled::default();
    let mut newer = recording::<Closed>("mailer", &seen);
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 2);
    handled(&seen);

    for _ in 0..2 {
        publish_one_of_each(&mut bus);
    }
    let mut older = recording::<Shipped>("mailer", &seen);
    assert_unknown(older.handle_new_messages(&mut bus));
    assert_eq!(handled(&seen), [of_type(5, "OrderShipped")]);
    for _ in 0..2 {
        assert_unknown(older.handle_new_messages(&mut bus));
    }
    assert_eq!(handled(&seen), []);
    assert_eq!(newer.handle_page(&mut bus).unwrap(), 3);
    let rest = [(6, "Cancelled"), (8, "OrderShipped"), (9, "Cancelled")];
    assert_eq!(handled(&seen), rest.map(|(at, name)| of_type(at, name)));
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 0);
}

pub fn an_older_program_skips_or_receives_nothing_that_only_the_newer_one_wants<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    for name in ["skips", "tolerates"] {
        let mut newer = ignoring::<Orders>(name);
        assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 3);
    }
    publish_one_of_each(&mut bus);
    let seen = Handled::default();
    let mut skips = recording::<Shipped>("skips", &seen).on_unknown(OnUnknown::Skip);
    assert_unknown(skips.handle_new_messages(&mut bus));
    assert_eq!(skips.skipped_messages(), 0);
    let mut tolerates = recording::<ShippedOrUnknown>("tolerates", &seen);
    assert_unknown(tolerates.handle_new_messages(&mut bus));
    assert_eq!(handled(&seen), []);
}

pub fn an_older_program_stops_before_a_topic_that_only_the_newer_one_reads<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    let seen = Handled::default();
    let mut newer = recording::<Ledger>("mailer", &seen);
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 2);
    handled(&seen);

    publish_one_of_each(&mut bus);
    MessageDispatcher::<Payments>::new()
        .dispatch(&mut bus, &Paid { order: 1 })
        .unwrap();
    publish_one_of_each(&mut bus);
    let mut older = recording::<Closed>("mailer", &seen);
    assert_unknown(older.handle_new_messages(&mut bus));
    assert_eq!(positions(&seen), [5, 6]);
    assert_unknown(older.handle_new_messages(&mut bus));
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 3);
    assert_eq!(positions(&seen), [7, 9, 10]);
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 0);
}

pub fn a_type_that_is_not_wanted_any_more_is_passed<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    run::<Closed>(&mut bus, "mailer").unwrap();
    publish_one_of_each(&mut bus);
    publish_one_of_each(&mut bus);
    let mut older = ignoring::<Shipped>("mailer");
    assert_unknown(older.handle_new_messages(&mut bus));
    assert!(!stop_wanting(&mut bus, MAILER, "OrderPlaced").unwrap());
    assert!(stop_wanting(&mut bus, MAILER, "Cancelled").unwrap());
    assert!(!stop_wanting(&mut bus, MAILER, "Cancelled").unwrap());
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 1);
    // The newer program must say again what happens to that type.
    assert_conflict(run::<Closed>(&mut bus, "mailer"));
    let unknown = ConsumerKey {
        consumer: "unknown",
        ..MAILER
    };
    assert!(!stop_wanting(&mut bus, unknown, "Cancelled").unwrap());
}

/// The topic `orders` in a newer program: one type more, and one retired.
mod newer {
    use persisting_message_bus::backend::RawMessage;
    use persisting_message_bus::{EventSet, Topic};
    use persisting_message_bus_tests::topics::{OrderPlaced, OrderShipped};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Returned {}

    #[derive(Debug, Topic)]
    #[topic(name = "orders", retired = "Cancelled")]
    #[allow(dead_code)]
    pub enum Orders {
        OrderPlaced(OrderPlaced),
        #[message(name = "OrderShipped", alias = "OrderSent")]
        Shipped(OrderShipped),
        Returned(Returned),
    }

    #[derive(Debug, EventSet)]
    #[event_set(topic = Orders)]
    #[allow(dead_code)]
    pub enum ShippedOrUnknown {
        Shipped(OrderShipped),
        #[message(unknown)]
        Unknown(RawMessage),
    }
}

pub fn a_topic_that_changes_leaves_an_event_set_with_unknown_messages_the_same<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    let mut older = ignoring::<ShippedOrUnknown>("mailer");
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 1);
    publish_one_of_each(&mut bus);
    let returned = newer::Returned {};
    MessageDispatcher::<newer::Orders>::new()
        .dispatch(&mut bus, &returned)
        .unwrap();
    let mut newer = ignoring::<newer::ShippedOrUnknown>("mailer");
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 1);
    MessageDispatcher::<newer::Orders>::new()
        .dispatch(&mut bus, &returned)
        .unwrap();
    // To the older program, that type is an unknown one.
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 1);
}

pub fn a_whole_topic_wants_more_than_an_event_set<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    assert_eq!(run::<Closed>(&mut bus, "mailer").unwrap(), 2);
    assert_conflict(run::<Orders>(&mut bus, "mailer"));

    assert_eq!(run::<Orders>(&mut bus, "all").unwrap(), 3);
    publish_one_of_each(&mut bus);
    let mut narrower = ignoring::<Closed>("all");
    assert_unknown(narrower.handle_new_messages(&mut bus));
    assert!(stop_wanting(&mut bus, ALL, "OrderPlaced").unwrap());
    assert_eq!(narrower.handle_new_messages(&mut bus).unwrap(), 2);
}

pub fn a_reset_takes_the_event_set_as_it_is<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    run::<Shipped>(&mut bus, "mailer").unwrap();
    let mut newer = ignoring::<Closed>("mailer");
    assert_conflict(newer.handle_new_messages(&mut bus));
    newer.reset(&mut bus, StartAt::Start).unwrap();
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 2);
    // A reset by an older program does not forget what the newer one wants.
    let mut older = ignoring::<Shipped>("mailer");
    older.reset(&mut bus, StartAt::Start).unwrap();
    assert_unknown(older.handle_new_messages(&mut bus));
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 1);
}
