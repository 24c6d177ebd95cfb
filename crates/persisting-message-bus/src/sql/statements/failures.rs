//! The statements for failed messages, in the form that every database understands.

use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};

use crate::error::Error;
use crate::message::slot::Slot;
use crate::position::Position;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::dialect::{Dialect, Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::prepared::loaded;
use crate::sql::rows::{BrokenColumn, Column, ReadValue, with_columns};
use crate::sql::schema::{FailureTable, TableSchema};
use crate::sql::statements::consumers::failed;
use crate::sql::statements::segments::of_slots;
use crate::sql::statements::{leases, messages, renewals};
use crate::store::consumer_state::CursorUpdate;
use crate::store::failures::{FailedMessage, FailedMessagesRequest, FailurePolicy, FailureState};
use crate::store::lease::Lease;
use crate::store::part::Part;
use crate::store::place::{MessageAt, Place};

const FORGET_VOID: &str = "
    DELETE FROM {table}
    WHERE {consumer} = ? AND {topic} = ? AND ({position} > ? OR {state} IN
        ('failing', 'stopped', 'unknown', 'final'))";

const SET_STATE: &str = "
    UPDATE {table} SET {state} = ? WHERE {consumer} = ? AND {topic} = ? AND {position} = ?";

const FORGET: &str = "
    DELETE FROM {table} WHERE {consumer} = ? AND {topic} = ? AND {position} = ?";

/// Changes no value. The update locks the row, so that other transactions wait for it.
const KEEP_REDRIVEN: &str = "
    UPDATE {table} SET {state} = 'redriven'
    WHERE {consumer} = ? AND {topic} = ? AND {position} = ? AND {state} = 'redriven'";

const TAKE_REDRIVEN: &str = "
    DELETE FROM {table}
    WHERE {consumer} = ? AND {topic} = ? AND {position} = ? AND {state} = 'redriven'";

const LIST: &str = "
    SELECT {position}, {message_id}, {message_type}, {state}, {attempts}, {error},
        {first_failed_at}, {last_failed_at}
    FROM {table}
    WHERE {consumer} = ? AND {topic} = ? AND {state} = ? AND {position} > ?";

/// Returns the key of a failed message.
pub(super) fn key<'a>(lease: &'a Lease, position: Position) -> [Value<'a>; 3] {
    [
        Text(&lease.consumer),
        Text(&lease.topic),
        Number(position.get()),
    ]
}

pub(in crate::sql) fn give_up<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    message: MessageAt,
    then: FailurePolicy,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let table = &schema.failures;
    let position = message.position;
    let set = |connection: &mut C, state: FailureState| {
        let state = [Text(state.as_str())];
        let values = state.into_iter().chain(key(lease, position));
        execute(connection, table, SET_STATE, values)
    };
    let update = CursorUpdate {
        place: message.place_after(lease.place()),
        extend_lease: None,
    };
    connection.transaction(|connection| {
        if then == FailurePolicy::Stop {
            leases::end(connection, schema, lease)?;
        } else {
            leases::store_cursor(connection, schema, lease, &update)?;
        }
        let noted = match then {
            FailurePolicy::Stop => set(connection, FailureState::Stopped),
            FailurePolicy::Park => set(connection, FailureState::Parked),
            FailurePolicy::Skip => execute(connection, table, FORGET, key(lease, position)),
        };
        match noted {
            Ok(1..) => Ok(()),
            // The cursor has passed the message, and no row would record it.
            Ok(0) => Err(DieselError::NotFound),
            Err(cause) => Err(cause),
        }
        .map_err(|cause| {
            let doing =
                format!("applying the failure policy to the message at position {position}");
            failed(lease.key(), &doing, cause)
        })
    })
}

pub(in crate::sql) fn reset<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    place: Place,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    connection.transaction(|connection| {
        leases::reset(connection, schema, lease, place)?;
        let values = key(lease, place.position());
        let forgotten = execute_in(connection, &schema.failures, FORGET_VOID, values, lease);
        forgotten.map(drop).map_err(|cause| {
            let doing = "deleting the recorded failures";
            failed(lease.key(), doing, cause)
        })
    })
}

pub(in crate::sql) fn is_redriven<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    position: Position,
    extend_lease: Duration,
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    change_redriven(
        connection,
        schema,
        lease,
        position,
        extend_lease,
        KEEP_REDRIVEN,
    )
}

pub(in crate::sql) fn take_redriven<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    position: Position,
    extend_lease: Duration,
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    change_redriven(
        connection,
        schema,
        lease,
        position,
        extend_lease,
        TAKE_REDRIVEN,
    )
}

