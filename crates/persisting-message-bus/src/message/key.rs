use std::borrow::Cow;
use std::num;
use std::rc::Rc;
use std::sync::Arc;

use uuid::Uuid;

use crate::message::topic::EventSet;

/// A value that can be the key of a message. The text of the key decides: 42 and "42" are the same
/// key.
///
/// Messages with the same key belong together, such as all messages of one order. A topic names the
/// field that has the key: `#[topic(key = order_id)]` of [`derive(Topic)`](macro@crate::Topic).
///
/// It is implemented for integers, for texts, and for UUIDs, whose text is in lower case with hyphens.
/// For a struct with one field, derive it with [`derive(MessageKey)`](macro@crate::MessageKey).
///
/// ```
/// use persisting_message_bus::MessageKey;
/// use uuid::Uuid;
///
/// assert_eq!(42.key_text(), "42".key_text());
/// assert_eq!(Uuid::nil().key_text(), "00000000-0000-0000-0000-000000000000");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a message",
    label = "not a key",
    note = "a key is an integer, a text or a UUID; write `#[derive(persisting_message_bus::MessageKey)]` before a struct of your own that holds one of these",
    note = "for another type, name a function instead of a field: `#[message(key = fn key_of_order)]`"
)]
pub trait MessageKey {
    /// Returns the text of the key. A dispatch accepts 1 to
    /// [`MAX_NAME_LENGTH`](crate::backend::MAX_NAME_LENGTH) characters, none of which is a control
    /// character or an invisible format character. The text does not start or end with white space.
    ///
    /// The text of a value must never change, because messages with the same key would then have
    /// different [slots](crate::backend::Slot).
    fn key_text(&self) -> Cow<'_, str>;
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl MessageKey for $integer {
            fn key_text(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }
        }
    )*};
}

integers! {
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize,
    num::NonZeroU8, num::NonZeroU16, num::NonZeroU32, num::NonZeroU64, num::NonZeroU128,
    num::NonZeroUsize, num::NonZeroI8, num::NonZeroI16, num::NonZeroI32, num::NonZeroI64,
    num::NonZeroI128, num::NonZeroIsize
}

macro_rules! texts {
    ($($text:ty),*) => {$(
        impl MessageKey for $text {
            fn key_text(&self) -> Cow<'_, str> {
                Cow::Borrowed(self)
            }
        }
    )*};
}

texts!(str, String, Cow<'_, str>, Box<str>, Rc<str>, Arc<str>);

impl MessageKey for Uuid {
    fn key_text(&self) -> Cow<'_, str> {
        Cow::Owned(self.hyphenated().to_string())
    }
}

/// A topic or an event set whose messages have keys of one type.
///
/// [`derive(Topic)`](macro@crate::Topic) implements it for a topic with `#[topic(key = ...)]`.
/// [`derive(EventSet)`](macro@crate::EventSet) implements it for an event set whose topics all have
/// keys of the same type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no key",
    label = "its messages have no keys",
    note = "to give a topic a key, name the field that has it: `#[topic(name = \"...\", key = order_id)]`",
    note = "an event set over several topics has a key only if all its topics have one, with the same written type: `key = order_id: OrderId`"
)]
pub trait Keyed: EventSet {
    /// The type of the keys. If the topic does not write it, this is [`UnnamedKeyOf`] the topic.
    type Key: MessageKey + ?Sized;
}

/// Stands for the type of a topic's keys where the topic does not write it. A derive cannot see the
/// types of fields, so the keys of two such topics count as different. There are no values of this
/// type.
///
/// To read several topics by key, write the type: `#[topic(name = "orders", key = order_id: u32)]`.
#[derive(Debug)]
pub struct UnnamedKeyOf<T> {
    never: std::convert::Infallible,
    topic: std::marker::PhantomData<fn() -> T>,
}

impl<T> MessageKey for UnnamedKeyOf<T> {
    fn key_text(&self) -> Cow<'_, str> {
        match self.never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::slot::Slot;

    fn text(key: &(impl MessageKey + ?Sized)) -> String {
        key.key_text().into_owned()
    }

    #[test]
    fn the_text_of_a_key_does_not_depend_on_its_type() {
        for number in [
            text(&42_u8),
            text(&42_i128),
            text("42"),
            text(&num::NonZeroU16::MIN.saturating_add(41)),
        ] {
            assert_eq!(number, "42");
        }
        assert_eq!(text(&-7_i64), "-7");
        let texts: [&dyn MessageKey; 5] = [
            &"a".to_owned(),
            &Cow::Borrowed("a"),
            &Box::<str>::from("a"),
            &Rc::<str>::from("a"),
            &Arc::<str>::from("a"),
        ];
        assert!(texts.into_iter().all(|it| it.key_text() == "a"));
        let id = Uuid::from_u128(0x0189_0A5D_AC96_774B_BCCE_B302_099A_8057);
        assert_eq!(text(&id), "01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!(Slot::of(&text(&id)).get(), 31_169);
    }
}
