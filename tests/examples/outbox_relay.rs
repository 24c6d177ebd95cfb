//! `outbox_relay` carries each message once, although it is killed.

use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use persisting_message_bus::Position;
use persisting_message_bus::backend::{MessageSource, PageRequest, TypeFilter};
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};
#[cfg(all(feature = "postgres", feature = "mysql"))]
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server};
use persisting_message_bus_tests::seed;

/// Returns the ids on the topic `sales` in the order of their positions, including duplicates.
fn message_ids(bus: &mut impl MessageSource) -> Vec<uuid::Uuid> {
    let mut ids = Vec::new();
    let request = PageRequest {
        topic: "sales",
        part: persisting_message_bus::backend::Part::Whole,
        message_types: TypeFilter::All,
        after: Position::START,
        up_to: Position::new(i64::MAX),
        limit: usize::MAX,
    };
    bus.read_page(&request, &mut |message| {
        ids.push(message.message_id);
        ControlFlow::Continue(())
    })
    .unwrap();
    ids
}

fn outbox_relay_that_is_killed_carries_everything_once(centre: &impl Database, address: &str) {
    let mut random = fastrand::Rng::with_seed(seed());
    let folder = tempfile::tempdir().unwrap();
    let start = |sales: &str| {
        Command::new(env!("CARGO_BIN_EXE_outbox_relay"))
            .args(["--sales", sales, "--centre", address])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    for _ in 0..6 {
        let mut relay = start("5000");
        // The kill hits a random moment.
        thread::sleep(Duration::from_millis(random.u64(20..400)));
        relay.kill().unwrap();
        relay.wait().unwrap();
    }
    assert!(start("1").wait().unwrap().success());
    let till = folder.path().join("till.db");
    let sold = message_ids(&mut connect_sqlite(till.to_str().unwrap()));
    assert!(!sold.is_empty());
    assert_eq!(message_ids(&mut centre.connect()), sold);
}

#[test]
fn outbox_relay_to_sqlite_that_is_killed_carries_everything_once() {
    let centre = Sqlite::create();
    outbox_relay_that_is_killed_carries_everything_once(&centre, &centre.path());
}

#[cfg(all(feature = "postgres", feature = "mysql"))]
mod servers {
    use super::*;

    fn relayed<D: Server>() {
        let centre = D::create();
        outbox_relay_that_is_killed_carries_everything_once(&centre, &centre.url());
    }

    #[test]
    fn outbox_relay_to_postgres_that_is_killed_carries_everything_once() {
        relayed::<Postgres>();
    }

    #[test]
    fn outbox_relay_to_mariadb_that_is_killed_carries_everything_once() {
        relayed::<Mariadb>();
    }
}
