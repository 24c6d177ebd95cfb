//! What a reader asks a server first: the last position, and which run of which server that is of.

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::NotFound;
use diesel::result::QueryResult;

use super::server::Server;
use crate::diesel::MessageTable;
use crate::diesel::rows::first_row;
use crate::diesel::statement::Value::Text;
use crate::diesel::statement::{Statement, Value};

/// The last position, and who says so.
const LAST: &str = "
    SELECT coalesce((SELECT max({id}) FROM {table}), 0), version(), CAST(@@read_only AS CHAR),
        CAST(@@autocommit AS SIGNED), CAST(@persisting_message_bus_run AS CHAR),
        concat(@@hostname, ':', @@port, '/', @@server_id, '/', database(), '/', ?)";

/// What is read of the message table, and of the server.
pub(super) struct Last {
    pub(super) position: i64,
    version: String,
    read_only: String,
    autocommit: bool,
    /// The run of the server, in a session that knows its name.
    pub(super) run: Option<String>,
    /// Which table of which server it is.
    table: String,
}

impl Last {
    pub(super) fn read<C>(connection: &mut C, table: &MessageTable) -> QueryResult<Self>
    where
        C: LoadConnection<Backend = Mysql>,
    {
        let last = first_row(
            connection,
            Statement::new(LAST, table, [Text(&table.table)]),
            |[position, version, read_only, autocommit, run, table]| {
                Ok(Self {
                    position: position.integer("id")?,
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

    /// The server, or why messages cannot be read from it.
    pub(super) fn server(&self) -> Result<Server, String> {
        if !["0", "OFF"].contains(&self.read_only.as_str()) {
            return Err(
                "this server is read_only: a replica does not see the locks of the primary's \
                 publishers, read from the primary"
                    .to_owned(),
            );
        }
        if !self.autocommit {
            return Err(
                "this session has autocommit = 0, so that it does not see what others \
                        commit meanwhile: set it to 1"
                    .to_owned(),
            );
        }
        Server::of(&self.version)
    }

    /// What sightings are about: see `Sightings::look`.
    pub(super) fn source(&self) -> Result<String, String> {
        match &self.run {
            Some(run) => Ok(format!("{} {run}", self.table)),
            None => Err(
                "this session does not keep the variables that are set in it: does a proxy give each \
                 statement another one? Read messages without it"
                    .to_owned(),
            ),
        }
    }
}

/// Gives the session a name of the server's run, which is the same in all sessions of the run.
///
/// It has the second in which the server started, and what the server drew at random then, and draws again
/// where its clock is set back: the end of its UUIDs of version 1. Other UUIDs have nothing of the sort.
///
/// As it takes twenty times as long as other values, a variable of the session keeps it. The server
/// itself finds it, and not this program: so a proxy that moves a session to another server, and repeats
/// there what the session has set, gets the name of that server's run.
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
