use std::time::Duration;

use crate::error::Error;
use crate::message::name;
use crate::position::Position;
use crate::sql::backend::StoreBackend;
use crate::sql::executor::now;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::own_transactions::{abandon, is_in_transaction};
use crate::sql::statements::{consumers, failures, leases, renaming, segments};
use crate::sql::tables::{ConsumerTables, on_tables};
use crate::store::consumer_state::{
    ConsumerRow, CursorUpdate, MarkBeyond, MessageConsumerState, NoteWork, SegmentChange,
    SegmentRow,
};
use crate::store::identity::ConsumerIdentity;
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::place::Place;
use crate::store::segment::{Division, Segment};
use crate::store::segment_rows::read_with_segments;

#[diagnostic::do_not_recommend]
impl<T: ConsumerTables> MessageConsumerState for T {
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error> {
        on_tables(self, |connection, schema| {
            name::validate("consumer", request.consumer)?;
            name::validate("topic", request.topic)?;
            T::Backend::write(connection, false, |connection| {
                T::Backend::acquire(connection, schema, request)
            })
        })
    }

    fn note_work(&mut self, lease: &Lease, note: &NoteWork) -> Result<(), Error> {
        on_tables(self, |connection, schema| {
            // The note that work has begun is the first statement of its transaction.
            let is_first = note.work.is_some_and(|work| work.begun);
            T::Backend::write(connection, is_first, |connection| {
                leases::note_work(connection, schema, lease, note)
            })
        })
    }

    fn store_cursor(&mut self, lease: &Lease, store: &CursorUpdate) -> Result<(), Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                leases::store_cursor(connection, schema, lease, store)
            })
        })
    }

    fn renew(&mut self, lease: &Lease, duration: Duration) -> Result<(), Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                T::Backend::renew(connection, schema, lease, duration)
            })
        })
    }

    fn release(&mut self, lease: &Lease) -> Result<(), Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                leases::release(connection, schema, lease)
            })
        })
    }

    fn end_lease(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        let (_, segments) = read_with_segments(self, key)?;
        let held = segments.iter().filter(|it| it.row.lease_owner.is_some());
        let rows = std::iter::once(None).chain(held.map(|it| Some(&it.segment)));
        let is_alone = on_tables(self, |connection, _| {
            Ok(!is_in_transaction(&mut OnSync(connection)))
        })?;
        let (mut any, mut failed) = (false, Ok(()));
        for row in rows {
            let ended = on_tables(self, |connection, schema| {
                T::Backend::end_lease(connection, schema, key, row)
            });
            match ended {
                Ok(is_ended) => any |= is_ended,
                // A holder whose transaction is open keeps its own segment only.
                Err(error) if is_alone && !error.may_be_of_connection() => {
                    failed = failed.and(Err(error));
                }
                Err(error) => return failed.and(Err(error)),
            }
        }
        failed.map(|()| any)
    }

    fn reset(&mut self, lease: &Lease, place: Place) -> Result<(), Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                failures::reset(connection, schema, lease, place)
            })
        })
    }

    fn identify(&mut self, lease: &Lease, identity: ConsumerIdentity<'_>) -> Result<(), Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                leases::identify(connection, schema, lease, identity)
            })
        })
    }

    fn replace_event_set(
        &mut self,
        key: ConsumerKey<'_>,
        before: &str,
        after: &str,
    ) -> Result<bool, Error> {
        on_tables(self, |connection, schema| {
            consumers::replace_event_set(connection, schema, key, [before, after])
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<bool, Error> {
        on_tables(self, |connection, schema| {
            name::validate("consumer", from)?;
            name::validate("consumer", to)?;
            renaming::rename(connection, schema, from, to)
        })
    }

    fn pause(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        on_tables(self, |connection, schema| {
            let table = &schema.consumer_state;
            consumers::set_paused(connection, table, key, true)
        })
    }

    fn resume(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        on_tables(self, |connection, schema| {
            let table = &schema.consumer_state;
            consumers::set_paused(connection, table, key, false)
        })
    }

    fn abandon_state(&mut self) {
        abandon(&mut OnSync(self.parts().0));
    }

    fn stored_consumer(&mut self, key: ConsumerKey<'_>) -> Result<Option<ConsumerRow>, Error> {
        on_tables(self, |connection, schema| {
            now(consumers::status(&mut OnSync(connection), schema, key))
        })
    }

    fn divide(&mut self, leases: &[Lease], division: Division) -> Result<(), Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                segments::divide(connection, schema, leases, division)
            })
        })
    }

    fn segments(
        &mut self,
        key: ConsumerKey<'_>,
        division: Division,
    ) -> Result<Vec<SegmentRow>, Error> {
        on_tables(self, |connection, schema| {
            segments::list(connection, schema, key, division)
        })
    }

    fn stored_segment(
        &mut self,
        key: ConsumerKey<'_>,
        segment: &Segment,
    ) -> Result<Option<ConsumerRow>, Error> {
        on_tables(self, |connection, schema| {
            segments::stored(connection, schema, key, segment)
        })
    }

    fn change_division(
        &mut self,
        key: ConsumerKey<'_>,
        before: Division,
        after: Division,
    ) -> Result<bool, Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                segments::change_division(connection, schema, key, [before, after])
            })
        })
    }

    fn replace_segments(&mut self, changes: &[SegmentChange<'_>]) -> Result<bool, Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                segments::replace(connection, schema, changes)
            })
        })
    }

    fn stored_consumer_and_mark(
        &mut self,
        key: ConsumerKey<'_>,
        after: Position,
    ) -> Result<(Option<ConsumerRow>, MarkBeyond), Error> {
        on_tables(self, |connection, schema| {
            T::Backend::stored_consumer_and_mark(connection, schema, key, after)
        })
    }
}
