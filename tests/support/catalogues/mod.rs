//! What the installed servers say, in all languages that they have: the source of the library's tables, and what
//! they are compared with.

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
    /// By their languages, in the order of these.
    pub translations: Vec<(String, String)>,
}

/// What PostgreSQL and its client library say.
#[must_use]
pub fn of_postgres() -> Vec<Message> {
    let folder = Command::new("pg_config")
        .arg("--localedir")
        .output()
        .expect("pg_config, of the package libpq-dev: ./test installs what is needed");
    let folder = String::from_utf8(folder.stdout).expect("a path in UTF-8");
    gettext::messages(Path::new(folder.trim()), &["postgres-", "libpq5-"])
}

/// What MariaDB says.
#[must_use]
pub fn of_mariadb() -> Vec<Message> {
    errmsg::messages(Path::new("/usr/share/mysql"))
}

/// The library's table of a database.
#[must_use]
pub fn table_of(database: &str) -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    crates.join(format!(
        "persisting-message-bus/src/diesel/{database}/texts.txt"
    ))
}
