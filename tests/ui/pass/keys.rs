// Keys of every form.
#![forbid(warnings)]

use std::borrow::Cow;

use persisting_message_bus::backend::{MessageOf, RawMessage};
use persisting_message_bus::{EventSet, Keyed, MessageKey, Topic};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, MessageKey)]
pub struct OrderId(u64);

#[derive(MessageKey)]
pub struct Named<'a> {
    name: &'a str,
}

#[derive(MessageKey)]
pub struct Generic<K: MessageKey>(K);

#[derive(Serialize, Deserialize)]
pub struct Placed {
    order: OrderId,
}

#[derive(Serialize, Deserialize)]
pub struct Shipped {
    order: Option<OrderId>,
}

#[derive(Serialize, Deserialize)]
pub struct Cancelled(OrderId);

#[derive(Serialize, Deserialize)]
pub struct Returned {
    of: Placed,
}

#[derive(Serialize, Deserialize)]
pub struct Reviewed {}

mod keys {
    use super::*;

    pub fn borrowed(returned: &Returned) -> &OrderId {
        &returned.of.order
    }

    pub fn none(_: &Reviewed) -> Option<OrderId> {
        None
    }
}

#[derive(Topic)]
#[topic(name = "orders", key = order: OrderId)]
pub enum Orders {
    Placed(Placed),
    Shipped(Box<Shipped>),
    #[message(key = 0)]
    Cancelled(Cancelled),
    #[message(key = fn keys::borrowed)]
    Returned(Returned),
    #[message(key = fn keys::none)]
    Reviewed(Reviewed),
}

#[derive(Serialize, Deserialize)]
pub struct Paid {
    for_order: Placed,
}

#[derive(Serialize, Deserialize)]
pub struct Refunded {
    order: OrderId,
}

fn of_refund(refunded: &Refunded) -> Option<&OrderId> {
    Some(&refunded.order)
}

#[derive(Topic)]
#[topic(name = "payments", key = for_order.order: OrderId)]
enum Payments {
    Paid(Paid),
    #[message(key = fn of_refund)]
    Refunded(Refunded),
    #[message(unknown)]
    Unknown(Box<RawMessage>),
}

// The topic is private, and the event set is not.
#[derive(EventSet)]
#[event_set(topic = Orders)]
pub enum Both {
    Placed(Placed),
    #[event_set(topic = Payments)]
    Paid(Paid),
}

#[derive(Serialize, Deserialize)]
struct Opened {
    account: Cow<'static, str>,
}

#[derive(Serialize, Deserialize)]
struct Closed {
    account: Option<Cow<'static, str>>,
}

// The type of the keys is not written.
#[derive(Topic)]
#[topic(name = "accounts", key = account)]
enum Accounts {
    Opened(Opened),
    Closed(Closed),
}

// An event set of topics with other keys has none.
#[derive(EventSet)]
enum All {
    #[event_set(topic = Accounts)]
    Opened(Opened),
    #[event_set(topic = Payments)]
    Paid(Paid),
}

fn by_key<S: Keyed>() {}

fn key<T: Topic>(message: &impl MessageOf<T>) -> Option<String> {
    message.key().map(Cow::into_owned)
}

fn main() {
    by_key::<Orders>();
    by_key::<Payments>();
    by_key::<Both>();
    by_key::<Accounts>();
    let _ = <All as EventSet>::SELECTIONS;
    let (id, seven) = (OrderId(7), Some("7".to_owned()));
    let placed = || Placed { order: id.clone() };
    assert_eq!(key::<Orders>(&placed()), seven);
    assert_eq!(key::<Orders>(&Orders::from(placed())), seven);
    assert_eq!(key::<Orders>(&Shipped { order: None }), None);
    let shipped = Shipped { order: Some(id.clone()) };
    assert_eq!(key(&Orders::from(shipped)), seven);
    assert_eq!(key(&Cancelled(id.clone())), seven);
    assert_eq!(key(&Returned { of: placed() }), seven);
    assert_eq!(key(&Reviewed {}), None);
    assert_eq!(key(&Paid { for_order: placed() }), seven);
    assert_eq!(key(&Refunded { order: id.clone() }), seven);
    assert_eq!(key(&Closed { account: None }), None);
    assert_eq!(key(&Opened { account: "a".into() }), Some("a".to_owned()));
    assert_eq!(Orders::MESSAGES[2].key, Some("0"));
    assert_eq!(Orders::MESSAGES[3].key, Some("fn keys::borrowed"));
    assert_eq!(Payments::MESSAGES[0].key, Some("for_order.order"));
    assert_eq!(Named { name: "a" }.key_text(), "a");
    assert_eq!(Generic(OrderId(7)).key_text(), "7");
}