/// Changes the row of a redriven message. The consumer's row is locked first, in the same
/// transaction: a late statement of an earlier holder must not change the row of a message that was
/// parked and redriven again since.
fn change_redriven<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    position: Position,
    extend_lease: Duration,
    change: &'static str,
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    connection.transaction(|connection| {
        renewals::renew(connection, schema, lease, extend_lease)?;
        let changed = execute(connection, &schema.failures, change, key(lease, position));
        changed.map(|changed| changed > 0).map_err(|cause| {
            let doing = format!("taking the redriven message at position {position}");
            failed(lease.key(), &doing, cause)
        })
    })
}

pub(in crate::sql) fn list<C>(
    connection: &mut C,
    table: &FailureTable,
    request: &FailedMessagesRequest<'_>,
) -> Result<Vec<FailedMessage>, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let values = [
        Text(request.consumer),
        Text(request.topic),
        Text(request.state.as_str()),
        Number(request.after.get()),
    ];
    let (in_slots, slots) = of_slots(request.slots);
    let sql = format!("{LIST}{in_slots} ORDER BY {{position}} LIMIT {{limit}}");
    let values = values.into_iter().chain(slots);
    let values = values.chain([Value::limit(request.limit)]);
    let doing = || format!("listing failed messages of topic \"{}\"", request.topic);
    let failed = |cause| failed_while(doing(), cause).of_consumer(request.consumer);
    let read = |connection: &mut C| {
        let rows = connection.load(Statement::new(sql, table, values))?;
        let messages = rows.map(|row| Ok(with_columns(&row?, failed_message)));
        messages.collect::<QueryResult<Vec<_>>>()
    };
    let messages = read(connection);
    let messages = loaded(connection, messages).map_err(failed)?;
    let broken = |broken| Error::permanent(doing(), broken);
    messages.into_iter().map(|it| it.map_err(broken)).collect()
}

fn failed_message<DB: ReadValue>(
    [
        position,
        message_id,
        message_type,
        state,
        attempts,
        error,
        first,
        last,
    ]: &mut [Column<'_, DB>; 8],
) -> Result<FailedMessage, BrokenColumn> {
    let id = message_id.optional_text("message_id")?;
    let state = state.text("state")?;
    Ok(FailedMessage {
        position: position.integer("position").map(Position::new)?,
        message_id: id.and_then(|id| id.parse().ok()),
        message_type: message_type
            .optional_text("message_type")?
            .map(str::to_owned),
        state: FailureState::from_stored(state)
            .ok_or_else(|| BrokenColumn::new("state", "a state of a failed message", state))?,
        attempts: count(attempts)?,
        error: error.text("error")?.to_owned(),
        first_failed_at: first.time("first_failed_at")?,
        last_failed_at: last.time("last_failed_at")?,
    })
}

/// Executes a statement on the failures of the lease's segment, or of the whole consumer.
pub(super) fn execute_in<'a, C>(
    connection: &mut C,
    table: &'a FailureTable,
    sql: &'static str,
    key: [Value<'a>; 3],
    lease: &Lease,
) -> QueryResult<usize>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let part = lease.segment.as_ref().map(|segment| segment.part);
    let (in_slots, slots) = of_slots(part.and_then(Part::slots));
    let values = key.into_iter().chain(slots);
    let statement = Statement::new(format!("{sql}{in_slots}"), table, values);
    connection.execute_returning_count(&statement)
}

/// Returns the slot by which a message belongs to the lease's segment. If the row of the message is
/// elsewhere, or another message is at its position here, this is the first slot of the segment.
pub(super) fn slot_of<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    position: Position,
) -> QueryResult<Slot>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let part = lease.segment.as_ref().map(|segment| segment.part);
    match part.unwrap_or_default() {
        Part::Whole => Ok(Slot::NONE),
        Part::Positions(_) => Ok(Part::slot_of(position)),
        Part::Keys(range) => {
            let found = messages::slot_at(connection, &schema.messages, &lease.topic, position)?;
            let found = found.filter(|slot| range.contains(*slot));
            Ok(found.unwrap_or(Slot::new(range.from)))
        }
    }
}

pub(super) fn execute<'a, C>(
    connection: &mut C,
    table: &'a FailureTable,
    sql: &'static str,
    values: impl IntoIterator<Item = Value<'a>>,
) -> QueryResult<usize>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    connection.execute_returning_count(&Statement::new(sql, table, values))
}

pub(super) fn count<DB: ReadValue>(attempts: &mut Column<'_, DB>) -> Result<u32, BrokenColumn> {
    let found = attempts.integer("attempts")?;
    u32::try_from(found).map_err(|_| BrokenColumn::new("attempts", "a number from 0", found))
}
