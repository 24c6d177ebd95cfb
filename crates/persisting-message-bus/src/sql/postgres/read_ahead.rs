//! Reads the first messages after a cursor together with the topic's head.

use diesel::pg::Pg;
use futures_util::StreamExt;
use futures_util::future::join3;

use crate::error::Error;
use crate::message::raw::StoredMessage;
use crate::sql::executor::pipeline::Pipeline;
use crate::sql::schema::MessageTable;
use crate::sql::statements::messages::{self, MESSAGES};
use crate::store::ahead::Ahead;
use crate::store::page_request::PageRequest;
use crate::store::place::MessageAt;

/// Asks for the head, for the message at the cursor and for those after it, before the first answer is
/// there. Each is a statement of its own: the head must be in the page, which shows that no replica with
/// an older state has answered for one of them.
pub(super) fn read(
    pipeline: &Pipeline<'_>,
    table: &MessageTable,
    page: &PageRequest<'_>,
) -> Result<(MessageAt, Option<Ahead>), Error> {
    let [mut one, mut other] = [pipeline.clone(), pipeline.clone()];
    let head = messages::head(&mut one, table, page.topic, page.up_to);
    let before = messages::head(&mut other, table, page.topic, page.after);
    let after = messages_of(pipeline, table, page);
    let (head, before, after) = pipeline.thread.wait(join3(head, before, after));
    let before = before?.message_id_at(page.after);
    Ok((head?, after.map(|ahead| ahead.preceded_by(before))))
}

/// Reads the messages. Returns `None` if they are too many, or cannot be read: they are then read as a
/// page, which tells the error.
async fn messages_of(
    pipeline: &Pipeline<'_>,
    table: &MessageTable,
    page: &PageRequest<'_>,
) -> Option<Ahead> {
    let mut ahead = Ahead::of(page);
    let statement = messages::page::<Pg>(table, page, MESSAGES);
    let mut rows = pipeline.rows(statement).await.ok()?;
    while let Some(row) = rows.next().await {
        let mut add = |stored: &StoredMessage<'_>| ahead.add(stored);
        let added = messages::hand_over::<Pg>(page.topic, &row.ok()?, &mut add);
        if added.ok()?.is_break() {
            return None;
        }
    }
    Some(ahead)
}
