//! Takes the lease with one statement, on databases whose UPDATE returns rows.

use diesel::connection::LoadConnection;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::{Dialect, Statement};
use crate::sql::rows::{Column, ReadValue, first_row};
use crate::sql::statements::consumers::{read_anchor, read_identity};
use crate::sql::statements::leases::{TAKEN_PAGE, taking_failed};
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::work::Work;

/// Returns what an earlier holder has left.
fn left(work: Option<&str>) -> Option<Work> {
    work.filter(|work| *work != TAKEN_PAGE)
        .map(Work::from_stored)
}

/// Runs a statement that takes the lease. Returns the lease if the statement returns a row.
pub(in crate::sql) fn take<C>(
    connection: &mut C,
    request: &LeaseRequest<'_>,
    statement: Statement<'_>,
) -> Result<Option<Lease>, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    type Columns<'a, DB> = [Column<'a, DB>; 9];
    let read = |columns: &mut Columns<'_, C::Backend>| {
        let [
            cursor,
            epoch,
            replay_until,
            work,
            suspect_until,
            anchor_position,
            anchor_id,
            event_set,
            source,
        ] = columns;
        Ok(Lease {
            consumer: request.consumer.to_owned(),
            topic: request.topic.to_owned(),
            segment: request.segment.cloned(),
            owner: request.owner.to_owned(),
            epoch: epoch.integer("lease_epoch")?,
            cursor: cursor.optional_integer("cursor")?.map(Position::new),
            anchor: read_anchor([anchor_position, anchor_id])?,
            replay_until: replay_until
                .optional_integer("replay_until")?
                .map(Position::new),
            left: left(work.optional_text("work")?),
            suspect_until: suspect_until
                .optional_integer("suspect_until")?
                .map(Position::new),
            identity: read_identity([event_set, source])?,
        })
    };
    first_row(connection, statement, read).map_err(|cause| taking_failed(request, cause))
}
