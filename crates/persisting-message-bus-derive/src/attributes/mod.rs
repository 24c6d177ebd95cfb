//! The attributes `#[topic(...)]`, `#[event_set(...)]` and `#[message(...)]`.

mod item;
mod key;
mod list;
mod on_enum;
mod on_variant;
mod previous;

pub(crate) use key::Key;
pub(crate) use on_enum::{EnumAttributes, crate_of_key};
pub(crate) use on_variant::MessageAttributes;
pub(crate) use previous::{Form, Previous};
