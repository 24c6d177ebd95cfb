//! Handlers that do something to their transaction: no message is skipped, effects come once, only
//! the guilty message is blamed, and every run ends.

mod ended;
mod holding;
mod intact;

use persisting_message_bus_models::transaction::*;

/// A page of three messages. Their handlers do two deeds to their transaction, and return an error
/// once.
const THREE: Page = Page {
    server: Server::Mysql,
    messages: 3,
    page_size: 3,
    hook: false,
    processes: 1,
    deeds: Deed::ALL,
    most_deeds: 2,
    errors: 1,
    poison: None,
    deaths: 0,
    expiries: 0,
    losses: 0,
    attempts: 2,
    give_up: GiveUp::Park,
    mechanisms: Mechanisms::ALL,
};

/// A page of two messages. A handler does one deed to its transaction.
const TWO: Page = Page {
    messages: 2,
    page_size: 2,
    most_deeds: 1,
    errors: 0,
    ..THREE
};
