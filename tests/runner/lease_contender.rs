//! A process with a wrong clock that contends for a lease.
//!
//! This program starts itself again as such a process: see `contender`.

use std::env;
use std::io::{BufRead, BufReader, Lines, Write, stdin};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use chrono::Utc;
use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState};
use persisting_message_bus_tests::clocks::{Hours, set_clock};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server};

const DATABASE: &str = "CONTENDER_DATABASE";

/// The body of a contender, if the environment variable is set. Passes otherwise.
///
/// Each input line is a lease duration in milliseconds. Each answer says whether the lease was
/// acquired, and the time of the process's clock.
#[test]
fn contender() {
    let Ok(url) = env::var(DATABASE) else {
        return;
    };
    if url.starts_with("postgres:") {
        take_when_told(Postgres::connect_to(&url));
    } else {
        take_when_told(Mariadb::connect_to(&url));
    }
}

fn take_when_told(mut bus: impl MessageConsumerState) {
    for line in stdin().lines() {
        let duration = Duration::from_millis(line.unwrap().parse().unwrap());
        let taken = take(&mut bus, "wrong", duration);
        println!("\ntaken {taken} {}", Utc::now().timestamp());
    }
}

/// Returns whether the lease could be acquired.
pub fn take(bus: &mut impl MessageConsumerState, owner: &str, duration: Duration) -> bool {
    let taken = bus.acquire(&LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner,
        duration,
        identity: Default::default(),
        hands_out: false,
    });
    match taken {
        Ok(_) => true,
        Err(error) if error.is_lease_held() => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// A process that contends for a lease and has a wrong clock.
pub struct Contender {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    hours: Hours,
}

impl Contender {
    pub fn start(url: &str, hours: Hours) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["lease_contender::contender", "--exact", "--nocapture"])
            .env(DATABASE, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        set_clock(&mut command, hours);
        let mut process = command.spawn().unwrap();
        Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            process,
            hours,
        }
    }

    pub fn take(&mut self, duration: Duration) -> bool {
        writeln!(self.input, "{}", duration.as_millis()).unwrap();
        let mut lines = self.output.by_ref().map(Result::unwrap);
        let answer = lines.find_map(|line| line.strip_prefix("taken ").map(str::to_owned));
        let answer = answer.expect("an answer");
        let (taken, time) = answer.split_once(' ').unwrap();
        let wrong = time.parse::<i64>().unwrap() - Utc::now().timestamp();
        assert!((wrong - 3_600 * self.hours).abs() < 600, "{wrong} s");
        taken.parse().unwrap()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
