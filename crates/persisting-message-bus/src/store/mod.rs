//! The traits that a backend implements, and their data: messages, cursors, leases, failures, inbox
//! and transactions. This module knows no database and no handler.

pub(crate) mod ahead;
pub(crate) mod consumer_state;
pub(crate) mod errors;
pub(crate) mod event_set;
pub(crate) mod failures;
pub(crate) mod identity;
pub(crate) mod inbox;
pub(crate) mod key;
pub(crate) mod lease;
pub(crate) mod not_parked;
pub(crate) mod page_request;
pub(crate) mod part;
pub(crate) mod place;
pub(crate) mod repository;
pub(crate) mod segment;
pub(crate) mod segment_rows;
pub(crate) mod slot_observations;
pub(crate) mod source;
pub(crate) mod transactions;
pub(crate) mod work;
