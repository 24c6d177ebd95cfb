//! The first statement of a reader: it reads the last position, and which server, run of the server
//! and database the position belongs to.

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::NotFound;
use diesel::result::QueryResult;
use uuid::Uuid;

use crate::position::Position;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::mysql::server::Server;
use crate::sql::rows::{Column, first_row};
use crate::sql::schema::{MessageTable, TableSchema};
use crate::store::place::MessageAt;

/// Reads the last position, and the identity of the server that reports it.
const LAST: &str = "
    SELECT coalesce((SELECT max({id}) FROM {table}), 0),
        (SELECT {message_id} FROM {table} ORDER BY {id} DESC LIMIT 1),
        (SELECT {message_id} FROM {table} WHERE {id} = ?), version(), CAST(@@read_only AS CHAR),
        CAST(@@autocommit AS SIGNED), CAST(@persisting_message_bus_run AS CHAR),
        CAST(@persisting_message_bus_nodes AS CHAR),
        coalesce(unix_timestamp() - @persisting_message_bus_asked BETWEEN 0 AND 9, 0),
        coalesce(@persisting_message_bus_database = database(), 0),
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
    run: Option<String>,
    /// The way in which the server exchanges changes with others, if the session knows it.
    nodes: Option<String>,
    /// Whether the session has asked for both in the last 10 seconds.
    has_asked: bool,
    /// Whether the session has asked in the database in which this statement was prepared.
    is_in_database: bool,
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
        C: LoadConnection<Backend = Mysql> + 'static,
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
                nodes,
                has_asked,
                is_in_database,
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
                    nodes: nodes.optional_text("nodes")?.map(str::to_owned),
                    has_asked: has_asked.integer("has_asked")? != 0,
                    is_in_database: is_in_database.integer("is_in_database")? != 0,
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

    /// Returns `true` if the session must ask (again): see `session.rs`.
    pub(super) fn needs_answers(&self) -> bool {
        self.run.is_none() || !self.has_asked || !self.is_in_database
    }

    /// Returns the source that the observations are about: see `SlotObservations::look`.
    pub(super) fn source(&self, schema: &TableSchema) -> Result<String, String> {
        let (Some(run), Some(nodes)) = (&self.run, &self.nodes) else {
            return Err(
                "this session does not keep the variables that are set in it; a proxy may run each \
                 statement in another session. Read messages without the proxy"
                    .to_owned(),
            );
        };
        if !self.is_in_database {
            return Err(
                "USE has changed the database of this session, but statements that were prepared \
                 before it continue in the former database; open a connection to each database"
                    .to_owned(),
            );
        }
        if !nodes.is_empty() && !schema.is_on_one_node {
            return Err(format!(
                "this server {nodes}, so messages can arrive from publishers whose slots it does \
                 not see, and would be skipped; publish and read on one server only, and state that \
                 with TableSchema::on_one_node"
            ));
        }
        Ok(format!("{} {run}", self.table))
    }
}

/// Reads the id of a message. A row without a valid id has none; its error comes when it is read.
fn read_id(id: &mut Column<'_, Mysql>) -> Option<Uuid> {
    let text = id.optional_text("message_id").ok().flatten();
    text.and_then(|text| Uuid::try_parse(text).ok())
}
