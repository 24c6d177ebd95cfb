//! The protocol of a row server: commands on its standard input, and answers on its standard
//! output. Each line is one JSON text. The first command is [`Command::Begin`]. Each command has
//! one answer, and the server ends when the input ends.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Done;

/// The argument that makes a program a row server.
pub const NAME: &str = "serve-rows";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Starts the server. The answer is [`Answer::Rows`].
    Begin(Places),
    /// Runs a turn of a row. The answer is [`Answer::Done`]. If the row is not that of the last
    /// turn, its databases are created and filled first.
    Run(String),
}

/// The places in which databases are created, for each kind that has an address.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Places {
    /// The prefix of database names, which differs from that of the other row server.
    pub name: String,
    /// The folder of SQLite files.
    pub sqlite: Option<PathBuf>,
    pub postgres: Option<String>,
    pub mariadb: Option<String>,
    /// Uses amounts that only show that everything runs.
    pub tiny: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The names of all rows that can be run.
    Rows(Vec<String>),
    Done(Done),
    /// The reason of a failure.
    Failed(String),
}
