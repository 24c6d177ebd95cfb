//! A feed in its own process, so that its memory can be measured.
//!
//! This program starts itself again as that process: see `server`.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use persisting_message_bus_http::{Feed, Limits};
use persisting_message_bus_tests::databases::{Sqlite, connect_sqlite};

use super::serving::{Serving, TOPICS};

const FILE: &str = "FEED_FILE";
const PAGE_BYTES: &str = "FEED_PAGE_BYTES";
const BYTES_UNDER_WAY: &str = "FEED_BYTES_UNDER_WAY";
const LONGEST_TRANSFER: &str = "FEED_LONGEST_TRANSFER";
const WAITERS: &str = "FEED_WAITERS";
const ADDRESS: &str = "the feed is at ";

/// The limits of the server.
pub struct Settings {
    pub page_bytes: usize,
    pub max_in_flight_bytes: usize,
    pub transfer_timeout: Duration,
    pub waiters: usize,
}

/// The body of a server, if the environment variable is set. Passes otherwise.
#[test]
fn server() {
    let Ok(file) = env::var(FILE) else {
        return;
    };
    let setting = |name| env::var(name).unwrap().parse::<usize>().unwrap();
    let transfer = Duration::from_millis(setting(LONGEST_TRANSFER) as u64);
    let limits = Limits::default()
        .max_page_bytes(setting(PAGE_BYTES))
        .max_in_flight_bytes(setting(BYTES_UNDER_WAY))
        .transfer_timeout(transfer)
        .max_waiters(setting(WAITERS));
    let connect = move || Ok::<_, Infallible>(connect_sqlite(&file));
    let serving = Serving::start(Feed::new(connect, TOPICS).unwrap().public().limits(limits));
    println!("\n{ADDRESS}{}", serving.address);
    // Runs until the parent process ends.
    let _ended = std::io::stdin().read(&mut [0]);
}

/// A server process. Dropping this ends it.
pub struct ServerProcess {
    pub address: SocketAddr,
    child: Child,
    _output: Lines<BufReader<ChildStdout>>,
}

impl ServerProcess {
    pub fn start(database: &Sqlite, settings: &Settings) -> Self {
        let transfer = settings.transfer_timeout.as_millis();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["server_process::server", "--exact", "--nocapture"])
            .env(FILE, database.path())
            .env(PAGE_BYTES, settings.page_bytes.to_string())
            .env(BYTES_UNDER_WAY, settings.max_in_flight_bytes.to_string())
            .env(LONGEST_TRANSFER, transfer.to_string())
            .env(WAITERS, settings.waiters.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = output.by_ref().map(Result::unwrap);
        let address = lines.find_map(|line| line.strip_prefix(ADDRESS)?.parse().ok());
        Self {
            address: address.unwrap(),
            child,
            _output: output,
        }
    }

    /// Returns the highest memory use of the process so far, in bytes.
    pub fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = most.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() * 1024
    }

    /// Returns the number of open sockets.
    pub fn sockets(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let sockets = targets.filter(|target| target.to_string_lossy().starts_with("socket:"));
        sockets.count()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The server ends when its input is closed. If `wait` fails, it has already ended.
        let _ended = self.child.wait();
    }
}
