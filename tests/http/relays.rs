//! Topics of a feed, relayed into another database.

use std::sync::Arc;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::{MessageRepository, MessageSource, RawMessage};
use persisting_message_bus::handler::Relay;
use persisting_message_bus::{MessageBus, OnDuplicate, Position, StartAt, Topic, relay};
use persisting_message_bus_http::{HttpSource, Limits};
use persisting_message_bus_tests::databases::{Database, PooledSqlite, Sqlite};
use persisting_message_bus_tests::hostile::accepted;
use persisting_message_bus_tests::topics::invoices::Invoices;
use persisting_message_bus_tests::topics::{Orders, Payments};

use super::correlation::pay;
use super::round_trip::{publish_strange_things, stored};
use super::serving::{Serving, TOPICS, feed_of};

const NAME: &str = "from the feed";

/// A feed, and the database into which its topics are relayed.
struct Ends {
    from: Arc<PooledSqlite>,
    serving: Serving,
    to: Sqlite,
}

impl Ends {
    fn new() -> Self {
        let from = Arc::new(PooledSqlite::create());
        publish_strange_things(&mut from.connect());
        pay(&from);
        // The relay needs several requests for each page, and several pages.
        let feed = feed_of(&from).limits(Limits::default().max_page_size(2));
        Self {
            serving: Serving::start(feed),
            from,
            to: Sqlite::create(),
        }
    }

    fn both(&self) -> MessageBus<HttpSource, SqliteConnection> {
        let source = HttpSource::new(self.serving.url()).unwrap();
        MessageBus::new(source, self.to.connect())
    }

    /// Relays all new messages, and returns their number.
    fn carry<T: Topic>(&self) -> usize {
        let mut relay: Relay<T, SqliteConnection> = relay(NAME).page_size(5);
        let mut both = self.both();
        let mut carried = 0;
        loop {
            match relay.handle_page(&mut both).unwrap() {
                0 => return carried,
                more => carried += more,
            }
        }
    }

    fn carry_all(&self) -> usize {
        self.carry::<Orders>() + self.carry::<Payments>() + self.carry::<Invoices>()
    }
}

/// Returns the messages without positions, because these differ in the other database.
fn messages(source: &mut impl MessageSource) -> Vec<RawMessage> {
    let of_topic = |topic| stored(source, topic, Position::new(i64::MAX));
    let messages = TOPICS.into_iter().flat_map(of_topic);
    messages.map(|(_, message)| message).collect()
}

#[test]
fn messages_relayed_from_a_feed_arrive_unchanged() {
    let ends = Ends::new();
    let there = messages(&mut ends.from.connect());
    assert_eq!(ends.carry_all(), there.len());
    let here = messages(&mut ends.to.connect());
    assert_eq!(here, there);
    assert!(here.iter().any(|message| message.correlation_id.is_none()));
    assert!(here.iter().any(|message| message.correlation_id.is_some()));
    assert_eq!(ends.carry_all(), 0);
}

#[test]
fn a_relay_carries_every_accepted_message_from_a_feed() {
    let from = Arc::new(PooledSqlite::create());
    for (message, _) in accepted() {
        let persisted = from.connect().persist(&[message], OnDuplicate::Fail);
        assert_eq!(persisted.unwrap(), 1);
    }
    let to = Sqlite::create();
    let ends = Ends {
        serving: Serving::start(feed_of(&from)),
        from,
        to,
    };
    assert_eq!(ends.carry::<Orders>(), accepted().len());
    let mut there = messages(&mut ends.from.connect());
    for message in &mut there {
        // A feed serves the payload as a part of a larger JSON text.
        message.payload = message.payload.trim().to_owned();
    }
    assert_eq!(messages(&mut ends.to.connect()), there);
}

#[test]
fn relaying_again_changes_nothing() {
    let ends = Ends::new();
    let all = ends.carry_all();
    let here = messages(&mut ends.to.connect());
    let mut orders: Relay<Orders, SqliteConnection> = relay(NAME);
    orders.reset(&mut ends.both(), StartAt::Start).unwrap();
    assert!(ends.carry_all() > 0);
    // As after a crash that lost the relay's cursor.
    let forget = "DELETE FROM message_consumer_state";
    ends.to.connect().batch_execute(forget).unwrap();
    assert_eq!(ends.carry_all(), all);
    assert_eq!(messages(&mut ends.to.connect()), here);
    assert_eq!(here, messages(&mut ends.from.connect()));
}
