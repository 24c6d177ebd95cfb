//! Processes whose clocks are an hour wrong: leases go by the clock of the database.
//!
//! Not on SQLite: there, the clock of the database is that of the process.

use std::process::Command;
use std::time::Duration;

use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server};

use super::place;
use super::processes::{KILLED, MESSAGES, others_go_on};
use super::taker::{Taker, take};
use super::worker::Worker;

const MINUTE: Duration = Duration::from_secs(60);

/// How wrong a clock is, in hours.
pub type Hours = i64;

/// Gives a process a wrong clock.
pub fn set_clock(command: &mut Command, hours: Hours) {
    // It knows where its library is. Not as a process in between, which passes no signals on.
    let output = Command::new("faketime")
        .args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"])
        .output()
        .expect("faketime, which ./test installs");
    assert!(output.status.success(), "{output:?}");
    let library = String::from_utf8(output.stdout).unwrap();
    command
        .env("LD_PRELOAD", library.trim())
        .env("FAKETIME", format!("{hours:+}h"))
        // Only what time it is shall be wrong, not how long something takes.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

fn a_lease_ends_when_the_database_says_so<D: Server>(hours: Hours) {
    let database = D::create();
    let mut bus = database.connect();
    let mut wrong = Taker::start(&database.url(), hours);
    assert!(take(&mut bus, "right", MINUTE));
    assert!(!wrong.take(MINUTE), "it was held");
    assert!(take(&mut bus, "right", Duration::ZERO));
    assert!(wrong.take(MINUTE), "it had expired");
    assert!(!take(&mut bus, "right", MINUTE), "it was held");
    assert!(wrong.take(Duration::ZERO));
    assert!(take(&mut bus, "right", MINUTE), "it had expired");
}

/// One worker is killed, and the other one, which starts when the first is at work, goes on.
fn one_goes_on_for_another<D: Server>(clocks: [Hours; 2]) {
    let database = D::create();
    let url = database.url();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let start = |hours| match hours {
        0 => Worker::start(&url),
        hours => Worker::start_with(&url, |command| set_clock(command, hours)),
    };
    let first = start(clocks[0]);
    first.handled.recv_timeout(MINUTE).expect("it is at work");
    others_go_on(&mut bus, [first, start(clocks[1])], KILLED);
}

macro_rules! clocks_on {
    ($($backend:ident: $database:ident;)*) => {$(
        mod $backend {
            use super::*;

            #[test]
            fn a_clock_ahead_ends_no_lease() {
                a_lease_ends_when_the_database_says_so::<$database>(1);
            }

            #[test]
            fn a_clock_behind_prolongs_no_lease() {
                a_lease_ends_when_the_database_says_so::<$database>(-1);
            }

            #[test]
            fn whose_clock_is_wrong_goes_on_for_one_that_is_killed() {
                one_goes_on_for_another::<$database>([0, 1]);
                one_goes_on_for_another::<$database>([0, -1]);
            }

            #[test]
            fn others_go_on_for_one_whose_clock_is_wrong() {
                one_goes_on_for_another::<$database>([1, 0]);
                one_goes_on_for_another::<$database>([-1, 0]);
            }
        }
    )*};
}

clocks_on! {
    postgres: Postgres;
    mariadb: Mariadb;
}
