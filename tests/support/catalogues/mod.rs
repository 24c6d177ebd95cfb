//! The messages of the installed servers in all their languages. They are the source of the
//! library's tables, and the reference to which a test compares these.

mod errmsg;
mod gettext;
mod pattern;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use self::pattern::example_of;
pub use self::table::{Form, Table, with_translations};

/// A message of a server, as patterns: `*` stands for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub english: String,
    /// Pairs of language and text, sorted by language.
    pub translations: Vec<(String, String)>,
}

/// Returns the messages of PostgreSQL and its client library.
#[must_use]
pub fn of_postgres() -> Vec<Message> {
    let folder = Command::new("pg_config")
        .arg("--localedir")
        .output()
        .expect("pg_config, of the package libpq-dev: ./test installs what is needed");
    let folder = String::from_utf8(folder.stdout).expect("a path in UTF-8");
    gettext::messages(Path::new(folder.trim()), &["postgres-", "libpq5-"])
}

/// Returns the messages of MariaDB.
#[must_use]
pub fn of_mariadb() -> Vec<Message> {
    errmsg::messages(Path::new("/usr/share/mysql"))
}

/// Returns the path of the library's table for a database.
#[must_use]
pub fn table_of(database: &str) -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    crates.join(format!(
        "persisting-message-bus/src/sql/{database}/texts.txt"
    ))
}
