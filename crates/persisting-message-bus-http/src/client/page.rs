use std::collections::HashSet;

use persisting_message_bus::Position;
use persisting_message_bus::backend::{MessageAt, StoredMessage};
use ureq::http::HeaderMap;
use ureq::http::header::CONTENT_TYPE;
use uuid::Uuid;

use super::failure::{Failure, shortened};
use super::server::Answer;
use crate::wire::read::{self, Event};
use crate::wire::{BATCH, header};

/// A page as the server sent it.
#[derive(Debug)]
pub(super) struct Page {
    text: Vec<u8>,
    /// This page and the pages before it cover the topic up to this position.
    pub(super) next: Position,
    pub(super) head: MessageAt,
    /// The message after which the page begins.
    pub(super) after: MessageAt,
    pub(super) high_water_mark: Position,
    /// The last position of the feed, in the answer to a request for it.
    pub(super) last: Option<Position>,
}

/// The request for a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) topic: &'a str,
    pub(super) after: Position,
    pub(super) limit: usize,
}

impl Page {
    pub(super) fn new(answer: Answer, asked: Asked<'_>) -> Result<Self, Failure> {
        let headers = &answer.headers;
        let is_batch = headers
            .get(CONTENT_TYPE)
            .is_some_and(|content_type| content_type.as_bytes().starts_with(BATCH.as_bytes()));
        if !is_batch {
            return Err(Failure::NoFeed(format!("is not {BATCH}")));
        }
        let page = Self {
            next: position(headers, header::NEXT)?,
            head: MessageAt {
                position: position(headers, header::HEAD)?,
                message_id: id(headers, header::HEAD_ID)?,
            },
            after: MessageAt {
                position: asked.after,
                message_id: id(headers, header::AFTER_ID)?,
            },
            high_water_mark: position(headers, header::HIGH_WATER_MARK)?,
            last: match headers.get(header::LAST) {
                Some(_) => Some(position(headers, header::LAST)?),
                None => None,
            },
            text: answer.text,
        };
        if page.next < asked.after {
            let (next, after) = (page.next, asked.after);
            return Err(untrue(format_args!(
                "it continues at {next}, which is before {after}"
            )));
        }
        Ok(page)
    }

    /// Returns this page to a reader that knows that the topic is readable up to `up_to`. An empty
    /// step is the end of the topic only if the feed has read that far and has no message there.
    /// The messages that the reader knows of may have been pruned meanwhile.
    pub(super) fn on_the_way(self, after: Position, up_to: Position) -> Result<Self, Failure> {
        if self.next > after {
            return Ok(self);
        }
        let (head, high_water_mark) = (self.head.position, self.high_water_mark);
        if head > after {
            return Err(untrue(format_args!(
                "it ends at {after}, but the head of the topic is {head}"
            )));
        }
        if high_water_mark < up_to && up_to.get() != i64::MAX {
            return Err(Failure::Restored {
                high_water_mark,
                up_to,
            });
        }
        Ok(self)
    }

    pub(super) fn events(&self) -> Result<Vec<Event<'_>>, Failure> {
        serde_json::from_slice(&self.text).map_err(Failure::NoEvents)
    }

    /// Returns the messages, if all of them match the request and are in order.
    pub(super) fn messages<'a>(
        &self,
        events: &'a [Event<'_>],
        asked: Asked<'_>,
    ) -> Result<Vec<StoredMessage<'a>>, Failure> {
        if events.len() > asked.limit {
            let (found, limit) = (events.len(), asked.limit);
            return Err(untrue(format_args!(
                "it has {found} events instead of {limit}"
            )));
        }
        let mut ids = HashSet::with_capacity(events.len());
        let mut before = asked.after;
        let checked = events.iter().enumerate().map(|(index, event)| {
            let problem = |problem: String| {
                untrue(format_args!("event {} {}", index + 1, shortened(&problem)))
            };
            let message = event.as_stored().map_err(problem)?;
            let position = message.position;
            if message.topic != asked.topic {
                return Err(problem(format!("is of topic {:?}", message.topic)));
            }
            if position <= before {
                return Err(problem(format!(
                    "is at position {position}, but comes after {before}"
                )));
            }
            if position > self.next {
                let next = self.next;
                return Err(problem(format!(
                    "is at position {position}, but the page ends at {next}"
                )));
            }
            if !ids.insert(message.message_id) {
                return Err(problem(format!("repeats the id {}", message.message_id)));
            }
            before = position;
            Ok(message)
        });
        checked.collect()
    }
}

fn position(headers: &HeaderMap, name: &str) -> Result<Position, Failure> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value
        .and_then(read::position)
        .ok_or_else(|| Failure::NoFeed(format!("has no position in the header {name}")))
}

/// Reads the id of a message, which the server leaves out if it knows none.
fn id(headers: &HeaderMap, name: &str) -> Result<Option<Uuid>, Failure> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let id = value
        .to_str()
        .ok()
        .and_then(|text| Uuid::try_parse(text).ok());
    id.map(Some)
        .ok_or_else(|| Failure::NoFeed(format!("has no message id in the header {name}")))
}

fn untrue(what: std::fmt::Arguments<'_>) -> Failure {
    Failure::Untrue(what.to_string())
}
