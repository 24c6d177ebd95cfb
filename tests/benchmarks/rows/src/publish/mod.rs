//! Publishing with the library for some time.

mod batches;
mod singles;

pub use self::batches::{dispatched_in_batches, over_and_over};
pub use self::singles::{Publishers, dispatched_one_by_one};
