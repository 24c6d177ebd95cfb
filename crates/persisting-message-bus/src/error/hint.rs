//! The next step after each kind of failure, where there is one that the library knows.

use std::borrow::Cow;

use crate::error::class::Class;
use crate::error::kind::{Kind, TimeLeft};

/// The numbers of connections that consumers need.
pub(crate) const CONNECTIONS: &str = "3 for each external consumer, 1 for each other; a ParallelConsumer: \
    its threads and 1, or 3 if it is external";

impl Kind {
    /// Returns what to do next.
    pub(super) fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Unknown { at, .. } => {
                let of_type = format!(
                    "add a variant or an alias for \"{}\", or retire that type if no program \
                     dispatches it any more",
                    at.message_type
                );
                return Some(of_type.into());
            }
            Self::Retired(at) => {
                let of_type = format!(
                    "to read it, write a variant or an alias instead of `retired = {:?}`",
                    at.message_type
                );
                return Some(of_type.into());
            }
            Self::NotSelected { .. } => {
                "a newer program with that type in its event set handles it; if there is none any more, \
                 call operate::stop_wanting, or narrow_event_set"
            }
            Self::MissingHeader { .. } => {
                "add the DefaultMessageDecorator, or a decorator that sets the header"
            }
            Self::Duplicate { .. } => {
                "if duplicates are expected, call on_duplicate(OnDuplicate::Ignore)"
            }
            Self::NewerVersion { .. } => "deploy a newer program, or skip unknown messages",
            Self::Upcast { .. } => "correct the function in `previous(...)`",
            Self::Decode(..) => "make its struct accept the stored payload",
            Self::BrokenRow { .. } => "correct the row",
            Self::NotThere { .. } => "discard the failure",
            Self::Died(..) => {
                "the process may have aborted, been killed or run out of memory: check its log and \
                 the system log"
            }
            Self::BrokenCursor { .. } => {
                "the message table may have been restored or emptied: reset the consumer to the \
                 position after which it must continue"
            }
            Self::Unrecognised { .. } => {
                "the database may have been restored, emptied or replaced, or it lost its last \
                 commits: reset the consumer to the position after which it must continue, or call \
                 accept_source to continue after its cursor"
            }
            Self::StalePage { .. } => {
                "the cause is temporary unless a proxy sends reads to a replica: read messages from \
                 the primary"
            }
            Self::OtherSource { .. } => {
                "two programs may use one consumer name: give each its own, or call accept_source if \
                 the source has moved"
            }
            Self::OtherEventSet { .. } => {
                "if these are two consumers, give each its own name; if one type was removed and \
                 another added, call operate::stop_wanting for the removed type first"
            }
            Self::EventSetGrew { .. } => {
                "call on_added to handle messages of the added types from now on, or their earlier \
                 messages first"
            }
            Self::LeaseHeld {
                left: Some(TimeLeft { is_late: true, .. }),
                ..
            } => {
                "the lease ends unusually late, so the clock may have been wrong when it was \
                 written: if its holder has ended, call operate::end_lease"
            }
            Self::LeaseHeld { .. } => "retry after the lease expires or is released",
            Self::LeaseLost { .. } => {
                "if handling a page takes longer than the lease, make the lease longer or the page \
                 smaller"
            }
            Self::Unreadable { .. } => {
                "make both agree: a field with `skip_serializing` or `skip_serializing_if` needs \
                 `default`, NaN and infinity need an `Option<f64>`, and serde cannot read a `u128`, a \
                 map with integer keys or, with serde_json's feature `arbitrary_precision`, a float \
                 inside `flatten`, `untagged` or an internally tagged enum"
            }
            Self::MissingTables { next, .. } | Self::NotParked { next, .. } => next,
            Self::Connecting {
                needed: Some(needed),
                ..
            } => {
                let pool = format!(
                    "if a pool hands out the connections, it may be too small: the consumers of this \
                     runner need {needed} ({CONNECTIONS}), besides those of the rest of the program"
                );
                return Some(pool.into());
            }
            Self::Interrupted { class, .. }
            | Self::HookInterrupted { class, .. }
            | Self::Repository { class, .. } => return class.hint().map(Cow::Borrowed),
            _ => return None,
        };
        Some(Cow::Borrowed(hint))
    }
}

impl Class {
    /// Returns what to do after a database failed like this.
    fn hint(self) -> Option<&'static str> {
        match self {
            Self::Permanent | Self::Refused => None,
            Self::Undefined => Some(
                "if it is a table of this library, call sql::migrate(&mut connection) before, or set the \
                 search_path of the connection to the schema that has it",
            ),
            Self::Transient => {
                Some("the cause is temporary: retry (inside a transaction, the whole transaction)")
            }
            Self::Disconnected => Some("the connection is unusable: retry on another connection"),
            Self::Unprepared => Some(
                "the connection is unusable: retry on another connection. If it comes from a pooler \
                 such as pgbouncer, the pooler exchanged the session below it: pool sessions \
                 (pool_mode = session), or with pgbouncer 1.21 or newer set max_prepared_statements \
                 above 0",
            ),
            Self::Aborted => Some(
                "an earlier statement of the transaction has failed, and its error names the cause: \
                 roll the transaction back",
            ),
            Self::TooLarge => Some(
                "a value is larger than the database can store (on MySQL and MariaDB, \
                 max_allowed_packet limits the size of a statement)",
            ),
        }
    }
}
