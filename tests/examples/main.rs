//! The examples, run as users run them.

#[cfg(feature = "async")]
mod axum_shop;
#[cfg(feature = "http")]
mod browser;
mod flights;
#[cfg(feature = "postgres")]
mod notifications;
mod outbox_relay;
mod quickstart;
#[cfg(feature = "sqlx")]
mod sqlx_publisher;
#[cfg(feature = "http")]
mod two_services;
mod worker;

use std::process::Output;

/// Returns the output of a program that has ended without a failure.
fn text_of(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
