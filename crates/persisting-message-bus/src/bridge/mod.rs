//! Joins two places: a bus of messages and state, the relay, and the inbox for messages from
//! outside. This module knows no database; it works on any implementation of the traits in `store`.

pub(crate) mod bus;
pub(crate) mod inbox;
pub(crate) mod relay;
