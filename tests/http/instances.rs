//! Several instances of a feed answer at one address, and one of them has polled less recently.

use std::sync::Arc;

use diesel::MysqlConnection;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerKey, ConsumerStatus};
use persisting_message_bus::{Message, MessageBus, MessageConsumer};
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::databases::{Database, Mariadb, Sqlite};
use persisting_message_bus_tests::topics::Orders;

use super::resuming::{ship, ship_all};
use super::serving::{Serving, feed_of};

/// On MariaDB, each instance remembers when it saw a slot free. A publisher in flight holds an
/// instance back at its last poll, which can be before the consumer's cursor.
#[test]
fn an_instance_that_is_held_back_is_no_alarm() {
    let (database, state) = (Arc::new(Mariadb::create()), Sqlite::create());
    let [mut publisher, mut slow]: [MysqlConnection; 2] = [(); 2].map(|()| database.connect());
    let [one, other] = [(); 2].map(|()| Serving::start(feed_of(&database)));
    let join = |serving: &Serving| {
        let source = HttpSource::new(serving.url()).unwrap().max_attempts(1);
        MessageBus::new(source, state.connect()).source("shop")
    };
    let ignore = |_: &Message<Orders>| -> Result<(), HandlerError> { Ok(()) };
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    let mut handle = |serving: &Serving| {
        let handled = consumer.handle_new_messages(&mut join(serving));
        handled.unwrap_or_else(|error| panic!("{error:#}"))
    };
    ship_all(&mut publisher, 1..=7);
    assert_eq!(handle(&other), 7);
    ship_all(&mut publisher, 8..=10);
    assert_eq!(handle(&one), 3);
    slow.begin().unwrap();
    ship(&mut slow, 11);
    assert_eq!(handle(&other), 0);
    let key = ConsumerKey {
        consumer: "all",
        topic: "orders",
    };
    let status = ConsumerStatus::read(&mut join(&other), key).unwrap();
    assert_eq!(status.problem, None);
    slow.commit().unwrap();
    assert_eq!(handle(&other), 1);
    assert_eq!(handle(&one), 0);
}
