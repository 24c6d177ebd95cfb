//! How several processes share the segments of one consumer.
//!
//! A *segment* is a range of the slots of keys, with a cursor and a lease of its own. A process
//! takes a free segment for each of its idle threads, handles some messages, and releases the
//! segment. No process takes a segment whose lease has not expired.
//!
//! The protocol is three models. The first two include all that the other one can do:
//!
//! - [`holding`]: which process holds which segment, for three processes and four segments. A lease
//!   has one holder, a process holds at most one segment for each thread, and no segment with work
//!   waits longer than the others need. A process can work on a segment for any time, and the segment
//!   can run out of work at any time. So whatever happens to the messages is included.
//! - [`handling`]: messages, epochs and cursors, resets, and changes of the number of segments. An
//!   epoch has one holder, keys are in order, nothing is skipped, and nothing repeats without a fault.
//!   Any process with an idle thread can take any free segment. So each order in which processes
//!   choose segments is included.
//! - [`topics`]: how the segments of several topics are replaced.
//!
//! Segments meet only when a process takes one, because of its threads, and when all rows are
//! replaced. The first two have runs with several segments. The runs of `handling` with most faults
//! have two processes: processes learn of each other by rows only, and a row names one owner.

pub mod handling;
pub mod holding;
pub mod topics;
