//! Messages, topics and headers, typed and as they are stored. This module knows neither publishers
//! nor consumers, and no place where messages are kept.

pub(crate) mod derived;
pub(crate) mod descriptor;
pub(crate) mod errors;
pub(crate) mod headers;
pub(crate) mod name;
pub(crate) mod raw;
pub(crate) mod stored_headers;
pub(crate) mod text_arena;
pub(crate) mod topic;
pub(crate) mod typed;
