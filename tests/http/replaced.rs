//! The database of a feed is replaced by an older state.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::handler::{External, HandlerError, PageHandler};
use persisting_message_bus::operate::{ConsumerCondition, ConsumerKey, ConsumerStatus};
use persisting_message_bus::{EventSet, Message, MessageBus, MessageConsumer, Position, StartAt};
use persisting_message_bus_http::{Feed, HttpSource};
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};
use persisting_message_bus_tests::topics::{Closed, Orders};

use super::resuming::ship_all;
use super::serving::{Serving, TOPICS};

/// A feed of the database at a path that can change.
pub fn feed_at(path: &Arc<Mutex<String>>) -> Feed {
    let path = Arc::clone(path);
    let connect = move || Ok::<_, Infallible>(connect_sqlite(&path.lock().unwrap()));
    Feed::new(connect, TOPICS).unwrap().public()
}

pub type Joined = MessageBus<HttpSource, SqliteConnection>;

pub fn join(url: String, state: &Sqlite) -> Joined {
    let source = HttpSource::new(url).unwrap().max_attempts(1);
    MessageBus::new(source, state.connect())
}

pub type Seen = Arc<Mutex<Vec<i64>>>;
pub type Recording<S, F> = MessageConsumer<S, External<F>>;

pub fn recording<S: EventSet>(
    seen: &Seen,
) -> Recording<S, impl FnMut(&Message<S>) -> Result<(), HandlerError> + use<S>> {
    let seen = Arc::clone(seen);
    MessageConsumer::external("all", move |message: &Message<S>| {
        seen.lock().unwrap().push(message.position().get());
        Ok(())
    })
}

pub fn taken(seen: &Seen) -> Vec<i64> {
    std::mem::take(&mut *seen.lock().unwrap())
}

pub fn status(bus: &mut Joined) -> ConsumerStatus {
    let key = ConsumerKey {
        consumer: "all",
        topic: "orders",
    };
    ConsumerStatus::read(bus, key).unwrap()
}

#[test]
fn an_older_state_of_the_feed_is_not_read_after_the_cursor() {
    // Fewer messages than were lost, as many, and more.
    for new in [0, 2, 5, 10] {
        for is_same_client in [true, false] {
            older_state(new, is_same_client, recording::<Orders>);
            older_state(new, is_same_client, recording::<Closed>);
        }
    }
}

fn older_state<S, H>(
    new: u64,
    is_same_client: bool,
    recording: impl Fn(&Seen) -> MessageConsumer<S, H>,
) where
    S: EventSet,
    H: PageHandler<S, Joined>,
{
    let (database, state) = (Sqlite::create(), Sqlite::create());
    let backup = format!("{}.backup", database.path());
    let mut publisher = database.connect();
    ship_all(&mut publisher, 1..=5);
    publisher
        .batch_execute(&format!("VACUUM INTO '{backup}'"))
        .unwrap();
    ship_all(&mut publisher, 6..=10);
    let path = Arc::new(Mutex::new(database.path()));
    let serving = Serving::start(feed_at(&path));
    let seen = Seen::default();
    let mut bus = join(serving.url(), &state);
    let mut consumer = recording(&seen);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
    assert_eq!(taken(&seen).len(), 10);

    ship_all(&mut connect_sqlite(&backup), 101..=100 + new);
    *path.lock().unwrap() = backup;
    if !is_same_client {
        bus = join(serving.url(), &state);
        consumer = recording(&seen);
    }
    for _ in 0..2 {
        let error = consumer.handle_new_messages(&mut bus).unwrap_err();
        assert!(error.is_broken_cursor(), "{new}: {error:#}");
        assert_eq!(taken(&seen), [0; 0]);
    }
    let to = StartAt::Position(Position::new(5));
    consumer.reset(&mut bus, to).unwrap();
    let handled = consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(handled as u64, new);
    let after = 6..6 + i64::try_from(new).unwrap();
    assert_eq!(taken(&seen), after.collect::<Vec<_>>());
    assert_eq!(status(&mut bus).problem, None);
}

#[test]
fn a_status_shows_that_the_feed_has_an_older_state() {
    for new in [0, 2, 5, 10] {
        let (database, state) = (Sqlite::create(), Sqlite::create());
        let older = Sqlite::create();
        ship_all(&mut database.connect(), 1..=10);
        ship_all(&mut older.connect(), 1..=5 + new);
        let path = Arc::new(Mutex::new(database.path()));
        let serving = Serving::start(feed_at(&path));
        let mut bus = join(serving.url(), &state);
        let mut consumer = recording::<Orders>(&Seen::default());
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
        *path.lock().unwrap() = older.path();
        for mut bus in [bus, join(serving.url(), &state)] {
            let condition = status(&mut bus).condition;
            assert_eq!(condition, ConsumerCondition::BrokenCursor, "{new}");
        }
    }
}

/// The older state comes while a consumer has pages to read.
#[test]
fn an_older_state_between_two_pages_is_noticed() {
    let (database, state) = (Sqlite::create(), Sqlite::create());
    let backup = format!("{}.backup", database.path());
    let mut publisher = database.connect();
    ship_all(&mut publisher, 1..=2);
    publisher
        .batch_execute(&format!("VACUUM INTO '{backup}'"))
        .unwrap();
    ship_all(&mut publisher, 3..=10);
    let path = Arc::new(Mutex::new(database.path()));
    let serving = Serving::start(feed_at(&path));
    let seen = Seen::default();
    let mut bus = join(serving.url(), &state);
    let mut consumer = recording::<Orders>(&seen).page_size(5);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 5);
    ship_all(&mut connect_sqlite(&backup), 101..=120);
    *path.lock().unwrap() = backup;
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_broken_cursor(), "{error:#}");
    assert_eq!(taken(&seen), [1, 2, 3, 4, 5]);
}
