//! `notifications` consumes in one process what another one publishes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use persisting_message_bus_tests::databases::{Database, Postgres, Server};

#[test]
fn notifications_consumes_the_order_of_another_process() {
    let database = Postgres::create();
    let notifications = |process: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notifications"));
        command.arg(process).env("DATABASE_URL", database.url());
        command
    };
    let mut consumer = notifications("consume")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(notifications("publish").status().unwrap().success());
    let mut lines = BufReader::new(consumer.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("1250 cents, after "), "{line}");
    let terminated = Command::new("kill").arg(consumer.id().to_string()).status();
    assert!(terminated.unwrap().success());
    assert!(consumer.wait().unwrap().success());
}
