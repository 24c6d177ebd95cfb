//! The part of `derived.rs` that deals with keys. Not part of the public interface.

use std::borrow::Cow;
use std::marker::PhantomData;

use crate::message::key::{Keyed, MessageKey};

/// A text.
pub type Text<'a> = Cow<'a, str>;

/// The text of a key, or `None`.
pub type KeyText<'a> = Option<Cow<'a, str>>;

/// A message of a topic with a key. Its impls are beside each other, unlike those of `MessageOf`, so
/// that they can share the function that checks all keys.
#[doc(hidden)]
pub trait HasKey<T> {
    /// Returns the text of the message's key.
    fn key_text(&self) -> KeyText<'_>;
}

/// Says which values hold a key of the type `K`. The value is a parameter, because the compiler then
/// reports a value that cannot be a key with the text of [`MessageKey`].
#[derive(Debug)]
pub struct Holders;

/// A value of the type `F` has a key of the type `K`, or has no key.
#[diagnostic::on_unimplemented(
    message = "the keys of this topic are of the type `{K}`, but here is a `{F}`",
    label = "not a `{K}`",
    note = "all keys of a topic have one type, or are an `Option` or a reference of it",
    note = "to convert a key, name a function instead of a field: `#[message(key = fn key_of_order)]`"
)]
#[doc(hidden)]
pub trait HoldsKey<F, K: ?Sized> {
    /// Returns the text of the key.
    fn text(value: &F) -> KeyText<'_>;
}

impl<K: MessageKey> HoldsKey<K, K> for Holders {
    fn text(key: &K) -> KeyText<'_> {
        Some(key.key_text())
    }
}

#[diagnostic::do_not_recommend]
impl<'a, K: MessageKey + ?Sized> HoldsKey<&'a K, K> for Holders {
    fn text<'b>(key: &'b &'a K) -> KeyText<'b> {
        Some(key.key_text())
    }
}

#[diagnostic::do_not_recommend]
impl<K: MessageKey> HoldsKey<Option<K>, K> for Holders {
    fn text(key: &Option<K>) -> KeyText<'_> {
        key.as_ref().map(MessageKey::key_text)
    }
}

#[diagnostic::do_not_recommend]
impl<'a, K: MessageKey + ?Sized> HoldsKey<Option<&'a K>, K> for Holders {
    fn text<'b>(key: &'b Option<&'a K>) -> KeyText<'b> {
        key.map(MessageKey::key_text)
    }
}

#[diagnostic::do_not_recommend]
impl<'a, K: MessageKey> HoldsKey<&'a Option<K>, K> for Holders {
    fn text<'b>(key: &'b &'a Option<K>) -> KeyText<'b> {
        key.as_ref().map(MessageKey::key_text)
    }
}

/// The type of a topic's keys, which the compiler infers from the fields if the topic does not write
/// it.
#[derive(Debug)]
pub struct KeyType<K: ?Sized>(PhantomData<fn(&K)>);

// `Default` would add nothing to the generated code but a longer name.
#[allow(clippy::new_without_default)]
impl<K: ?Sized> KeyType<K> {
    /// Returns the type.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// Returns the text of the key in a field.
    pub fn text<'a, F>(&self, field: &'a F) -> KeyText<'a>
    where
        Holders: HoldsKey<F, K>,
    {
        Holders::text(field)
    }

    /// Returns the text of a key that a function has returned.
    pub fn owned_text<F>(&self, key: &F) -> KeyText<'static>
    where
        Holders: HoldsKey<F, K>,
    {
        Holders::text(key).map(|text| Cow::Owned(text.into_owned()))
    }
}

/// A topic with a key. The lifetime means nothing: the compiler checks a bound of a type without
/// parameters where the impl is, and reports an error there, unless the bound has a lifetime.
#[diagnostic::on_unimplemented(
    message = "the topic `{Self}` of this event set has no key",
    label = "the event set has no key",
    note = "to read several topics by key, give each topic a key of the same type: `#[topic(name = \"...\", key = order_id: OrderId)]`"
)]
#[doc(hidden)]
pub trait KeyedTopic<'a>: Keyed {
    /// The type of its keys.
    type KeyOfTopic: MessageKey + ?Sized;
}

#[diagnostic::do_not_recommend]
impl<T: Keyed> KeyedTopic<'_> for T {
    type KeyOfTopic = T::Key;
}

/// A topic whose keys have the same type as those of another topic.
#[diagnostic::on_unimplemented(
    message = "the topics of this event set have keys of different types: `{First}` has `{OfFirst}`, and `{Self}` has `{Own}`",
    label = "the event set has no key",
    note = "to read several topics by key, give them keys of one type, and write it on each topic: `#[topic(name = \"...\", key = order_id: OrderId)]`"
)]
#[doc(hidden)]
pub trait SharesKey<'a, Own: ?Sized, First, OfFirst: ?Sized> {}

#[diagnostic::do_not_recommend]
impl<T, K: ?Sized, First> SharesKey<'_, K, First, K> for T {}
