//! A single consumer that catches up.

mod inserting;
mod library;
mod task;

pub use self::inserting::consume_inserting;
pub use self::library::{consume, until_done};
pub use self::task::{Kind, Task};
