//! One consumer that catches up.

mod library;
mod task;

pub use self::library::consume;
pub use self::task::{Kind, Task};
