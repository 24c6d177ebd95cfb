//! Functions and traits that the derives' output calls. Not part of the public interface.
#![expect(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "only the output of the derives calls it"
)]

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;
use crate::error::kind::BoxError;
use crate::message::raw::{RawMessage, StoredMessage};
use crate::message::topic::Topic;

/// A message struct that has a variant on the topic `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message of topic `{T}`",
    label = "not a message of topic `{T}`",
    note = "an event set is a subset of its topic: use one of the structs in the variants of `{T}`, or add this one to `{T}`"
)]
// Without it, the documentation of each message struct would list the impl.
#[doc(hidden)]
pub trait Registered<T>: Sized {
    /// Its index in `Topic::MESSAGES`.
    const INDEX: usize;

    /// Decodes a message of its type, of any version up to the current one.
    fn decode(message: &StoredMessage<'_>) -> Result<Self, Error>;
}

/// A type that can be in the variant for unknown messages.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold an unknown message",
    label = "write `RawMessage`",
    note = "an unknown message is kept as it is stored: `#[message(unknown)] Unknown(RawMessage)`"
)]
pub trait HoldsUnknown {
    /// Keeps the message.
    fn hold(message: &StoredMessage<'_>) -> Self;

    /// Returns the message as it was stored.
    fn stored(&self) -> &RawMessage;
}

impl HoldsUnknown for RawMessage {
    fn hold(message: &StoredMessage<'_>) -> Self {
        message.to_raw()
    }

    fn stored(&self) -> &RawMessage {
        self
    }
}

impl HoldsUnknown for Box<RawMessage> {
    fn hold(message: &StoredMessage<'_>) -> Self {
        Box::new(message.to_raw())
    }

    fn stored(&self) -> &RawMessage {
        self
    }
}

/// A version of a message that can become the next one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot become the next version, `{Next}`",
    label = "there is no `From<{Self}>` for `{Next}`",
    note = "write `impl From<{Self}> for {Next} {{ ... }}`"
)]
pub trait Upcast<Next> {
    /// Converts this version to the next.
    fn upcast(self) -> Next;
}

#[diagnostic::do_not_recommend]
impl<V, Next: From<V>> Upcast<Next> for V {
    fn upcast(self) -> Next {
        Next::from(self)
    }
}

/// Converts a message to its next version.
pub fn upcast<V: Upcast<Next>, Next>(payload: V) -> Next {
    payload.upcast()
}

/// A payload as JSON.
pub type EncodedPayload = Result<String, serde_json::Error>;

/// A message struct that serde can write and read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored: a message needs both `Serialize` and `Deserialize`",
    label = "does not implement both of serde's traits",
    note = "write `#[derive(serde::Serialize, serde::Deserialize)]` before the struct, and before the types in it",
    note = "for a type of another crate, check whether the crate has a feature for serde"
)]
pub trait Payload: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<M: Serialize + DeserializeOwned> Payload for M {}

/// The way in which the message struct `M` is written and read.
pub struct Json<M> {
    /// Serialises a payload.
    pub encode: fn(&M) -> EncodedPayload,
    /// Decodes a payload. The error names the message.
    pub decode: fn(&StoredMessage<'_>) -> Result<M, Error>,
    /// Decodes the result of a function on JSON.
    pub decode_value: fn(&StoredMessage<'_>, Value) -> Result<M, Error>,
}

/// Returns the way in which a message struct is written and read.
///
/// In the generated code, only calls of this function require serde's traits of the struct. These
/// calls are all the same, so that the compiler reports a struct without the traits once.
#[must_use]
pub const fn json<M: Payload>() -> Json<M> {
    Json {
        encode: |message| serde_json::to_string(message),
        decode: |message| decode_payload(message),
        decode_value: |message, payload| decode_json(message, payload),
    }
}

/// Decodes a payload. The error names the message.
pub fn decode_payload<M: DeserializeOwned>(message: &StoredMessage<'_>) -> Result<M, Error> {
    serde_json::from_str(message.payload).map_err(|cause| Error::decode(message, cause))
}

/// Decodes a payload for a function on JSON. Integers of more than 64 bits become floats.
pub fn payload_as_json(message: &StoredMessage<'_>) -> Result<Value, Error> {
    decode_payload(message)
}

/// Calls the function that converts the JSON of `version` to that of the next version.
pub fn upcast_json<E: Into<BoxError>>(
    message: &StoredMessage<'_>,
    version: u32,
    upcast: impl FnOnce(Value) -> Result<Value, E>,
    payload: Value,
) -> Result<Value, Error> {
    upcast(payload).map_err(|cause| Error::upcast(message, version, cause.into()))
}

/// Decodes the result of a function on JSON.
pub fn decode_json<M: DeserializeOwned>(
    message: &StoredMessage<'_>,
    payload: Value,
) -> Result<M, Error> {
    serde_json::from_value(payload).map_err(|cause| Error::decode(message, cause))
}

/// Creates the error for a message whose type is unknown.
#[must_use]
pub fn unknown_message(message: &StoredMessage<'_>, expected: &'static str) -> Error {
    Error::unknown_message(message, expected)
}

/// Creates the error for a message of the topic `T` whose type is retired or unknown.
#[must_use]
pub fn retired_or_unknown<T: Topic>(message: &StoredMessage<'_>, expected: &'static str) -> Error {
    if T::RETIRED.contains(&message.message_type) {
        Error::retired_message(message)
    } else {
        Error::unknown_message(message, expected)
    }
}

/// Creates the error for a message whose version is newer than `current`.
#[must_use]
pub fn newer_version(message: &StoredMessage<'_>, current: u32) -> Error {
    Error::newer_version(message, current)
}

/// The body of functions in the stubs that accompany an error.
///
/// The compiler evaluates the constant when it generates code for `T`, and it generates no code
/// after an error. Should it know a syntax that the derives do not, this is the error.
pub fn stub<T>() -> T {
    const { panic!("the derive cannot read this enum: a part of it has a syntax that is too new") }
}

/// Refuses an event set that contains a message twice, under different paths. `TYPES` is the number
/// of the topic's message types.
pub const fn refuse_repeated<const TYPES: usize>(indices: &[usize]) {
    let mut seen = [false; TYPES];
    let mut at = 0;
    while at < indices.len() {
        let index = indices[at];
        assert!(
            !seen[index],
            "two variants of this event set hold the same message: leave one"
        );
        seen[index] = true;
        at += 1;
    }
}

/// Refuses an event set that contains a topic under two paths.
pub const fn refuse_repeated_topics(names: &[&str]) {
    assert!(
        are_distinct(names),
        "two topics of this event set have the same name: write the path of a topic in the same way"
    );
}

/// Returns `true` if no two of the names are equal.
pub const fn are_distinct(names: &[&str]) -> bool {
    let mut index = 0;
    while index < names.len() {
        let mut earlier = 0;
        while earlier < index {
            if is_same(names[earlier], names[index]) {
                return false;
            }
            earlier += 1;
        }
        index += 1;
    }
    true
}

/// `==` on strings is not available in constants yet.
const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}
