//! Consumers that a runner does not start, because they could not work.

use std::collections::HashMap;

use crate::error::hint::CONNECTIONS;
use crate::run::added::Added;

/// The reasons why consumers are not started.
pub(super) struct Refused {
    /// The reason for all of them.
    all: Option<String>,
    by_name: HashMap<String, String>,
}

impl Refused {
    pub(super) fn of(
        consumers: &[Added],
        pool_size: Option<usize>,
        problem: Option<&'static str>,
    ) -> Self {
        let too_small = || pool_size.and_then(|size| too_small(consumers, size));
        Self {
            all: problem.map(str::to_owned).or_else(too_small),
            by_name: same_names(consumers),
        }
    }

    /// Returns the reason why the consumer of this name is not started, if there is one.
    pub(super) fn reason(&self, name: &str) -> Option<&str> {
        let reason = self.by_name.get(name).or(self.all.as_ref());
        reason.map(String::as_str)
    }
}

/// Returns the number of connections that the consumers need at the same time.
pub(super) fn connections(consumers: &[Added]) -> usize {
    consumers.iter().map(|consumer| consumer.connections).sum()
}

/// Returns the reason why a pool of this size is too small, if it is.
fn too_small(consumers: &[Added], size: usize) -> Option<String> {
    let needed = connections(consumers);
    (needed > size).then(|| {
        format!(
            "the consumers of this runner need {needed} connections ({CONNECTIONS}), but the pool has at most \
             {size}: set its max_size to {needed} plus the number that the rest of the program needs at \
             the same time"
        )
    })
}

/// Returns the names that several consumers have, with the reason why these cannot run. They share
/// one cursor and one lease, so each would pass messages of the other.
fn same_names(consumers: &[Added]) -> HashMap<String, String> {
    let mut reads: HashMap<&str, Vec<&str>> = HashMap::new();
    for consumer in consumers {
        let same = reads.entry(&consumer.name).or_default();
        same.push(&consumer.reads);
    }
    let several = reads.into_iter().filter(|(_, reads)| reads.len() > 1);
    let reason = |(name, reads): (&str, Vec<&str>)| {
        let problem = format!(
            "{} consumers of this runner have the name \"{name}\": one reads {}; give each consumer \
             its own name",
            reads.len(),
            reads.join(", another ")
        );
        (name.to_owned(), problem)
    };
    several.map(reason).collect()
}
