use std::time::Duration;

use axum::http::HeaderMap;
use persisting_message_bus::{MessageTypes, Position};
use uuid::Uuid;

use super::problem::Problem;
use crate::wire::{MOST_TYPES, parameter};

/// What a request asks for.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) start: Option<Start>,
    pub(super) limit: Option<usize>,
    pub(super) timeout: Duration,
    pub(super) types: Types,
}

/// Behind what a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Position(Position),
    Event(Uuid),
}

/// Which types of messages are asked for: all, where it has no names.
#[derive(Debug, Clone, Default)]
pub(super) struct Types {
    names: Vec<String>,
    are_excepted: bool,
}

impl Query {
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut parsed = Self::default();
        let mut timeout = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let name = name.as_ref();
            match name {
                parameter::AFTER => once(&mut parsed.start, name, after(&value)?)?,
                parameter::LAST_EVENT_ID => once(&mut parsed.start, name, event(name, &value)?)?,
                parameter::LIMIT => {
                    let limit = usize::try_from(number(name, &value)?).unwrap_or(usize::MAX);
                    once(&mut parsed.limit, name, limit)?;
                }
                parameter::TIMEOUT => once(&mut timeout, name, number(name, &value)?)?,
                parameter::TYPE => parsed.types.add(value.into_owned(), false)?,
                parameter::EXCEPT_TYPE => parsed.types.add(value.into_owned(), true)?,
                _ => {}
            }
        }
        parsed.timeout = Duration::from_millis(timeout.unwrap_or(0));
        Ok(parsed)
    }

    /// Begins where a stream was cut off, if it was: what its client has seen last goes before what the
    /// address says.
    pub(super) fn resume(&mut self, headers: &HeaderMap) -> Result<(), Problem> {
        const LAST_EVENT_ID: &str = "Last-Event-ID";
        if let Some(value) = headers.get(LAST_EVENT_ID) {
            let text = String::from_utf8_lossy(value.as_bytes());
            self.start = Some(event(LAST_EVENT_ID, &text)?);
        }
        Ok(())
    }
}

impl Types {
    fn add(&mut self, name: String, excepted: bool) -> Result<(), Problem> {
        if !self.names.is_empty() && self.are_excepted != excepted {
            let detail = "type and exceptType do not go together: leave one of them out";
            return Err(Problem::bad_request(detail));
        }
        if self.names.len() == MOST_TYPES {
            let detail = format!("{MOST_TYPES} types are the most: ask for all, and choose then");
            return Err(Problem::bad_request(detail));
        }
        self.are_excepted = excepted;
        self.names.push(name);
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    pub(super) fn of<'a>(&self, names: &'a [&'a str]) -> MessageTypes<'a> {
        match (names, self.are_excepted) {
            ([], _) => MessageTypes::All,
            (_, true) => MessageTypes::Except(names),
            (_, false) => MessageTypes::Only(names),
        }
    }
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Problem> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::bad_request(format!(
            "{name} does not go together with another one, or with after or lastEventId: say one"
        ))),
    }
}

fn after(value: &str) -> Result<Start, Problem> {
    let position = i64::try_from(number(parameter::AFTER, value)?).unwrap_or(i64::MAX);
    Ok(Start::Position(Position::new(position)))
}

/// An event as its `id` or its `sequence` names it. No UUID is as short as the longest sequence.
fn event(name: &str, value: &str) -> Result<Start, Problem> {
    if let Ok(id) = Uuid::try_parse(value) {
        return Ok(Start::Event(id));
    }
    after(value).map_err(|_| {
        Problem::bad_request(format!(
            "{name} has to be the id or the sequence of an event; leave it out to begin at the start"
        ))
    })
}

/// A number in digits, however many.
fn number(name: &str, value: &str) -> Result<u64, Problem> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        let detail = format!("{name} has to be a number of 0 or more, in digits");
        return Err(Problem::bad_request(detail));
    }
    Ok(value.parse().unwrap_or(u64::MAX))
}
