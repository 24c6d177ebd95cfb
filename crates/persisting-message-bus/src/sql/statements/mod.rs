//! The SQL statements that all databases share, one module for each concern.
//!
//! Their texts contain the placeholders of `sql/dialect.rs`, which each database replaces with
//! expressions of its own. Statements that differ between databases are in the modules of the
//! databases: publishing, the high-water mark, the last position, and acquiring a lease.

pub(super) mod consumers;
pub(super) mod counting;
pub(super) mod duplicates;
pub(super) mod failures;
pub(super) mod flows;
pub(super) mod leases;
pub(super) mod messages;
pub(super) mod parked;
pub(super) mod passing;
pub(super) mod recording;
pub(super) mod renaming;
pub(super) mod renewals;
pub(super) mod segments;
#[cfg(any(feature = "sqlite", feature = "postgres_backend"))]
pub(super) mod taking;
