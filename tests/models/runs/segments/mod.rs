//! Several processes share the segments of one consumer: each segment has one holder, and no segment
//! waits forever.

mod holding;
mod sharing;
