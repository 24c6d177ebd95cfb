// The generated code must not care what names mean where it lands.

#[allow(dead_code, non_camel_case_types)]
mod shadows {
    pub struct Result;
    pub struct Option;
    pub struct String;
    pub struct Vec;
    pub struct Ok;
    pub struct Err;
    pub struct Some;
    pub struct None;
    pub struct From;
    pub struct Into;
    pub struct Default;
    pub struct Sized;
    pub struct Topic;
    pub struct EventSet;
    pub struct MessageOf;
    pub struct str;
    pub struct usize;
    pub mod core {}
    pub mod std {}
    pub mod persisting_message_bus {}
    pub mod serde {}
}

mod messages {
    #[derive(::serde::Serialize, ::serde::Deserialize)]
    pub struct OrderPlaced {}

    #[derive(::serde::Serialize, ::serde::Deserialize)]
    pub struct OrderShipped {}
}

mod topics {
    #[allow(unused_imports)]
    use super::shadows::*;

    #[derive(::persisting_message_bus::Topic)]
    #[topic(name = "orders")]
    pub enum Orders {
        OrderPlaced(super::messages::OrderPlaced),
        #[message(alias = "Sent", alias = "Shipped")]
        OrderShipped(::std::boxed::Box<super::messages::OrderShipped>),
    }

    #[derive(::persisting_message_bus::EventSet)]
    #[event_set(topic = Orders)]
    pub enum Shipped {
        OrderShipped(super::messages::OrderShipped),
    }
}

fn main() {
    let _ = topics::Orders::from(messages::OrderPlaced {});
    let _ = topics::Orders::from(messages::OrderShipped {});
    let _ = <topics::Shipped as ::persisting_message_bus::EventSet>::SELECTIONS;
}
