use benchmark_rows::Failure;
use benchmark_rows::serving::Places;
use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};
use tempfile::TempDir;

use crate::arguments::Chosen;
use crate::servers;

/// A server of each kind, on which each side has its own databases.
pub struct SharedServers {
    sqlite: Option<TempDir>,
    postgres: Option<PostgresServer>,
    mariadb: Option<MariadbServer>,
}

impl SharedServers {
    pub fn start(databases: &[Chosen]) -> Result<Self, Failure> {
        let is_chosen = |database| databases.contains(&database);
        Ok(Self {
            sqlite: is_chosen(Chosen::Sqlite)
                .then(tempfile::tempdir)
                .transpose()?,
            postgres: is_chosen(Chosen::Postgres).then(servers::postgres),
            mariadb: is_chosen(Chosen::Mariadb).then(servers::mariadb),
        })
    }

    /// Returns the places for a side whose database names begin with `name`.
    pub fn places(&self, name: &str, tiny: bool) -> Places {
        Places {
            name: name.to_owned(),
            sqlite: self.sqlite.as_ref().map(|folder| folder.path().into()),
            postgres: self.postgres.as_ref().map(PostgresServer::url),
            mariadb: self.mariadb.as_ref().map(MariadbServer::url),
            tiny,
        }
    }
}
