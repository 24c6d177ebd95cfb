//! The statements for the segments of a consumer, in the form that every database understands.

use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Value::{Number, OptionalNumber, OptionalText, Text};
use crate::sql::dialect::{Dialect, Statement, Value};
use crate::sql::prepared::loaded;
use crate::sql::rows::{BrokenColumn, Column, ReadValue, first_row, with_columns};
use crate::sql::schema::{SegmentNames, TableSchema};
use crate::sql::statements::consumers::{OF_SEGMENT, failed, stored_consumer};
use crate::store::consumer_state::{ConsumerRow, SegmentChange, SegmentRow};
use crate::store::key::ConsumerKey;
use crate::store::lease::Lease;
use crate::store::part::SlotRange;
use crate::store::segment::{Division, Segment};

/// The segments follow the consumer, so its own lease is released.
const DIVIDE: &str = "
    UPDATE {table}
    SET {division} = ?, {work} = NULL, {lease_owner} = NULL, {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const CHANGE_DIVISION: &str = "
    UPDATE {table} SET {division} = ? WHERE {consumer} = ? AND {topic} = ? AND {division} = {text}";

const INSERT: &str = "
    INSERT INTO {table} ({consumer}, {topic}, {of_consumer}, {slot_from}, {slot_to}, {lease_epoch},
        {cursor}, {anchor_position}, {anchor_id}, {replay_until}, {event_set}, {source})
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Removes a segment whose lease is held.
const REMOVE: &str = "
    DELETE FROM {table}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

pub(in crate::sql) fn divide<C>(
    connection: &mut C,
    schema: &TableSchema,
    leases: &[Lease],
    division: Division,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    if schema.consumer_state.division.is_none() {
        let problem = "the table of consumers has no column for the division into segments";
        let doing = "dividing the consumer into segments";
        return Err(Error::permanent(doing, problem));
    }
    connection.transaction(|connection| {
        let mut leases = leases.iter();
        leases.try_for_each(|lease| divide_on(connection, schema, lease, division))
    })
}

/// Divides the consumer on one topic.
fn divide_on<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    division: Division,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let doing = format!("dividing the consumer into {} segments", division.segments);
    let failed = |cause| failed(lease.key(), &doing, cause);
    let text = division.to_string();
    let held = [&*text, &lease.consumer, &lease.topic, &lease.owner].map(Text);
    let values = held.into_iter().chain([Number(lease.epoch)]);
    let divide = Statement::new(DIVIDE, &schema.consumer_state, values);
    let divided = connection.execute_returning_count(&divide);
    match divided.map_err(failed)? {
        1 => insert(connection, schema, lease, division).map_err(failed),
        _ => Err(Error::lease_lost(lease)),
    }
}

/// Inserts the segments of a division. They begin where the lease's cursor stands, and the epochs
/// of their leases after its epoch.
fn insert<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    division: Division,
) -> QueryResult<()>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let id = lease.anchor.map(|anchor| anchor.message_id.to_string());
    let anchor = lease.anchor.map(|anchor| anchor.position);
    for segment in division.all(&lease.consumer) {
        let slots = segment
            .part
            .slots()
            .unwrap_or(SlotRange { from: -1, to: -1 });
        let values = [
            Text(&segment.name),
            Text(&lease.topic),
            Text(&lease.consumer),
            Number(slots.from.into()),
            Number(slots.to.into()),
            Number(lease.epoch),
            OptionalNumber(lease.cursor.map(Position::get)),
            OptionalNumber(anchor.map(Position::get)),
            OptionalText(id.as_deref()),
            OptionalNumber(lease.replay_until.map(Position::get)),
            OptionalText(lease.identity.event_set.as_deref()),
            OptionalText(lease.identity.source.as_deref()),
        ];
        let insert = Statement::new(INSERT, &schema.segments, values);
        connection.execute_returning_count(&insert)?;
    }
    Ok(())
}

pub(in crate::sql) fn list<C>(
    connection: &mut C,
    schema: &TableSchema,
    key: ConsumerKey<'_>,
    division: Division,
) -> Result<Vec<SegmentRow>, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let failed = |cause| failed(key, "reading the segments", cause);
    let sql = format!("SELECT {OF_SEGMENT}, {{consumer}} FROM {{segments_of}}");
    let failures = [key.consumer, key.topic].repeat(2).into_iter().map(Text);
    let total = Number(division.segments.into());
    let names = [Text(key.consumer), Text(key.topic)];
    let values = failures.chain([total]).chain(names);
    let names = SegmentNames(schema);
    let read = |connection: &mut C| {
        let rows = connection.load(Statement::new(sql, &names, values))?;
        let rows = rows.map(|row| {
            with_columns(&row?, |columns: &mut [Column<'_, C::Backend>; 19]| {
                let name = columns[18].text("segment")?.to_owned();
                Ok((name, of_segment(&mut columns[..18])?))
            })
            .map_err(|broken: BrokenColumn| DieselError::DeserializationError(Box::new(broken)))
        });
        rows.collect::<QueryResult<Vec<_>>>()
    };
    let rows = read(connection);
    let rows = loaded(connection, rows).map_err(failed)?;
    in_order(key, division, rows)
}

