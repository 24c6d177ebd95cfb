//! Publishing outside of the caller's transactions: concurrent calls share a commit (group commit).

pub(crate) mod coalescer;
pub(crate) mod dispatcher;
mod limits;
mod mailbox;
mod queue;
mod writer;
