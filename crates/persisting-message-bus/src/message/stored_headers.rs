//! Reads stored headers, which a foreign writer may have set to anything.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::message::{flow_id, traceparent};

/// The key and the flow of a message, as its stored headers name them.
#[derive(Default, Deserialize)]
pub(crate) struct StoredHeaders<'a> {
    #[serde(borrow, default, rename = "__message_key")]
    key: Header<'a>,
    #[serde(borrow, default, rename = "__correlation_id")]
    correlation_id: Header<'a>,
    #[serde(borrow, default, rename = "__causation_id")]
    causation_id: Header<'a>,
    #[serde(borrow, default)]
    traceparent: Header<'a>,
}

/// A header that a foreign writer may have set to any value. A value that is not a text counts as
/// missing.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Header<'a> {
    Text(Cow<'a, str>),
    Other(IgnoredAny),
    #[default]
    #[serde(skip)]
    Missing,
}

impl<'a> Header<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) | Self::Missing => None,
        }
    }
}

impl<'a> StoredHeaders<'a> {
    /// Reads the headers. Unreadable headers count as empty.
    pub(crate) fn of(headers: &'a str) -> Self {
        serde_json::from_str(headers).unwrap_or_default()
    }

    /// Returns the id of the flow, in the form in which it is stored.
    pub(crate) fn flow(&mut self) -> Option<Cow<'a, str>> {
        match std::mem::take(&mut self.correlation_id).text()? {
            Cow::Borrowed(id) => flow_id::storable(id),
            Cow::Owned(id) => flow_id::storable(&id).map(|id| Cow::Owned(id.into_owned())),
        }
    }

    /// Returns the text of the key. An empty text counts as missing; any other text is a key, as the
    /// writer of its slot has read it.
    pub(crate) fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = std::mem::take(&mut self.key).text();
        key.filter(|key| !key.is_empty())
    }

    /// Returns the trace that the message is part of. An invalid one counts as missing.
    pub(crate) fn traceparent(self) -> Option<Cow<'a, str>> {
        let header = self.traceparent.text();
        header.filter(|header| traceparent::is_valid(header))
    }
}

/// Returns the flow that the stored headers name; `None` if the message starts a flow.
pub(crate) fn correlation_id(headers: &str) -> Option<Cow<'_, str>> {
    StoredHeaders::of(headers).flow()
}

/// Returns the text of the key that the stored headers name.
pub(crate) fn key(headers: &str) -> Option<Cow<'_, str>> {
    StoredHeaders::of(headers).key()
}

/// Returns the direct cause that the stored headers name.
pub(crate) fn causation_id(headers: &str) -> Option<Uuid> {
    let id = StoredHeaders::of(headers).causation_id.text()?;
    Uuid::try_parse(&id).ok()
}
