//! Recognises the source of messages by the consumer's anchor.
//!
//! A restored, emptied or replaced database can have other messages at the positions that a
//! consumer has passed. The anchor is the last message that it has passed. If another message, or
//! none, is at the anchor's position, the cursor does not count in this source.
//!
//! A message that is missing because it was pruned is no reason for an alarm. Pruning deletes the
//! oldest messages, so the topic then has no message at or before the anchor.

use std::ops::ControlFlow;

use uuid::Uuid;

use crate::error::Error;
use crate::position::Position;
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::place::{Anchor, MessageAt, Place};
use crate::store::source::MessageSource;

/// Checks a cursor at a poll. If the consumer has reached the head, this costs no statement.
///
/// A cursor after the head is valid if messages there cannot be read yet, or were read and are
/// pruned since.
pub(crate) fn check_place<B>(
    bus: &mut B,
    topic: &str,
    place: Place,
    head: MessageAt,
) -> Result<(), Error>
where
    B: MessageSource + ?Sized,
{
    let cursor = place.position();
    if (Position::START..=head.position).contains(&cursor) {
        return match place.anchor {
            Some(anchor) if anchor.position == head.position => {
                same(topic, anchor, head.message_id)
            }
            _ => Ok(()),
        };
    }
    if let Some(anchor) = place.anchor
        && anchor.position > head.position
        && head.position > Position::START
    {
        let found = bus.head(topic, anchor.position)?;
        // The message at the head is older, so the anchor was not pruned.
        if found.position != anchor.position {
            return Err(Error::unrecognised(topic, anchor, None));
        }
        if found.message_id.is_some() {
            return same(topic, anchor, found.message_id);
        }
    }
    let last = bus.last_position()?;
    if (Position::START..=last).contains(&cursor) {
        Ok(())
    } else {
        Err(Error::broken_cursor(topic, cursor, last))
    }
}

/// Checks the source of a page after it was read, and before its messages are handled. Whatever
/// happened to the source before the page was read is noticed here.
///
/// `unread_head` is the topic's head, if the page should have reached it but did not contain it
/// because it is of another type. If the source of the page does not have it, the page was read
/// from an older state, where other messages can be missing, too.
pub(crate) fn check_page<B>(
    bus: &mut B,
    topic: &str,
    place: Place,
    unread_head: Option<Anchor>,
) -> Result<(), Error>
where
    B: MessageSource + ?Sized,
{
    let Some(any) = place.anchor.or(unread_head) else {
        return Ok(());
    };
    let wanted = [place.anchor, unread_head].map(|message| message.unwrap_or(any).position);
    let [found, at_head] = bus.ids_at(topic, wanted)?;
    if let Some(anchor) = place.anchor {
        match found {
            Some(_) => same(topic, anchor, found)?,
            None => check_missing(bus, topic, place, anchor)?,
        }
    }
    match unread_head {
        Some(head) if at_head != Some(head.message_id) => {
            Err(Error::stale_page(topic, place.position(), head.position))
        }
        _ => Ok(()),
    }
}

/// Checks an anchor that was not found where the page was read. It is pruned if all messages up to
/// it are gone.
fn check_missing<B>(bus: &mut B, topic: &str, place: Place, anchor: Anchor) -> Result<(), Error>
where
    B: MessageSource + ?Sized,
{
    if !has_messages_up_to(bus, topic, anchor.position)? {
        return Ok(());
    }
    // It is where heads are read, so the page was read from an older state.
    if bus.head(topic, anchor.position)?.anchor() == Some(anchor) {
        return Err(Error::stale_page(topic, place.position(), anchor.position));
    }
    Err(Error::unrecognised(topic, anchor, None))
}

fn has_messages_up_to<B>(bus: &mut B, topic: &str, up_to: Position) -> Result<bool, Error>
where
    B: MessageSource + ?Sized,
{
    let mut has_messages = false;
    let request = PageRequest {
        topic,
        part: Part::Whole,
        message_types: TypeFilter::All,
        after: Position::START,
        up_to,
        limit: 1,
    };
    bus.read_page(&request, &mut |_| {
        has_messages = true;
        ControlFlow::Break(())
    })?;
    Ok(has_messages)
}

/// Fails if another message is at the anchor's position. An unknown id is no other message.
fn same(topic: &str, anchor: Anchor, found: Option<Uuid>) -> Result<(), Error> {
    match found {
        Some(id) if id != anchor.message_id => Err(Error::unrecognised(topic, anchor, found)),
        _ => Ok(()),
    }
}
