//! The database of a feed is pruned.

use std::sync::{Arc, Mutex};

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::{EventSet, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{Closed, Orders};

use super::replaced::{Joined, Seen, feed_at, join, recording, status, taken};
use super::resuming::{ship, ship_all};
use super::serving::Serving;

fn prune(bus: &mut SqliteConnection, up_to: i64) {
    let delete = format!("DELETE FROM public_messages WHERE id <= {up_to}");
    bus.batch_execute(&delete).unwrap();
}

#[test]
fn a_pruned_feed_is_no_alarm() {
    for up_to in [4, 9, 10] {
        for is_same_client in [true, false] {
            pruned(up_to, is_same_client, false, recording::<Orders>);
            pruned(up_to, is_same_client, false, recording::<Closed>);
        }
    }
}

#[test]
fn a_status_shows_no_alarm_of_a_pruned_feed() {
    for up_to in [4, 9, 10] {
        for is_same_client in [true, false] {
            pruned(up_to, is_same_client, true, recording::<Orders>);
        }
    }
}

fn pruned<S, H>(
    up_to: i64,
    is_same_client: bool,
    reads_status: bool,
    recording: impl Fn(&Seen) -> MessageConsumer<S, H>,
) where
    S: EventSet,
    H: PageHandler<S, Joined>,
{
    let (database, state) = (Sqlite::create(), Sqlite::create());
    let mut publisher = database.connect();
    ship_all(&mut publisher, 1..=10);
    let serving = Serving::start(feed_at(&Arc::new(Mutex::new(database.path()))));
    let seen = Seen::default();
    let mut bus = join(serving.url(), &state);
    let mut consumer = recording(&seen);
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(taken(&seen).len(), 10);
    prune(&mut publisher, up_to);
    if !is_same_client {
        bus = join(serving.url(), &state);
        consumer = recording(&seen);
    }
    let case = format!("pruned up to {up_to}, same client: {is_same_client}");
    let mut handle = |bus: &mut Joined| {
        let handled = consumer.handle_new_messages(bus);
        handled.unwrap_or_else(|error| panic!("{case}: {error:#}"))
    };
    let assert_fine = |bus: &mut Joined| {
        if reads_status {
            assert_eq!(status(bus).problem, None, "{case}");
        }
    };
    assert_eq!(handle(&mut bus), 0);
    assert_fine(&mut bus);
    ship_all(&mut publisher, 11..=13);
    assert_fine(&mut bus);
    assert_eq!(handle(&mut bus), 3);
    // Messages are pruned before they were handled.
    ship_all(&mut publisher, 14..=18);
    prune(&mut publisher, 15);
    assert_fine(&mut bus);
    assert_eq!(handle(&mut bus), 3);
    ship_all(&mut publisher, 19..=20);
    prune(&mut publisher, 20);
    assert_eq!(handle(&mut bus), 0);
    assert_fine(&mut bus);
    assert_eq!(taken(&seen), [11, 12, 13, 16, 17, 18]);
}

#[test]
fn a_page_has_the_ids_of_its_beginning_and_of_the_head() {
    let database = Sqlite::create();
    let mut publisher = database.connect();
    let ids: Vec<_> = (1..=5)
        .map(|order| ship(&mut publisher, order).to_string())
        .collect();
    let serving = Serving::start(feed_at(&Arc::new(Mutex::new(database.path()))));
    for (query, after) in [
        ("after=3", Some(&ids[2])),
        ("after=3&limit=1", Some(&ids[2])),
        ("after=5", Some(&ids[4])),
        ("lastEventId=2", Some(&ids[1])),
        ("after=3&type=Nothing", Some(&ids[2])),
        ("after=0", None),
        ("limit=2", None),
    ] {
        let page = serving.get(&format!("/orders?{query}"));
        assert_eq!(page.status, 200);
        assert_eq!(page.header("feed-head-id"), Some(&*ids[4]), "{query}");
        assert_eq!(
            page.header("feed-after-id"),
            after.map(|id| &**id),
            "{query}"
        );
    }
    let by_id = serving.get(&format!("/orders?lastEventId={}", ids[1]));
    assert_eq!(by_id.header("feed-after-id"), Some(&*ids[1]));
    assert_eq!(
        serving.get("/orders?limit=0").header("feed-head-id"),
        Some(&*ids[4])
    );
    prune(&mut publisher, 3);
    let page = serving.get("/orders?after=3");
    assert_eq!(page.header("feed-after-id"), None);
    assert_eq!(page.orders(), [4, 5]);
    prune(&mut publisher, 5);
    let page = serving.get("/orders?after=5");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("feed-head-id"), None);
    assert_eq!(page.header("feed-after-id"), None);
}
