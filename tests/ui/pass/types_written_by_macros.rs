// Types that come out of macros, or stand in parentheses, are what they are.

use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
pub struct OrderShipped {}

macro_rules! topic {
    ($name:ident: $($variant:ident => $message:ty),*) => {
        #[derive(Topic)]
        #[topic(name = "orders")]
        enum $name {
            $($variant($message)),*
        }
    };
}

topic!(Orders: OrderPlaced => Box<OrderPlaced>, OrderShipped => OrderShipped);

macro_rules! event_set {
    ($topic:path: $message:ty) => {
        #[derive(EventSet)]
        #[event_set(topic = $topic)]
        enum Placed {
            OrderPlaced($message),
        }
    };
}

event_set!(Orders: Box<OrderPlaced>);

#[derive(Topic)]
#[topic(name = "in parentheses")]
#[allow(unused_parens)]
enum InParentheses {
    OrderPlaced((OrderPlaced)),
    OrderShipped(Box<(OrderShipped)>),
}

fn main() {
    let _ = Orders::from(OrderPlaced {});
    let _ = InParentheses::from(OrderShipped {});
    let _ = <Placed as EventSet>::SELECTIONS;
}
