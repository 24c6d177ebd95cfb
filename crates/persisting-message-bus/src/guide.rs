//! The manual.

#[doc = include_str!("../docs/choosing-a-database.md")]
pub mod choosing_a_database {}

#[doc = include_str!("../docs/publishing-from-anywhere.md")]
pub mod publishing_from_anywhere {}

#[doc = include_str!("../docs/running-consumers.md")]
pub mod running_consumers {}

#[doc = include_str!("../docs/many-handlers-at-once.md")]
pub mod many_handlers_at_once {}

#[doc = include_str!("../docs/from-async-code.md")]
pub mod from_async_code {}

#[doc = include_str!("../docs/errors.md")]
pub mod errors {}

#[doc = include_str!("../docs/how-fast-and-why.md")]
pub mod how_fast_and_why {}
