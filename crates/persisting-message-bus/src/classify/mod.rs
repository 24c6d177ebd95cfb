//! Classifies database errors: what a caller can expect of a retry, in every language of the
//! server.

pub(crate) mod chain;
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
mod database;
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
pub(crate) mod fingerprint;
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
mod texts;
