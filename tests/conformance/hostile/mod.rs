//! Values from outside, which must not surprise.

pub mod flows;
pub mod messages;
