use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::process::{Process, folder_of};

const USER: &str = "www-data";

/// A Chromium without a window that shows a page. Dropping this ends it.
///
/// It also ends with the thread that started it.
pub struct Chromium {
    process: Process,
    _profile: TempDir,
}

impl Chromium {
    /// Opens a page with a new profile.
    pub fn open(url: &str) -> Self {
        let profile = folder_of(USER);
        let mut command = Command::new("/usr/bin/chromium");
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--disable-background-networking"])
            .args(["--no-first-run", "--disable-extensions"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url);
        let log = profile.path().join("log");
        Self {
            process: Process::start(&command, USER, Signal::SIGTERM, &log),
            _profile: profile,
        }
    }

    /// Panics if the browser has ended by itself.
    pub fn assert_is_running(&mut self) {
        assert!(
            !self.process.has_ended(),
            "Chromium does not run: ./test installs the package chromium"
        );
    }
}
