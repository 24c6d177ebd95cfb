//! Messages, topics and headers, typed and as they are stored. This module knows neither publishers
//! nor consumers, and no place where messages are kept.

pub(crate) mod derived;
pub(crate) mod derived_keys;
pub(crate) mod descriptor;
pub(crate) mod errors;
pub(crate) mod flow_id;
pub(crate) mod headers;
pub(crate) mod json;
pub(crate) mod key;
pub(crate) mod name;
pub(crate) mod plain_json;
pub(crate) mod raw;
pub(crate) mod slot;
pub(crate) mod storable;
pub(crate) mod stored_headers;
pub(crate) mod text_arena;
pub(crate) mod time;
pub(crate) mod topic;
pub(crate) mod traceparent;
pub(crate) mod typed;
