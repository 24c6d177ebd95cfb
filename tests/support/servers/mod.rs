//! Temporary database servers on free ports of the loopback interface, with their data in temporary
//! folders.

mod chromium;
mod mariadb;
mod nginx;
mod pgbouncer;
mod postgres;
mod process;

use std::env;

pub use self::chromium::Chromium;
pub use self::mariadb::MariadbServer;
pub use self::nginx::Nginx;
pub use self::pgbouncer::Pgbouncer;
pub use self::postgres::{PROGRAMS, PostgresServer};

/// Returns the address of the PostgreSQL server that all tests share.
pub fn postgres_url() -> String {
    url("POSTGRES_URL")
}

/// Returns the address of the MariaDB server that all tests share.
pub fn mariadb_url() -> String {
    url("MARIADB_URL")
}

fn url(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run ./test, or `cargo run -p persisting-message-bus-tests --bin \
             with-servers -- cargo test --workspace --all-features`"
        )
    })
}
