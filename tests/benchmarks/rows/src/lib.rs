//! Measurements of single operations of the library, and what they need. The package compares
//! nothing: two programs with the same rows and different versions of the library are compared.

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

/// A closure that works for a short time.
pub type Way = Box<dyn FnMut() -> Result<Done, Failure>>;
