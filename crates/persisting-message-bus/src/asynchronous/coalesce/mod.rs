//! Group commits of messages that tasks dispatch at the same time.

pub(crate) mod coalescer;
pub(crate) mod connection;
pub(crate) mod dispatcher;
pub(crate) mod queue;
pub(crate) mod writer;
