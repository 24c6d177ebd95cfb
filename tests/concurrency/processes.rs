//! Publishers in other processes.
//!
//! This program starts itself again as a publisher process: see `publisher`.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server};

use super::{Reader, place};

const DATABASE: &str = "PUBLISHER_DATABASE";

/// The body of a publisher, if the environment variable is set. Passes otherwise. It dispatches,
/// reports that, and never commits.
#[test]
fn publisher() {
    let Ok(url) = env::var(DATABASE) else {
        return;
    };
    if url.starts_with("postgres:") {
        dispatch_and_wait::<Postgres>(&url);
    } else {
        dispatch_and_wait::<Mariadb>(&url);
    }
}

fn dispatch_and_wait<D: Server>(url: &str) {
    let mut connection = D::connect_to(url);
    connection.begin().unwrap();
    place(&mut connection, 1).unwrap();
    println!("\ndispatched");
    std::io::stdout().flush().unwrap();
    // Runs until this process or its parent is killed.
    std::io::stdin().lines().for_each(drop);
}

fn start_publisher<D: Server>(database: &D) -> Child {
    let mut publisher = Command::new(env::current_exe().unwrap())
        .args([
            "processes::publisher",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DATABASE, database.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(publisher.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "dispatched"));
    publisher
}

pub fn a_killed_publisher_does_not_stall_readers<D: Server>() {
    let (mut reader, [mut other, _]) = Reader::<D>::create();
    let mut publisher = start_publisher(&reader.database);
    place(&mut other, 2).unwrap();
    assert!(reader.read().is_empty());
    publisher.kill().unwrap();
    publisher.wait().unwrap();
    // The server must first notice that the client is gone.
    let killed = Instant::now();
    let mut delivered = Vec::new();
    while delivered.is_empty() {
        assert!(
            killed.elapsed() < Duration::from_secs(30),
            "the reader stalls"
        );
        delivered = reader.read();
    }
    assert_eq!(delivered, [2]);
}