/// Sorts the rows, and checks that they are the segments of the division. A slot that no segment
/// has would lose messages, and a slot of two segments would repeat them.
fn in_order(
    key: ConsumerKey<'_>,
    division: Division,
    rows: Vec<(String, (ConsumerRow, SlotRange))>,
) -> Result<Vec<SegmentRow>, Error> {
    let broken = |problem: String| {
        let doing = format!("reading the segments on topic \"{}\"", key.topic);
        Err(Error::permanent(doing, problem).of_consumer(key.consumer))
    };
    let found = rows.len();
    let mut rows: std::collections::HashMap<_, _> = rows.into_iter().collect();
    let mut segments = Vec::with_capacity(found);
    for segment in division.all(key.consumer) {
        let Some((row, slots)) = rows.remove(&segment.name) else {
            return broken(format!(
                "there is no segment {} of \"{division}\"",
                segment.number
            ));
        };
        if segment.part.slots() != Some(slots) {
            let (SlotRange { from, to }, number) = (slots, segment.number);
            let wrong = format!("segment {number} of \"{division}\" has the slots {from} to {to}");
            return broken(wrong);
        }
        segments.push(SegmentRow { segment, row });
    }
    match rows.keys().next() {
        Some(other) => broken(format!(
            "the row \"{other}\" is no segment of \"{division}\""
        )),
        None => Ok(segments),
    }
}

pub(in crate::sql) fn stored<C>(
    connection: &mut C,
    schema: &TableSchema,
    key: ConsumerKey<'_>,
    segment: &Segment,
) -> Result<Option<ConsumerRow>, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let sql = format!(
        "SELECT {OF_SEGMENT} FROM {{table}} AS segment WHERE {{consumer}} = ? AND {{topic}} = ?
        ORDER BY segment.{{lease_epoch}} DESC LIMIT 1"
    );
    let failures = [key.consumer, key.topic].repeat(2);
    let values = failures.into_iter().chain([&*segment.name, key.topic]);
    let names = SegmentNames(schema);
    let row = first_row(
        connection,
        Statement::new(sql, &names, values.map(Text)),
        |columns: &mut [Column<'_, C::Backend>; 18]| of_segment(columns).map(|(row, _)| row),
    );
    row.map_err(|cause| failed(key, "reading the segment's state", cause))
}

fn of_segment<DB: ReadValue>(
    columns: &mut [Column<'_, DB>],
) -> Result<(ConsumerRow, SlotRange), BrokenColumn> {
    let broken = |_| BrokenColumn::new("segment", "18 columns", "another number");
    let (row, slots) = columns.split_at_mut(16);
    let row: &mut [Column<'_, DB>; 16] = row.try_into().map_err(broken)?;
    let [from, to]: &mut [Column<'_, DB>; 2] = slots.try_into().map_err(broken)?;
    let slots = SlotRange {
        from: slot("slot_from", from)?,
        to: slot("slot_to", to)?,
    };
    Ok((stored_consumer(row)?, slots))
}

fn slot<DB: ReadValue>(
    name: &'static str,
    column: &mut Column<'_, DB>,
) -> Result<i16, BrokenColumn> {
    let found = column.integer(name)?;
    i16::try_from(found).map_err(|_| BrokenColumn::new(name, "a slot", found))
}

pub(in crate::sql) fn change_division<C>(
    connection: &mut C,
    schema: &TableSchema,
    key: ConsumerKey<'_>,
    [before, after]: [Division; 2],
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let [before, after] = [before, after].map(|division| division.to_string());
    let values = [&*after, key.consumer, key.topic, &*before].map(Text);
    let changed = Statement::new(CHANGE_DIVISION, &schema.consumer_state, values);
    let changed = connection.execute_returning_count(&changed);
    changed
        .map(|changed| changed > 0)
        .map_err(|cause| failed(key, "changing the number of segments", cause))
}

pub(in crate::sql) fn replace<C>(
    connection: &mut C,
    schema: &TableSchema,
    changes: &[SegmentChange<'_>],
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let replaced = connection.transaction(|connection| {
        for change in changes {
            if !replace_on(connection, schema, change)? {
                return Err(NotReplaced::OtherDivision);
            }
        }
        Ok(())
    });
    match replaced {
        Ok(()) => Ok(true),
        Err(NotReplaced::OtherDivision) => Ok(false),
        Err(NotReplaced::Failed(error)) => Err(error),
    }
}

/// Why nothing was replaced.
enum NotReplaced {
    OtherDivision,
    Failed(Error),
}

impl From<Error> for NotReplaced {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<DieselError> for NotReplaced {
    fn from(cause: DieselError) -> Self {
        Self::Failed(cause.into())
    }
}

/// Replaces the segments on one topic.
fn replace_on<C>(
    connection: &mut C,
    schema: &TableSchema,
    change: &SegmentChange<'_>,
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let key = change.key;
    let failed = |cause| failed(key, "replacing the segments", cause);
    let Some(latest) = change.leases.iter().max_by_key(|lease| lease.epoch) else {
        return Ok(false);
    };
    if !change_division(connection, schema, key, [change.before, change.after])? {
        return Ok(false);
    }
    for lease in &change.leases {
        let held = [lease.row_name(), &lease.topic, &lease.owner].map(Text);
        let held = held.into_iter().chain([Number(lease.epoch)]);
        let remove = Statement::new(REMOVE, &schema.segments, held);
        let removed = connection.execute_returning_count(&remove);
        if removed.map_err(failed)? != 1 {
            return Err(Error::lease_lost(lease));
        }
    }
    let new = Lease {
        segment: None,
        epoch: latest.epoch + 1,
        cursor: change.place.cursor,
        anchor: change.place.anchor,
        replay_until: change.replay_until(),
        ..latest.clone()
    };
    insert(connection, schema, &new, change.after).map_err(failed)?;
    Ok(true)
}

/// Returns the condition that a failure belongs to the lease's segment, with its values.
pub(in crate::sql) fn of_slots(slots: Option<SlotRange>) -> (&'static str, Vec<Value<'static>>) {
    match slots {
        None => ("", Vec::new()),
        Some(SlotRange { from, to }) => (
            " AND {key_slot} BETWEEN ? AND ?",
            vec![Number(from.into()), Number(to.into())],
        ),
    }
}
