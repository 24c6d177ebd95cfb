// Attributes and documentation of the enum and its variants are the user's own.
#![deny(missing_docs)]
#![deny(warnings)]
//! A crate.

use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

/// A message from another module, public or not.
mod messages {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct OrderPlaced<'a> {
        pub(super) note: std::borrow::Cow<'a, str>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct r#Type {
        pub(super) order_id: Option<u32>,
    }
}

/// A topic inside a function, with raw names, attributes and discriminants.
fn main() {
    #[derive(Debug, Clone, PartialEq, Topic)]
    #[topic(name = "orders")]
    #[non_exhaustive]
    enum Orders {
        #[cfg(all())]
        OrderPlaced(messages::OrderPlaced<'static>),
        r#Type(Box<messages::r#Type>),
    }

    let order = Orders::from(messages::r#Type { order_id: Some(1) });
    assert_eq!(persisting_message_bus::EventSet::message_type(&order), "Type");
    let placed = messages::OrderPlaced { note: "".into() };
    assert_ne!(order.clone(), Orders::from(placed));
}
