//! Sources that show messages otherwise than they are stored.

use std::ops::ControlFlow;

use persisting_message_bus::backend::{MessageAt, MessageSource, PageRequest, StoredMessage};
use persisting_message_bus::{Error, Position};
use persisting_message_bus_tests::forward_source;
use uuid::Uuid;

/// Heads come from the primary, pages from a standby that has applied less.
pub struct Split<M> {
    pub primary: M,
    pub applied: Position,
}

impl<M: MessageSource> MessageSource for Split<M> {
    forward_source! { |this| this.primary => high_water_mark, head, last_position }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        let up_to = request.up_to.min(self.applied);
        let applied = PageRequest { up_to, ..*request };
        let end = self.primary.read_page(&applied, receive)?;
        // The standby does not know that messages are missing.
        if end.position < up_to {
            return Ok(end);
        }
        Ok(MessageAt {
            position: request.up_to,
            ..end
        })
    }
}

/// A source without some of its messages.
pub struct Without<M> {
    pub all: M,
    /// The first position that was deleted, and the last one.
    pub deleted: (i64, i64),
}

impl<M> Without<M> {
    fn is_there(&self, position: Position) -> bool {
        !(self.deleted.0..=self.deleted.1).contains(&position.get())
    }
}

impl<M: MessageSource> MessageSource for Without<M> {
    forward_source! { |this| this.all => high_water_mark, last_position }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error> {
        let head = self.all.head(topic, high_water_mark)?;
        if self.is_there(head.position) {
            return Ok(head);
        }
        self.all.head(topic, Position::new(self.deleted.0 - 1))
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        let deleted = self.deleted;
        self.all.read_page(request, &mut |stored| {
            if (deleted.0..=deleted.1).contains(&stored.position.get()) {
                return ControlFlow::Continue(());
            }
            receive(stored)
        })
    }
}

/// A source in which another message is at a position.
pub struct Exchanged<M> {
    pub all: M,
    pub position: Position,
}

impl<M: MessageSource> MessageSource for Exchanged<M> {
    forward_source! { |this| this.all => high_water_mark, last_position }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error> {
        let head = self.all.head(topic, high_water_mark)?;
        let is_it = head.position == self.position;
        let message_id = if is_it {
            Some(Uuid::max())
        } else {
            head.message_id
        };
        Ok(MessageAt { message_id, ..head })
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        let position = self.position;
        self.all.read_page(request, &mut |stored| {
            let exchanged = StoredMessage {
                message_id: Uuid::max(),
                ..*stored
            };
            let is_it = stored.position == position;
            receive(if is_it { &exchanged } else { stored })
        })
    }
}
