//! Messages that every backend can keep and return. All requirements are here, so that all backends
//! refuse the same messages.

use chrono::Datelike;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::message::{json, name, time};

/// The highest version. PostgreSQL keeps it in a signed column of 32 bits.
const MAX_VERSION: u32 = i32::MAX.cast_unsigned();

/// Messages of a dispatcher, which has written their JSON and has completed their headers.
#[derive(Debug, Clone, Copy)]
pub struct Dispatched<'a>(&'a [RawMessage]);

impl<'a> Dispatched<'a> {
    pub(crate) fn new(messages: &'a [RawMessage]) -> Self {
        Self(messages)
    }

    /// Returns the messages, for a repository that checks them itself.
    pub(crate) fn unchecked(self) -> &'a [RawMessage] {
        self.0
    }
}

/// Messages that every backend can keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Storable<'a>(&'a [RawMessage]);

impl<'a> Storable<'a> {
    /// Checks messages from anywhere.
    pub(crate) fn check(messages: &'a [RawMessage]) -> Result<Self, Error> {
        for message in messages {
            check_fields(message)?;
            check_texts(message)?;
        }
        Ok(Self(messages))
    }

    /// Checks messages of a dispatcher. Their texts need no second look.
    pub(crate) fn check_dispatched(messages: Dispatched<'a>) -> Result<Self, Error> {
        messages.0.iter().try_for_each(check_fields)?;
        Ok(Self(messages.0))
    }

    pub(crate) fn messages(self) -> &'a [RawMessage] {
        self.0
    }
}

fn check_fields(message: &RawMessage) -> Result<(), Error> {
    check_name(message, "topic", &message.topic)?;
    check_name(message, "message type", &message.message_type)?;
    if !(1..=MAX_VERSION).contains(&message.message_version) {
        let problem = format!("its version must be from 1 to {MAX_VERSION}");
        return Err(Error::unstorable(message, problem));
    }
    if !(0..=9999).contains(&time::storable(message.published_at).year()) {
        let problem = "the time of recording is outside of the years 0 to 9999";
        return Err(Error::unstorable(message, problem));
    }
    for (what, text) in [("payload", &message.payload), ("headers", &message.headers)] {
        if json::is_too_deep(text) {
            let problem = format!(
                "arrays and objects in its {what} nest deeper than {} levels",
                json::MAX_DEPTH
            );
            return Err(Error::unstorable(message, problem));
        }
    }
    Ok(())
}

fn check_texts(message: &RawMessage) -> Result<(), Error> {
    if let Some(id) = &message.correlation_id {
        check_name(message, "correlation id", id)?;
    }
    json::check(&message.payload).map_err(|cause| {
        let problem = format!("its payload is not JSON: {cause}");
        Error::unstorable(message, problem)
    })?;
    json::check_readable_object(&message.headers).map_err(|cause| {
        let problem = format!("its headers are not a JSON object that can be read: {cause}");
        Error::unstorable(message, problem)
    })?;
    let (slot, of_key) = (message.key_slot, message.slot_of_headers());
    if slot == of_key {
        return Ok(());
    }
    let problem = format!(
        "its key slot is {slot}, but that of the key in its headers is {of_key}; set the slot with Slot::of"
    );
    Err(Error::unstorable(message, problem))
}

fn check_name(message: &RawMessage, what: &'static str, name: &str) -> Result<(), Error> {
    name::validate(what, name).map_err(|error| Error::unstorable_name(message, &error))
}
