//! How several processes share the segments of one consumer.
//!
//! A *segment* is a range of the slots of keys, with a cursor and a lease of its own. A process
//! takes a free segment for each of its idle threads, handles some messages, and releases the
//! segment. No process takes a segment whose lease has not expired.

pub mod holding;
