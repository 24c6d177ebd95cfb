//! What the library does, measured one thing at a time, and what is needed for that. There is nothing here
//! to compare it with: two programs with the same rows and different libraries are.

pub mod backends;
pub mod consume;
pub mod fill;
pub mod on_topics;
pub mod publish;
pub mod serving;
pub mod side_by_side;
pub mod topic;

mod done;

pub use self::done::Done;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Does something for a short time.
pub type Way = Box<dyn FnMut() -> Result<Done, Failure>>;
