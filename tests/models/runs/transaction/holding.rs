//! The laws hold.

use persisting_message_bus_models::check::{all_are_wanted, holds, holds_but_for};
use persisting_message_bus_models::transaction::*;

use super::{THREE, TWO};

const SERVERS: [Server; 3] = [Server::Postgres, Server::Mysql, Server::Sqlite];

#[test]
fn one_process() {
    for server in SERVERS {
        let three = Page { server, ..THREE };
        holds(&format!("{server:?}, 3 messages, 2 deeds"), three);
        let bounds = format!("{server:?}, pages of 1, 3 deeds, stop");
        let (page_size, give_up) = (1, GiveUp::Stop);
        let pages = Page {
            page_size,
            give_up,
            most_deeds: 3,
            ..three
        };
        holds(&bounds, pages);
        let bounds = format!("{server:?}, 3 messages, a deed, a lost COMMIT");
        let (losses, most_deeds) = (1, 1);
        holds(
            &bounds,
            Page {
                losses,
                most_deeds,
                ..three
            },
        );
    }
}

#[test]
fn more_deeds_than_attempts() {
    for server in SERVERS {
        let bounds = format!("{server:?}, 2 messages, 4 deeds");
        holds(
            &bounds,
            Page {
                server,
                most_deeds: 4,
                ..TWO
            },
        );
    }
}

#[test]
fn a_hook() {
    for server in SERVERS {
        let hook = Page {
            server,
            hook: true,
            messages: 1,
            deaths: 1,
            ..THREE
        };
        let bounds = format!("{server:?}, hook, 1 message, 2 deeds, a death");
        holds_but_for(&bounds, hook, EFFECTS_COME_ONCE);
    }
}

#[test]
fn effects_that_cannot_be_committed() {
    for server in [Server::Postgres, Server::Sqlite] {
        for poison in 1..=3 {
            let bounds = format!("{server:?}, 3 messages, COMMIT fails with message {poison}");
            let poison = Some(poison);
            let page = Page {
                server,
                poison,
                most_deeds: 0,
                ..THREE
            };
            holds(&bounds, page);
        }
    }
}

/// If a process dies just after its handler had effects outside of the transaction, they are final
/// and no other process knows of them: see `what_remains`.
#[test]
fn processes_that_die() {
    for server in SERVERS {
        let page = Page {
            server,
            deaths: 1,
            ..THREE
        };
        let bounds = format!("{server:?}, 3 messages, 2 deeds, a death");
        holds_but_for(&bounds, page, EFFECTS_COME_ONCE);
        let bounds = format!("{server:?}, 2 messages, a deed, 2 deaths");
        let page = Page {
            server,
            deaths: 2,
            ..TWO
        };
        holds_but_for(&bounds, page, EFFECTS_COME_ONCE);
    }
}

/// Without rollbacks, the mark shows all effects that can be final, so each repetition is
/// announced.
#[test]
fn processes_that_die_after_early_commits() {
    const DEEDS: &[Deed] = &[Deed::RunsDdl, Deed::Commits, Deed::CommitsAndBegins];
    for server in SERVERS {
        let page = Page {
            server,
            deeds: DEEDS,
            deaths: 2,
            ..THREE
        };
        let bounds = format!("{server:?}, 3 messages, 2 early commits, 2 deaths");
        holds(&bounds, page);
    }
}

#[test]
fn two_processes() {
    for server in SERVERS {
        let page = Page {
            server,
            processes: 2,
            expiries: 1,
            deaths: 1,
            ..TWO
        };
        let bounds = format!("{server:?}, 2 processes, a deed, a lease expires, a death");
        holds_but_for(&bounds, page, EFFECTS_COME_ONCE);
    }
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    for server in SERVERS {
        let two = Page {
            server,
            processes: 2,
            expiries: 1,
            deaths: 1,
            most_deeds: 2,
            ..TWO
        };
        let bounds = format!("{server:?}, 2 processes, 2 deeds, a lease expires, a death");
        holds_but_for(&bounds, two, EFFECTS_COME_ONCE);
        let bounds =
            format!("{server:?}, 2 processes, 3 messages, a deed, a lease expires, a death");
        let three = Page {
            most_deeds: 1,
            messages: 3,
            page_size: 3,
            ..two
        };
        holds_but_for(&bounds, three, EFFECTS_COME_ONCE);
        let bounds = format!("{server:?}, 3 messages, 3 deeds, a death");
        let page = Page {
            server,
            most_deeds: 3,
            deaths: 1,
            ..THREE
        };
        holds_but_for(&bounds, page, EFFECTS_COME_ONCE);
    }
}
