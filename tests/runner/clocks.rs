//! Processes whose clocks are an hour wrong. Leases use the clock of the database.
//!
//! SQLite is left out because its clock is that of the process.

use std::time::Duration;

use persisting_message_bus_tests::clocks::{Hours, set_clock};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server};

use super::lease_contender::{Contender, take};
use super::place;
use super::processes::{KILLED, MESSAGES, assert_other_takes_over};
use super::worker::Worker;

const MINUTE: Duration = Duration::from_secs(60);

fn a_lease_ends_when_the_database_says_so<D: Server>(hours: Hours) {
    let database = D::create();
    let mut bus = database.connect();
    let mut wrong = Contender::start(&database.url(), hours);
    assert!(take(&mut bus, "right", MINUTE));
    assert!(!wrong.take(MINUTE), "the lease was held");
    assert!(take(&mut bus, "right", Duration::ZERO));
    assert!(wrong.take(MINUTE), "the lease had expired");
    assert!(!take(&mut bus, "right", MINUTE), "the lease was held");
    assert!(wrong.take(Duration::ZERO));
    assert!(take(&mut bus, "right", MINUTE), "the lease had expired");
}

/// Starts a second worker while the first one works, kills the first one, and checks that the
/// second one takes over.
fn assert_takeover<D: Server>(clocks: [Hours; 2]) {
    let database = D::create();
    let url = database.url();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let start = |hours| match hours {
        0 => Worker::start(&url),
        hours => Worker::start_with(&url, |command| set_clock(command, hours)),
    };
    let first = start(clocks[0]);
    first
        .handled
        .recv_timeout(MINUTE)
        .expect("a handled message");
    assert_other_takes_over(&mut bus, [first, start(clocks[1])], KILLED);
}

macro_rules! clocks_on {
    ($($backend:ident: $database:ident;)*) => {$(
        mod $backend {
            use super::*;

            #[test]
            fn a_clock_one_hour_fast_ends_no_lease() {
                a_lease_ends_when_the_database_says_so::<$database>(1);
            }

            #[test]
            fn a_clock_one_hour_slow_extends_no_lease() {
                a_lease_ends_when_the_database_says_so::<$database>(-1);
            }

            #[test]
            fn a_process_with_a_wrong_clock_takes_over_from_a_killed_one() {
                assert_takeover::<$database>([0, 1]);
                assert_takeover::<$database>([0, -1]);
            }

            #[test]
            fn others_take_over_from_a_process_with_a_wrong_clock() {
                assert_takeover::<$database>([1, 0]);
                assert_takeover::<$database>([-1, 0]);
            }
        }
    )*};
}

clocks_on! {
    postgres: Postgres;
    mariadb: Mariadb;
}
