//! `worker` obeys signals and typed commands.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

#[test]
fn worker_stops_on_request_and_continues_in_its_second_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..2 {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
        for line in (&mut lines).take(7).map(Result::unwrap) {
            let (position, order) = line.split_once("order").unwrap();
            let position = position.trim().parse::<u32>().unwrap();
            assert!(position > last, "{position} after {last}");
            last = position;
            assert_ne!(order.trim().parse::<u32>().unwrap() % 5, 0);
        }
        let terminated = Command::new("kill").arg(worker.id().to_string()).status();
        assert!(terminated.unwrap().success());
        let rest: Vec<_> = lines.map(Result::unwrap).collect();
        assert!(worker.wait().unwrap().success());
        for consumer in ["printer", "bookkeeper"] {
            assert!(rest.contains(&format!("{consumer} has ended")), "{rest:?}");
        }
    }
}

#[test]
fn worker_obeys_typed_commands() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"))
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut stdin = worker.stdin.take().unwrap();
    // When order 6 is printed, order 5 is parked.
    assert!(lines.any(|line| line.ends_with("order 6")));
    stdin.write_all(b"parked\nstatus\n").unwrap();
    assert!(lines.any(|line| line.contains("\"attempts\": 3")));
    assert!(lines.any(|line| line.contains("out of paper")));
    assert!(lines.any(|line| line.contains("\"parked_messages\": 1")));
    stdin.write_all(b"pause\nresume\nredrive\n").unwrap();
    assert!(lines.any(|line| line == "1"));
    stdin.write_all(b"quit\n").unwrap();
    assert!(lines.any(|line| line == "printer has ended"));
    assert!(worker.wait().unwrap().success());
}
