//! An inbox that was not pruned for long. Other connections write meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use persisting_message_bus::{Inbox, InboxKey};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::OrderPlaced;

use super::orders;

const RECEIVED: u64 = 300_000;

/// Messages that were received long ago, all at the same time.
fn receive_long_ago(bus: &mut impl SimpleConnection) {
    bus.batch_execute(&format!(
        "INSERT INTO message_inbox (consumer, source, message_id, received_at)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {RECEIVED})
        SELECT 'billing', 'hooks', 'evt_' || i, '2020-01-01T00:00:00.000Z' FROM n"
    ))
    .unwrap();
}

#[test]
fn a_publisher_does_not_wait_for_a_whole_inbox_to_be_pruned() {
    let database = Sqlite::create();
    receive_long_ago(&mut database.connect());
    let is_pruned = AtomicBool::new(false);
    let meanwhile = thread::scope(|scope| {
        let pruner = scope.spawn(|| {
            let inbox = Inbox::new(InboxKey {
                consumer: "billing",
                source: "hooks",
            });
            let pruned = inbox.unwrap().prune(&mut database.connect());
            is_pruned.store(true, Ordering::SeqCst);
            pruned
        });
        let mut publisher = database.connect();
        // One batch takes some milliseconds, and all of them take seconds.
        publisher
            .batch_execute("PRAGMA busy_timeout = 1000")
            .unwrap();
        let mut meanwhile = 0;
        while !is_pruned.load(Ordering::SeqCst) {
            let placed = OrderPlaced::number(meanwhile);
            orders().dispatch(&mut publisher, &placed).unwrap();
            meanwhile += 1;
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(pruner.join().unwrap().unwrap(), RECEIVED);
        meanwhile
    });
    assert!(meanwhile > 10, "{meanwhile} messages were published");
}
