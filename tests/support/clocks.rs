//! Processes whose clocks are wrong.

use std::process::Command;

/// The error of a clock, in hours.
pub type Hours = i64;

/// Gives a process a wrong clock.
pub fn set_clock(command: &mut Command, hours: Hours) {
    // `faketime` prints the path of its library. It does not wrap the process, because it passes
    // no signals on.
    let output = Command::new("faketime")
        .args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"])
        .output()
        .expect("faketime, which ./test installs");
    assert!(output.status.success(), "{output:?}");
    let library = String::from_utf8(output.stdout).unwrap();
    command
        .env("LD_PRELOAD", library.trim())
        .env("FAKETIME", format!("{hours:+}h"))
        // Only the time of day is wrong; durations are right.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}
