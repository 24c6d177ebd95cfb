//! Derives of [`persisting-message-bus`](https://docs.rs/persisting-message-bus), which re-exports
//! them: depend on that crate instead of this one.

mod ast;
mod attributes;
mod errors;
mod expand;
mod validate;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a topic of an enum: a closed set of messages under one name.
///
/// Each variant holds one message struct, or a `Box` of it, that implements serde's `Serialize` and
/// `Deserialize`. The struct is what is serialised; the variant decides its *message type*, the
/// stable name under which it is stored.
///
/// On the enum, `#[topic(...)]` takes
///
/// - `name = "orders"`: the name of the topic, at most 255 characters. Required.
/// - `crate = path::to::persisting_message_bus`: where the library is, for those who re-export it.
///
/// On a variant, `#[message(...)]` takes
///
/// - `name = "OrderShipped"`: the message type, at most 255 characters; the variant's name without
///   this.
/// - `alias = "OrderSent"`: a message type under which such messages were stored before; may be
///   repeated.
/// - `version = 3`: the version of the struct's wire form; 1 without this. It is stored with each
///   message.
/// - `previous(1 = v1::OrderPlaced, 2 = v2::OrderPlaced)`: how each version before was written. A
///   stored message is read as the struct of its version, which becomes the next one by `From`, and
///   so on. `1 = json(upcast)` reads it as JSON instead, of which `fn upcast(Value) -> Result<Value,
///   E>` makes the JSON of the next version.
/// - `unknown`, alone: the variant, which holds a `RawMessage` (or a `Box` of it), gets the messages
///   that the enum does not know: of other types, or of versions newer than the code. A topic's
///   enum with this variant cannot be dispatched itself, only its message structs can.
///
/// It implements `Topic`, `EventSet` and `MessageOf` for the enum, and for each message `MessageOf`,
/// `Into` the enum and `TryFrom` the enum, whose error is the enum.
#[proc_macro_derive(Topic, attributes(topic, message))]
pub fn derive_topic(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::topic(&input).into()
}

/// Makes an event set of an enum: the messages of a topic that one consumer wants to see.
///
/// Each variant holds one of the topic's message structs, or a `Box` of it; the compiler checks
/// that it is one. The variants' names are free: names, aliases and versions are the topic's.
///
/// On the enum, `#[event_set(...)]` takes
///
/// - `topic = Orders`: the topic's enum. Required, unless each variant has its own.
/// - `crate = path::to::persisting_message_bus`: where the library is, for those who re-export it.
///
/// On a variant, `#[event_set(topic = Payments)]` says that its message is of another topic. A
/// consumer of several topics has a cursor on each, and gets the messages in the order of their
/// positions.
///
/// `#[message(unknown)]` on a variant that holds a `RawMessage` makes it the one for messages that
/// the topics do not know, as in a topic.
///
/// It implements `EventSet` for the enum.
#[proc_macro_derive(EventSet, attributes(event_set, message))]
pub fn derive_event_set(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::event_set(&input).into()
}
