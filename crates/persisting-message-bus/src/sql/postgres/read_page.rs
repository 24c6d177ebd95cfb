//! Reads pages, on each kind of connection in the way that is fast and bounds the memory.

use std::ops::ControlFlow;

use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::pg::Pg;
#[cfg(feature = "postgres")]
use diesel::pg::{PgConnection, PgRowByRowLoadingMode};

use crate::error::Error;
use crate::message::raw::StoredMessage;
#[cfg(feature = "diesel-async-0_9-postgres")]
use crate::sql::executor::batches::for_each_row;
#[cfg(feature = "diesel-async-0_9-postgres")]
use crate::sql::executor::pipeline::Pipeline;
#[cfg(feature = "postgres")]
use crate::sql::plain::plain;
use crate::sql::schema::MessageTable;
use crate::sql::statements::messages;
use crate::store::page_request::PageRequest;

/// On Diesel's own connections, reads row by row: the rows are decoded while the server sends the next
/// ones, and a page that ends early is never in memory as a whole. On async connections, the rows come
/// in batches.
pub(super) fn read<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    #[cfg(feature = "postgres")]
    if let Some(plain) = plain::<PgConnection, C>(connection) {
        return messages::read_page::<PgRowByRowLoadingMode, _>(plain, table, request, receive);
    }
    #[cfg(feature = "diesel-async-0_9-postgres")]
    if let Some(pipeline) = Pipeline::of(connection) {
        return read_in_batches(&pipeline, table, request, receive);
    }
    messages::read_page::<DefaultLoadingMode, _>(connection, table, request, receive)
}

#[cfg(feature = "diesel-async-0_9-postgres")]
fn read_in_batches(
    pipeline: &Pipeline<'_>,
    table: &MessageTable,
    request: &PageRequest<'_>,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<(), Error> {
    if messages::is_empty(request) {
        return Ok(());
    }
    let failed = |cause| messages::failed_reading(request, cause);
    let page = messages::page::<Pg>(table, request, messages::MESSAGES);
    for_each_row(pipeline, page, failed, |row| {
        messages::hand_over::<Pg>(request.topic, row, receive)
    })
}
