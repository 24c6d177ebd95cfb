//! Bounded waiting for events that a test observes.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// The bound of a wait. A test that reaches it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The interval at which most conditions are checked.
const INTERVAL: Duration = Duration::from_millis(1);

/// Waits until `holds` returns true.
///
/// # Panics
///
/// After 60 s. The text says what was awaited.
#[track_caller]
pub fn wait_until(awaited: &str, holds: impl FnMut() -> bool) {
    wait_until_every(INTERVAL, awaited, holds);
}

/// Does the same, and checks the condition at this interval.
///
/// # Panics
///
/// After 60 s. The text says what was awaited.
#[track_caller]
pub fn wait_until_every(interval: Duration, awaited: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within 60 s: {awaited}");
        thread::sleep(interval);
    }
}

/// Waits until `observe` returns `Ok`, and returns the value.
///
/// # Panics
///
/// After 60 s. The text says what was awaited, and what `observe` returned last.
#[track_caller]
pub fn wait_for<T, E: Debug>(awaited: &str, mut observe: impl FnMut() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match observe() {
            Ok(seen) => return seen,
            Err(last) => assert!(
                begun.elapsed() < PATIENCE,
                "not within 60 s: {awaited}: {last:?}"
            ),
        }
        thread::sleep(INTERVAL);
    }
}
