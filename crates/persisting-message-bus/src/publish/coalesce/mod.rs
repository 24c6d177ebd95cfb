//! Publishing outside of the caller's transactions: concurrent calls share a commit (group commit).

pub(crate) mod coalescer;
pub(crate) mod dispatcher;
pub(crate) mod limits;
mod mailbox;
pub(crate) mod queue;
pub(crate) mod writer;
