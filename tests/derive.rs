//! The code that the derives generate.

use std::str::FromStr;

use chrono::Utc;
use persisting_message_bus::backend::{
    MessageDescriptor, MessageOf, StoredMessage, TopicDescriptor, WantedMessages,
};
use persisting_message_bus::{__private, EventSet, Position, Topic, topics};
use persisting_message_bus_tests::topics::invoices::Invoices;
use persisting_message_bus_tests::topics::{
    Closed, OrderCancelled, OrderPlaced, OrderShipped, Orders, Payments, retired,
};
use uuid::Uuid;

fn stored<'a>(message_type: &'a str, payload: &'a str) -> StoredMessage<'a> {
    StoredMessage {
        position: Position::new(42),
        message_id: Uuid::from_str("0197a5c2-0000-7000-8000-000000000001").unwrap(),
        topic: "orders",
        message_type,
        message_version: 1,
        payload,
        headers: "{}",
        published_at: Utc::now(),
    }
}

#[test]
fn a_topic_lists_its_messages_in_the_order_of_the_variants() {
    let message = |name, aliases| MessageDescriptor {
        key: None,
        name,
        aliases,
        version: 1,
    };
    assert_eq!(Orders::NAME, "orders");
    assert_eq!(
        Orders::MESSAGES,
        [
            message("OrderPlaced", &[]),
            message("OrderShipped", &["OrderSent"]),
            message("Cancelled", &[]),
        ]
    );
}

#[test]
fn names_and_aliases_are_found() {
    assert_eq!(Orders::index_of("OrderPlaced"), Some(0));
    assert_eq!(Orders::index_of("OrderShipped"), Some(1));
    assert_eq!(Orders::index_of("OrderSent"), Some(1));
    for unknown in ["Shipped", "orderplaced", "OrderPlaced ", ""] {
        assert_eq!(Orders::index_of(unknown), None);
    }
}

#[test]
fn every_message_goes_out_and_comes_back() {
    let placed = OrderPlaced::number(7);
    let shipped = OrderShipped { order: 8 };
    let cancelled = OrderCancelled {
        order: 9,
        reason: Some("lost".to_owned()),
    };
    let messages: [Orders; 3] = [placed.into(), shipped.into(), cancelled.into()];
    for (message, descriptor) in messages.into_iter().zip(Orders::MESSAGES) {
        assert_eq!(message.descriptor(), descriptor);
        assert_eq!(message.message_type(), descriptor.name);
        let payload = message.to_payload().unwrap();
        for name in descriptor.aliases.iter().chain([&descriptor.name]) {
            assert_eq!(Orders::decode(&stored(name, &payload)).unwrap(), message);
        }
    }
}

#[test]
fn the_payload_is_the_struct_and_nothing_around_it() {
    let shipped = OrderShipped { order: 8 };
    assert_eq!(
        MessageOf::<Orders>::to_payload(&shipped).unwrap(),
        r#"{"order":8}"#
    );
    assert_eq!(
        Orders::Shipped(shipped).to_payload().unwrap(),
        r#"{"order":8}"#
    );
}

#[test]
fn an_event_set_selects_by_the_topics_names() {
    let [selection] = Closed::SELECTIONS else {
        panic!("one topic");
    };
    assert_eq!(selection.topic, "orders");
    let WantedMessages::Only(messages) = selection.wanted else {
        panic!("a part of it");
    };
    assert_eq!(messages, [&Orders::MESSAGES[1], &Orders::MESSAGES[2]]);
}

