//! Consumers whose messages are divided into segments, so that many handlers work at once.
//!
//! A segment is a range of slots with a cursor and a lease of its own. The holder of a segment's
//! lease works as a consumer does, on that part of the topics. So everything that consumers
//! guarantee holds for each segment.
//!
//! No process owns a segment for longer than a time slice. A thread without work takes the free
//! segment that has waited longest, and releases it when its page is handled or the slice is over.
//! So no protocol decides which process works on which segment, and a process that joins or leaves
//! repeats nothing.

mod agreeing;
mod dividing;
pub(crate) mod fitting;
pub(crate) mod holding;
pub(crate) mod look;
pub(crate) mod operating;
pub(crate) mod parallel;
pub(crate) mod resizing;
