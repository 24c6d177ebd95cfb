//! Questions about the server, whose answers are variables of the session.
//!
//! - The name of the server's run, which is the same in all sessions of the run. It contains the
//!   second in which the server started, and a value that the server drew at random at its start:
//!   the end of its UUIDs of version 1. The server draws that value again if its clock is set back.
//!   Other UUIDs have no such part.
//! - The ways in which the server exchanges changes with other servers. A replica that has stopped to
//!   apply changes is like any other server until it starts again.
//! - The session's database. A prepared statement continues in the database in which it was prepared,
//!   even after USE, so the question is not prepared.
//!
//! The answers take some hundreds of microseconds, twenty times as long as reading other values, so
//! the session keeps them for 10 seconds. The server itself computes them, and not this program. So
//! if a proxy moves a session to another server, and repeats there the SET statements of the
//! session, the variables get the answers of that server.

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::classify::chain::class_of_cause;
use crate::error::class::Class;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::mysql::server::Server;
use crate::sql::watch::connections as watch;

/// The status variables of a node of Galera, and of a replica on MariaDB. Every user can read these.
const NODES: &str = "
    SELECT coalesce(group_concat(if(
        variable_name = 'Slaves_running',
        'applies the changes of another server, as a replica does',
        'is a node of a Galera cluster') SEPARATOR ' and '), '')
    FROM {status}
    WHERE variable_name = 'Wsrep_provider_name' AND variable_value <> ''
        OR variable_name = 'Slaves_running' AND variable_value <> '0'";

/// MySQL counts the variables of Group Replication, too. With a single primary, the other nodes
/// are read-only.
const NODES_OF_GROUP: &str = "
    SELECT if(count(*) = 2, 'is a node of a group with several primaries', '')
    FROM performance_schema.global_variables
    WHERE variable_name = 'group_replication_group_name' AND variable_value <> ''
        OR variable_name = 'group_replication_single_primary_mode' AND variable_value = 'OFF'";

/// The question whether a server of MySQL is a replica, which only privileged users can ask.
const REPLICA: &str = "SET @persisting_message_bus_nodes = concat(@persisting_message_bus_nodes, (
    SELECT if(count(*) > 0, 'applies the changes of another server, as a replica does', '')
    FROM performance_schema.replication_applier_status
    WHERE service_state = 'ON' AND channel_name NOT LIKE 'group_replication%'))";

/// Sets the variables.
pub(super) fn ask<C>(connection: &mut C, server: Server) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let status = server.global_status();
    let mut nodes = format!("({})", NODES.replace("{status}", status));
    if server == Server::Mysql {
        nodes = format!("concat({nodes}, ({NODES_OF_GROUP}))");
    }
    let set = format!(
        "SET @persisting_message_bus_asked = unix_timestamp(),
            @persisting_message_bus_database = database(),
            @persisting_message_bus_nodes = {nodes},
            @persisting_message_bus_run = (
                SELECT concat(
                    unix_timestamp() - CAST(variable_value AS SIGNED), '/',
                    if(uuid() LIKE '______________1%', substr(uuid(), 20), '')
                )
                FROM {status} WHERE variable_name = 'Uptime'
            )"
    );
    let was_paused = watch::set_paused(&mut OnSync(connection), true);
    let asked = set_variables(connection, server, &set);
    watch::set_paused(&mut OnSync(connection), was_paused);
    asked
}

fn set_variables<C>(connection: &mut C, server: Server, set: &str) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    connection.batch_execute(set)?;
    if server == Server::Mysql {
        match connection.batch_execute(REPLICA) {
            // A user without the privilege cannot know.
            Err(cause) if class_of_cause(&cause) == Class::Refused => {}
            asked => asked?,
        }
    }
    Ok(())
}
