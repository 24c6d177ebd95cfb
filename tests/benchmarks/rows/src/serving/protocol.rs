//! What a row server is told on its standard input, and says on its standard output: one JSON text in each
//! line. It starts with [`Command::Begin`]; each command has one answer, and the end of the input ends it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Done;

/// What a program is called with that is to be a row server.
pub const NAME: &str = "serve-rows";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Answered by [`Answer::Rows`].
    Begin(Places),
    /// Answered by [`Answer::Done`]. A row that is not the one before has its databases made and filled
    /// first.
    Run(String),
}

/// Where databases are made, of those kinds that have an address.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Places {
    /// What the names of databases begin with: there is another row server.
    pub name: String,
    /// A folder.
    pub sqlite: Option<PathBuf>,
    pub postgres: Option<String>,
    pub mariadb: Option<String>,
    /// Only to see that everything runs.
    pub tiny: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The names of all rows that can be run.
    Rows(Vec<String>),
    Done(Done),
    /// Why not.
    Failed(String),
}
