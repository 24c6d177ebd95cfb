//! Consumers: how messages are read, handed to a handler, and passed by the cursor.
//!
//! Start with `cycle.rs`. It runs one cycle of a consumer, from the lease to the cursor, and calls
//! the other files in this order:
//!
//! | step | files |
//! |---|---|
//! | Poll the heads and the consumer's rows, without a lease | `poll.rs`, `topic_reader.rs`, `suspicion.rs` |
//! | Compare what this program reads with what is stored | `identity.rs`, `newer.rs`, `unread.rs`, `unread_progress.rs` |
//! | Handle redriven messages | `redriven.rs` |
//! | Wait for the turn, take and release the leases | `gate.rs`, `holding.rs`, `leases.rs` |
//! | Store the first cursor, or a larger event set | `start.rs`, `added.rs` |
//! | Read a page from one or several topics, and recognise its source | `topic_page.rs`, `page.rs`, `reading_ahead.rs`, `recognise.rs` |
//! | Hand over the page, store the cursors | `handler.rs`: `external.rs` or `transactional.rs` |
//! | Settle a failure | `settling.rs`, `failing.rs`, `recording.rs`, `caution.rs` |
//! | Choose the next step | `progress.rs` |
//!
//! An external handler works outside of the database, so its cursors follow its effects. If they
//! cannot be stored, `unstored.rs` keeps them for the next connection. `shared_leases.rs` shows the
//! leases to the heartbeat in `run/` while the handler is at work.
//!
//! A transactional handler shares one transaction with the cursors. `hand_over.rs` calls it,
//! `attempt.rs` judges the transaction afterwards, and `bisect.rs` finds the failing message.
//!
//! `consumer.rs` has the consumer, and `building.rs` sets its settings: `settings.rs`,
//! `retry_policy.rs`, `unknown.rs`, `on_added.rs` and `start_at.rs`. `pause.rs`, `reset.rs`, `accept.rs`
//! and `narrow.rs` have the methods for operators; `moving.rs` changes the rows of all topics for them.

pub(crate) mod accept;
pub(crate) mod added;
pub(crate) mod attempt;
pub(crate) mod bisect;
pub(crate) mod building;
pub(crate) mod caution;
pub(crate) mod consumer;
pub(crate) mod cycle;
pub(crate) mod deadline;
pub(crate) mod divided;
pub(crate) mod ends;
pub(crate) mod errors;
pub(crate) mod external;
pub(crate) mod failing;
pub(crate) mod gate;
pub(crate) mod hand_over;
pub(crate) mod handler;
pub(crate) mod handler_result;
pub(crate) mod holding;
pub(crate) mod identity;
pub(crate) mod in_transaction;
mod keeping;
pub(crate) mod leases;
pub(crate) mod memory;
pub(crate) mod moving;
pub(crate) mod narrow;
pub(crate) mod newer;
pub(crate) mod on_added;
pub(crate) mod own_event_set;
pub(crate) mod page;
pub(crate) mod pause;
pub(crate) mod poll;
pub(crate) mod progress;
pub(crate) mod reading_ahead;
pub(crate) mod recognise;
pub(crate) mod recording;
pub(crate) mod redriven;
pub(crate) mod reset;
pub(crate) mod retry_policy;
pub(crate) mod segments;
pub(crate) mod settings;
pub(crate) mod settling;
pub(crate) mod shared_leases;
pub(crate) mod start;
pub(crate) mod start_at;
pub(crate) mod suspicion;
pub(crate) mod time_search;
pub(crate) mod topic_page;
pub(crate) mod topic_reader;
pub(crate) mod transactional;
pub(crate) mod unknown;
pub(crate) mod unread;
pub(crate) mod unread_progress;
pub(crate) mod unstored;
pub(crate) mod waiting;
