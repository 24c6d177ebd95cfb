//! The laws hold.

use persisting_message_bus_models::check::{all_are_wanted, holds};
use persisting_message_bus_models::lease::*;

use super::{EXTERNAL, TRANSACTIONAL, parks};

const KINDS: [Leases; 2] = [TRANSACTIONAL, EXTERNAL];

fn all_hold(bounds: &str, change: impl Fn(Leases) -> Leases) {
    for leases in KINDS {
        holds(&format!("{:?}, {bounds}", leases.handler), change(leases));
    }
}

#[test]
fn pages() {
    all_hold("2 messages", |leases| leases);
    all_hold("3 messages, pages of 2, a death", |leases| Leases {
        messages: 3,
        deaths: 1,
        ..leases
    });
}

#[test]
fn failures() {
    all_hold("2 messages, 2 failures, a death", |leases| Leases {
        failures: 2,
        deaths: 1,
        ..leases
    });
}

#[test]
fn redriving() {
    all_hold("a message, 3 failures, redriven twice", |leases| Leases {
        failures: 3,
        redrives: 2,
        ..parks(leases)
    });
}

#[test]
fn resets() {
    all_hold("2 messages, a reset, a death", |leases| Leases {
        resets: 1,
        deaths: 1,
        ..leases
    });
    all_hold("a message, 2 failures, redriven twice, a reset", |leases| {
        Leases {
            failures: 2,
            redrives: 2,
            resets: 1,
            losses: 0,
            ..parks(leases)
        }
    });
}

#[test]
fn a_server_that_forgets_commits() {
    all_hold("2 messages, a failure, a crash", |leases| Leases {
        failures: 1,
        attempts: 1,
        crashes: 1,
        losses: 0,
        ..leases
    });
    all_hold("a message, a failure, redriven, a crash", |leases| Leases {
        redrives: 1,
        crashes: 1,
        losses: 0,
        ..parks(leases)
    });
}

#[test]
fn leases_that_outlive_the_connection() {
    all_hold("outlives, 2 messages, a failure, a death", |leases| {
        Leases {
            lease_outlives_connection: true,
            failures: 1,
            deaths: 1,
            ..leases
        }
    });
    all_hold("outlives, 2 messages, a reset", |leases| Leases {
        lease_outlives_connection: true,
        resets: 1,
        ..leases
    });
    all_hold("outlives, 2 messages, a crash", |leases| Leases {
        lease_outlives_connection: true,
        crashes: 1,
        ..leases
    });
}

#[test]
fn polls_that_see_what_is_not_committed() {
    all_hold("2 messages, a death, READ UNCOMMITTED", |leases| Leases {
        deaths: 1,
        reads_uncommitted: true,
        ..leases
    });
    all_hold("a message, redriven, READ UNCOMMITTED", |leases| Leases {
        failures: 2,
        redrives: 1,
        reads_uncommitted: true,
        ..parks(leases)
    });
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    all_hold(
        "2 messages, 3 failures, redriven, a reset, a loss",
        |leases| Leases {
            failures: 3,
            redrives: 1,
            resets: 1,
            ..leases
        },
    );
    all_hold("3 messages, 2 failures, 2 losses, a death", |leases| {
        Leases {
            messages: 3,
            failures: 2,
            losses: 2,
            deaths: 1,
            ..leases
        }
    });
}
