//! `async_service` mails the orders of its requests in their order, and stops on Ctrl-C.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use diesel::prelude::*;
use persisting_message_bus_tests::databases::connect_sqlite;

fn count(connection: &mut SqliteConnection, table: &str) -> usize {
    let query = format!("SELECT count(*) FROM {table}");
    let count = diesel::dsl::sql::<diesel::sql_types::BigInt>(&query).get_result::<i64>(connection);
    usize::try_from(count.unwrap()).unwrap()
}

#[test]
fn async_service_stops_on_ctrl_c_and_mails_each_order_once_in_two_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut positions = Vec::new();
    for _ in 0..2 {
        let mut service = Command::new(env!("CARGO_BIN_EXE_async_service"))
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(service.stdout.take().unwrap()).lines();
        let mut mailed = |line: String| {
            let position = line
                .split_once("mailed")
                .map(|it| it.0.trim().parse::<u32>());
            position.is_some_and(|position| {
                positions.push(position.unwrap());
                true
            })
        };
        assert!((&mut lines).take(4).all(|line| mailed(line.unwrap())));
        let interrupted = Command::new("kill")
            .args(["-INT", &service.id().to_string()])
            .status();
        assert!(interrupted.unwrap().success());
        let others: Vec<_> = lines
            .map(Result::unwrap)
            .filter(|line| !mailed(line.clone()))
            .collect();
        assert!(service.wait().unwrap().success());
        assert_eq!(others, ["mailer has ended"]);
    }
    let all: Vec<_> = (1..).take(positions.len()).collect();
    assert_eq!(positions, all);
    let file = folder.path().join("async_service.db");
    let mut connection = connect_sqlite(file.to_str().unwrap());
    let messages = count(&mut connection, "public_messages");
    assert_eq!(count(&mut connection, "shop_orders"), messages);
    // The mails of the last orders can be left for the next run.
    assert!(
        positions.len() <= messages,
        "{} of {messages}",
        positions.len()
    );
}
