//! The first statement of a reader: it reads the last position, and the run of the server that the
//! position belongs to.

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::NotFound;
use diesel::result::QueryResult;
use uuid::Uuid;

use crate::position::Position;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::dialect::{Statement, Value};
use crate::sql::mysql::server::Server;
use crate::sql::rows::{Column, first_row};
use crate::sql::schema::MessageTable;
use crate::store::place::MessageAt;

/// Reads the last position, and the identity of the server that reports it.
const LAST: &str = "
    SELECT coalesce((SELECT max({id}) FROM {table}), 0),
        (SELECT {message_id} FROM {table} ORDER BY {id} DESC LIMIT 1),
        (SELECT {message_id} FROM {table} WHERE {id} = ?), version(), CAST(@@read_only AS CHAR),
        CAST(@@autocommit AS SIGNED), CAST(@persisting_message_bus_run AS CHAR),
        concat(@@hostname, ':', @@port, '/', @@server_id, '/', database(), '/', ?)";

/// The values that are read of the message table and of the server.
pub(super) struct Last {
    pub(super) last: MessageAt,
    /// The id that is now at a former last position.
    pub(super) id_before: Option<Uuid>,
    version: String,
    read_only: String,
    autocommit: bool,
    /// The run of the server, if the session knows its name.
    pub(super) run: Option<String>,
    /// The identity of the table and of its server.
    table: String,
}

impl Last {
    /// Reads it. `before` is a former last position.
    pub(super) fn read<C>(
        connection: &mut C,
        table: &MessageTable,
        before: Position,
    ) -> QueryResult<Self>
    where
        C: LoadConnection<Backend = Mysql>,
    {
        let last = first_row(
            connection,
            Statement::new(LAST, table, [Number(before.get()), Text(&table.table)]),
            |[
                position,
                id,
                id_before,
                version,
                read_only,
                autocommit,
                run,
                table,
            ]| {
                let last = MessageAt {
                    position: position.integer("id").map(Position::new)?,
                    message_id: read_id(id),
                };
                Ok(Self {
                    last,
                    id_before: read_id(id_before),
                    version: version.text("version")?.to_owned(),
                    read_only: read_only.text("read_only")?.to_owned(),
                    autocommit: autocommit.integer("autocommit")? != 0,
                    run: run.optional_text("run")?.map(str::to_owned),
                    table: table.text("table")?.to_owned(),
                })
            },
        );
        last?.ok_or(NotFound)
    }

    /// Returns the server, or the reason why messages cannot be read from it.
    pub(super) fn server(&self) -> Result<Server, String> {
        if !["0", "OFF"].contains(&self.read_only.as_str()) {
            return Err(
                "this server is read_only: a replica does not see the locks of the primary's \
                 publishers; read from the primary"
                    .to_owned(),
            );
        }
        if !self.autocommit {
            return Err(
                "this session has autocommit = 0, so it does not see concurrent commits: set \
                 autocommit to 1"
                    .to_owned(),
            );
        }
        Server::of(&self.version)
    }

    /// Returns the source that the observations are about: see `SlotObservations::look`.
    pub(super) fn source(&self) -> Result<String, String> {
        match &self.run {
            Some(run) => Ok(format!("{} {run}", self.table)),
            None => Err(
                "this session does not keep the variables that are set in it; a proxy may run each \
                 statement in another session. Read messages without the proxy"
                    .to_owned(),
            ),
        }
    }
}

/// Reads the id of a message. A row without a valid id has none; its error comes when it is read.
fn read_id(id: &mut Column<'_, Mysql>) -> Option<Uuid> {
    let text = id.optional_text("message_id").ok().flatten();
    text.and_then(|text| Uuid::try_parse(text).ok())
}

/// Gives the session a name for the server's run, which is the same in all sessions of the run.
///
/// The name contains the second in which the server started, and a value that the server drew at
/// random at its start: the end of its UUIDs of version 1. The server draws that value again if its
/// clock is set back. Other UUIDs have no such part.
///
/// Computing the name takes twenty times as long as reading other values, so a variable of the
/// session keeps it. The server itself computes it, and not this program. So if a proxy moves a
/// session to another server, and repeats there the SET statements of the session, the variable
/// gets the name of that server's run.
pub(super) fn name_run<C>(
    connection: &mut C,
    table: &MessageTable,
    server: Server,
) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql>,
{
    let sql = format!(
        "SET @persisting_message_bus_run = (
            SELECT concat(
                unix_timestamp() - CAST(variable_value AS SIGNED), '/',
                if(uuid() LIKE '______________1%', substr(uuid(), 20), '')
            )
            FROM {} WHERE variable_name = 'Uptime'
        )",
        server.global_status()
    );
    let set = Statement::<Value<'_>>::new(sql, table, []);
    connection.execute_returning_count(&set).map(drop)
}
