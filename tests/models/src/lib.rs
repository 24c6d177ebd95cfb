//! The protocols that keep messages from being lost or handled twice, as state machines. The tests look
//! at every state that can be reached within small bounds.
//!
//! A model knows nothing of the library: it says what the library's statements do, one step for each
//! moment between which somebody else can come. Steps are named like the functions and the statements
//! that they stand for.
//!
//! A *control* is a model from which one mechanism is taken out. It has to violate a law: so the law
//! says something, and the mechanism is needed. The shortest way to the violation is part of the test,
//! for a test on a real database to go the same way.

pub mod check;
pub mod deaths;
pub mod fence;
pub mod lease;
mod positions;
pub mod slots;
pub mod transaction;
