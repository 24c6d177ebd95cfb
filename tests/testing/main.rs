//! The helpers for tests of applications: they must find the mistakes that they promise to find.

mod golden;
mod golden_keys;
mod sales;
mod scenarios;
mod unreadable;

use std::panic::catch_unwind;

/// Returns the text with which a closure panics.
fn complaint(of: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let complaint = catch_unwind(of).unwrap_err();
    match complaint.downcast::<String>() {
        Ok(text) => *text,
        Err(text) => (*text.downcast::<&str>().unwrap()).to_owned(),
    }
}
