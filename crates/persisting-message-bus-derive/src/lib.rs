//! The derives of [`persisting-message-bus`](https://docs.rs/persisting-message-bus), which
//! re-exports them. Depend on that crate instead of this one.

mod ast;
mod attributes;
mod errors;
mod expand;
mod input;
mod kind;
mod message_key;
mod other_kind;
mod payload;
mod validate;

use proc_macro::TokenStream;

use crate::expand::expand;
use crate::kind::Kind;

/// Derives a topic from an enum: a closed set of messages under one name.
///
/// Each variant holds one message struct, or a `Box` of it, that implements serde's `Serialize` and
/// `Deserialize`. Only the struct is serialised. The variant determines the *message type*, the
/// stable name under which the message is stored.
///
/// Each variant needs a struct of its own. The derive compares the types as they are written, so an
/// alias of a struct that another variant holds causes errors of conflicting implementations.
///
/// A message is read back from the database, so it owns its content: `String` or `Cow<'static, str>`
/// without `#[serde(borrow)]`, not `&str`. If a struct has a lifetime, write `'static` for it.
///
/// A type of your own that is written as `Box`, or as a path that ends in `boxed::Box`, is taken for
/// the standard library's. Write another path to it. A `Box` of `str`, of a slice, or of
/// `std::path::Path`, `std::ffi::OsStr` or `std::ffi::CStr` is a message itself.
///
/// `Self` is the enum, in types and in attributes.
///
/// On the enum, `#[topic(...)]` takes
///
/// - `name = "orders"`: the name of the topic, at most 255 characters. Required. Names cannot have
///   control characters or invisible format characters.
/// - `key = order_id`: the field that has the key of each message, such as the id of the order that it
///   belongs to. `key = order.id` is a field of a field, and `key = fn key_of` a function that takes a
///   reference to the message and returns the key. The type of the key implements `MessageKey`. An
///   `Option` of it is `None` for a message without a key. All keys of the topic have one type. Write
///   it as `key = order_id: OrderId` if an event set takes messages of several topics by key, because
///   a derive cannot see the types of fields.
/// - `retired = "CouponUsed"`: a message type that the topic once had, and that no program
///   dispatches any more. Consumers do not select stored messages of that type. It can be repeated.
///   No variant can have that name or alias.
/// - `crate = path::to::persisting_message_bus`: the path of the library, for crates that re-export
///   the whole library, or rename it in `Cargo.toml`. With
///   `bus = { package = "persisting-message-bus", ... }`, write `crate = bus`. Default:
///   `::persisting_message_bus`.
///
/// On a variant, `#[message(...)]` takes
///
/// - `name = "OrderShipped"`: the message type, at most 255 characters. Default: the variant's
///   name.
/// - `alias = "OrderSent"`: an earlier message type under which such messages were stored. It can
///   be repeated.
/// - `version = 3`: the version of the struct's wire form, which is stored with each message.
///   Default: 1.
/// - `previous(1 = v1::OrderPlaced, 2 = v2::OrderPlaced)`: the form of each previous version. A
///   stored message is read as the struct of its version. `From` converts that struct into the
///   struct of the next version, and so on. `1 = json(upcast)` reads the message as JSON instead;
///   `fn upcast(Value) -> Result<Value, E>` converts it into the JSON of the next version.
/// - `key = id`: the field or function that has the key of this message, in place of the topic's.
/// - `unknown`, alone: the variant for messages that the enum does not know. It holds a
///   `RawMessage`, or a `Box` of it. It receives messages of other types, and messages of versions
///   that are newer than the code, but no messages of retired types. An enum with such a variant
///   cannot be dispatched itself; its message structs can.
///
/// The derive implements `Topic`, `EventSet` and `MessageOf` for the enum, so a topic does not derive
/// `EventSet`. For each message, it implements `MessageOf`, `Into` the enum, and `TryFrom` the enum,
/// whose error is the enum. A topic with a key is `Keyed`.
///
/// Deprecated structs and functions cause the compiler's warning. To allow them, write
/// `#[allow(deprecated)]` on the enum or on the variant.
#[proc_macro_derive(Topic, attributes(topic, message, event_set))]
pub fn derive_topic(input: TokenStream) -> TokenStream {
    expand(input.into(), Kind::Topic).into()
}

/// Derives an event set from an enum: the messages of a topic that one consumer receives.
///
/// Each variant holds one of the topic's message structs, or a `Box` of it. The compiler checks
/// that the struct belongs to the topic. The names of the variants are free, because names, aliases
/// and versions belong to the topic. `Box` and `Self` mean the same as in a topic.
///
/// On the enum, `#[event_set(...)]` takes
///
/// - `topic = Orders`: the topic's enum. Required, unless each variant has its own topic.
/// - `crate = path::to::persisting_message_bus`: the path of the library, for crates that re-export
///   the whole library, or rename it in `Cargo.toml`. With
///   `bus = { package = "persisting-message-bus", ... }`, write `crate = bus`. Default:
///   `::persisting_message_bus`.
///
/// On a variant, `#[event_set(topic = Payments)]` takes the message from another topic. A consumer
/// of several topics has a cursor on each, and receives the messages in the order of their
/// positions.
///
/// `#[message(unknown)]` marks the variant for messages that the topics do not know, as in a topic.
/// The variant holds a `RawMessage`. It receives no messages of retired types.
///
/// The derive implements `EventSet` for the enum. If all its topics have keys of the same type, the
/// enum is `Keyed`. For several topics, each of them must write that type:
/// `#[topic(name = "orders", key = order_id: OrderId)]`.
#[proc_macro_derive(EventSet, attributes(event_set, message, topic))]
pub fn derive_event_set(input: TokenStream) -> TokenStream {
    expand(input.into(), Kind::EventSet).into()
}

/// Derives `MessageKey` for a struct with one field: its key is that of the field.
///
/// `#[message_key(crate = path::to::persisting_message_bus)]` sets the path of the library, for crates
/// that re-export the whole library, or rename it in `Cargo.toml`. Default:
/// `::persisting_message_bus`.
#[proc_macro_derive(MessageKey, attributes(message_key))]
pub fn derive_message_key(input: TokenStream) -> TokenStream {
    message_key::expand(input.into()).into()
}
