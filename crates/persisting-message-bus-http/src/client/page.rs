use std::collections::HashSet;

use persisting_message_bus::{Position, StoredMessage};
use ureq::http::HeaderMap;
use ureq::http::header::CONTENT_TYPE;

use super::failure::{Failure, shortened};
use super::server::Answer;
use crate::wire::read::{self, Event};
use crate::wire::{BATCH, header};

/// A page as it came.
#[derive(Debug)]
pub(super) struct Page {
    text: Vec<u8>,
    /// Everything of the topic up to here is in this page or in those before.
    pub(super) next: Position,
    pub(super) head: Position,
    pub(super) horizon: Position,
}

/// What a page was asked for.
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
            head: position(headers, header::HEAD)?,
            horizon: position(headers, header::HORIZON)?,
            text: answer.text,
        };
        if page.next < asked.after {
            let (next, after) = (page.next, asked.after);
            return Err(untrue(format_args!(
                "it goes on at {next}, which is before {after}"
            )));
        }
        Ok(page)
    }

    /// This page, for somebody who was told that the topic can be read up to a position. One that goes no
    /// further is the end of it only where the feed has seen that far, and has nothing there: what was told
    /// of may be pruned meanwhile.
    pub(super) fn on_the_way(self, after: Position, up_to: Position) -> Result<Self, Failure> {
        if self.next > after {
            return Ok(self);
        }
        let (head, horizon) = (self.head, self.horizon);
        if head > after {
            return Err(untrue(format_args!(
                "it goes no further than {after}, and the topic goes up to {head}"
            )));
        }
        if horizon < up_to && up_to.get() != i64::MAX {
            return Err(Failure::Behind { horizon, up_to });
        }
        Ok(self)
    }

    pub(super) fn events(&self) -> Result<Vec<Event<'_>>, Failure> {
        serde_json::from_slice(&self.text).map_err(Failure::NoEvents)
    }

    /// The messages, if all of them are what was asked for, in order.
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
                    "is at position {position}, and comes after {before}"
                )));
            }
            if position > self.next {
                let next = self.next;
                return Err(problem(format!(
                    "is at position {position}, and the page ends at {next}"
                )));
            }
            if !ids.insert(message.message_id) {
                return Err(problem(format!("has the id {} again", message.message_id)));
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

fn untrue(what: std::fmt::Arguments<'_>) -> Failure {
    Failure::Untrue(what.to_string())
}