#[test]
fn an_event_set_decodes_its_own_and_refuses_the_rest() {
    let closed = Closed::decode(&stored("OrderSent", r#"{"order":8}"#)).unwrap();
    assert_eq!(closed, Closed::Shipped(OrderShipped { order: 8 }));
    assert_eq!(closed.message_type(), "OrderShipped");
    let error = Closed::decode(&stored("OrderPlaced", "{}")).unwrap_err();
    assert!(error.is_bad_message());
    assert!(error.to_string().contains("event set `Closed`"), "{error}");
}

#[test]
fn an_error_of_decoding_says_where_and_why() {
    let error = Orders::decode(&stored("OrderPlaced", r#"{"order":7}"#)).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "cannot decode the OrderPlaced at position 42 of topic \"orders\" (message id \
         0197a5c2-0000-7000-8000-000000000001); make its struct accept the stored payload; the \
         cursor stays before this message: missing field `note` at line 1 column 11"
    );
    let error = Orders::decode(&stored("OrderLost", "{}")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "topic `Orders` does not know the OrderLost at position 42 of topic \"orders\" (message id \
         0197a5c2-0000-7000-8000-000000000001); add a variant or an alias for \"OrderLost\", or \
         retire that type if no program dispatches it any more; the cursor stays before this \
         message"
    );
}

#[test]
fn a_topic_lists_its_retired_types() {
    assert_eq!(Orders::RETIRED, [""; 0]);
    assert_eq!(retired::Orders::RETIRED, ["CouponUsed", "OrderTeleported"]);
    assert_eq!(retired::Orders::index_of("CouponUsed"), None);
    let descriptor = TopicDescriptor::of::<retired::Orders>();
    assert_eq!(descriptor.retired, retired::Orders::RETIRED);
}

#[test]
fn an_event_set_selects_no_retired_types() {
    for selections in [
        retired::Orders::SELECTIONS,
        retired::TolerantOrders::SELECTIONS,
        retired::ShippedOrUnknown::SELECTIONS,
    ] {
        assert_eq!(selections[0].retired, retired::Orders::RETIRED);
    }
}

#[test]
fn a_retired_type_does_not_decode_and_is_not_unknown() {
    let coupon = stored("CouponUsed", "{}");
    for error in [
        retired::Orders::decode(&coupon).unwrap_err(),
        retired::TolerantOrders::decode(&coupon).unwrap_err(),
        retired::ShippedOrUnknown::decode(&coupon).unwrap_err(),
    ] {
        assert!(error.is_bad_message() && !error.is_unknown_message());
        assert_eq!(error.position(), Some(coupon.position));
        assert_eq!(
            error.to_string(),
            "the type of the CouponUsed at position 42 of topic \"orders\" (message id \
             0197a5c2-0000-7000-8000-000000000001) is retired; to read it, write a variant or an \
             alias instead of `retired = \"CouponUsed\"`; the cursor stays before this message"
        );
    }
    let unknown = retired::TolerantOrders::decode(&stored("OrderLost", "{}")).unwrap();
    assert_eq!(unknown.message_type(), "OrderLost");
}

#[test]
fn a_message_is_taken_out_of_the_topic_again() {
    let placed = OrderPlaced::number(7);
    assert_eq!(
        OrderPlaced::try_from(Orders::from(placed.clone())),
        Ok(placed.clone())
    );
    let other = OrderShipped::try_from(Orders::from(placed.clone()));
    assert_eq!(other, Err(Orders::OrderPlaced(placed)));
    let cancelled = OrderCancelled {
        order: 9,
        reason: None,
    };
    let boxed = Orders::Cancelled(Box::new(cancelled.clone()));
    assert_eq!(OrderCancelled::try_from(boxed), Ok(cancelled));
}

#[test]
fn tools_see_all_topics() {
    const TOPICS: &[TopicDescriptor] = topics![Orders, Payments, Invoices];
    let versions: Vec<_> = TOPICS
        .iter()
        .flat_map(|topic| {
            topic
                .messages
                .iter()
                .map(|message| (topic.name, message.name, message.version))
        })
        .collect();
    assert_eq!(versions[0], ("orders", "OrderPlaced", 1));
    assert_eq!(versions[4], ("invoices", "InvoiceSent", 3));
}

/// The compiler evaluates it. A check of each pair of so many variants would take it too long.
const _: () = {
    const VARIANTS: usize = 4000;
    let mut indices = [0; VARIANTS];
    let mut at = 0;
    while at < VARIANTS {
        indices[at] = VARIANTS - 1 - at;
        at += 1;
    }
    __private::refuse_repeated::<VARIANTS>(&indices);
};

#[test]
#[should_panic(expected = "two variants of this event set hold the same message")]
fn an_event_set_that_holds_a_message_twice_is_refused() {
    __private::refuse_repeated::<4>(&[3, 1, 0, 1]);
}
