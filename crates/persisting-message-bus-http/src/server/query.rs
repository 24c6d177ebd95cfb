use std::time::Duration;

use axum::http::HeaderMap;
use persisting_message_bus::Position;
use persisting_message_bus::backend::TypeFilter;
use uuid::Uuid;

use super::problem::Problem;
use crate::wire::{MAX_TYPES, parameter};

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) start: Option<Start>,
    pub(super) limit: Option<usize>,
    pub(super) timeout: Duration,
    pub(super) types: Types,
    /// Whether the answer must have the last position of all topics.
    pub(super) with_last: bool,
}

/// The place after which a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Before all messages, because the client has named no place.
    Beginning,
    Position(Position),
    Event(Uuid),
}

/// The requested message types. No names mean all types.
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
                parameter::LAST_EVENT_ID if is_absent(&value) => {}
                parameter::AFTER => once(&mut parsed.start, name, after(&value)?)?,
                parameter::LAST_EVENT_ID => once(&mut parsed.start, name, event(name, &value)?)?,
                parameter::LIMIT => {
                    let limit = usize::try_from(number(name, &value)?).unwrap_or(usize::MAX);
                    once(&mut parsed.limit, name, limit)?;
                }
                parameter::WITH_LAST => parsed.with_last = true,
                parameter::TIMEOUT => once(&mut timeout, name, number(name, &value)?)?,
                parameter::TYPE => parsed.types.add(value.into_owned(), false)?,
                parameter::EXCEPT_TYPE => parsed.types.add(value.into_owned(), true)?,
                _ => {}
            }
        }
        parsed.timeout = Duration::from_millis(timeout.unwrap_or(0));
        Ok(parsed)
    }

    /// Continues after the last event that the client has received, if the client names one in
    /// `Last-Event-ID`. That header takes precedence over the parameters.
    pub(super) fn resume(&mut self, headers: &HeaderMap) -> Result<(), Problem> {
        const LAST_EVENT_ID: &str = "Last-Event-ID";
        let value = headers.get(LAST_EVENT_ID);
        let text = value.map(|value| String::from_utf8_lossy(value.as_bytes()));
        if let Some(text) = text.filter(|text| !is_absent(text)) {
            self.start = Some(event(LAST_EVENT_ID, &text)?);
        }
        Ok(())
    }
}

impl Types {
    fn add(&mut self, name: String, excepted: bool) -> Result<(), Problem> {
        if !self.names.is_empty() && self.are_excepted != excepted {
            let detail = "type and exceptType cannot be combined: leave one of them out";
            return Err(Problem::bad_request(detail));
        }
        // Not every database accepts such a text in a query.
        if name.chars().any(char::is_control) {
            let detail = "a type cannot contain a control character: correct type or exceptType";
            return Err(Problem::bad_request(detail));
        }
        if self.names.len() == MAX_TYPES {
            let detail = format!(
                "a request can name at most {MAX_TYPES} types: request all types, and filter the events"
            );
            return Err(Problem::bad_request(detail));
        }
        self.are_excepted = excepted;
        self.names.push(name);
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    pub(super) fn of<'a>(&self, names: &'a [&'a str]) -> TypeFilter<'a> {
        match (names, self.are_excepted) {
            ([], _) => TypeFilter::All,
            (_, true) => TypeFilter::Except(names),
            (_, false) => TypeFilter::Only(names),
        }
    }
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Problem> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::bad_request(format!(
            "{name} cannot be repeated, or combined with after or lastEventId: send only one"
        ))),
    }
}

fn after(value: &str) -> Result<Start, Problem> {
    let position = i64::try_from(number(parameter::AFTER, value)?).unwrap_or(i64::MAX);
    Ok(Start::Position(Position::new(position)))
}

/// Returns `true` for the last event of a client that has none yet. The clients of http-feeds.org
/// send `null`.
fn is_absent(id: &str) -> bool {
    matches!(id.trim(), "" | "null")
}

/// Parses an event, which is named by its `id` or its `sequence`. No UUID is as short as the
/// longest sequence.
fn event(name: &str, value: &str) -> Result<Start, Problem> {
    if let Ok(id) = Uuid::try_parse(value) {
        return Ok(Start::Event(id));
    }
    after(value).map_err(|_| {
        Problem::bad_request(format!(
            "{name} must be the id or the sequence of an event; leave it out to begin at the start"
        ))
    })
}

/// Parses a number in digits, however many. A number that is too large becomes the maximum.
fn number(name: &str, value: &str) -> Result<u64, Problem> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        let detail = format!("{name} must be a number of 0 or more, in digits");
        return Err(Problem::bad_request(detail));
    }
    Ok(value.parse().unwrap_or(u64::MAX))
}
