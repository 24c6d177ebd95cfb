//! A consumer that is held back, and a table whose counter outlives its rows, are no alarm.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::operate::{ConsumerKey, ConsumerStatus};
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::servers::MariadbServer;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::{consume, orders};

fn place(bus: &mut MysqlConnection, numbers: std::ops::RangeInclusive<u64>) {
    let placed = numbers.map(OrderPlaced::number);
    orders().dispatch_batch(bus, placed).unwrap();
}

type Ignoring = MessageConsumer<Orders, External<fn(&Message<Orders>) -> Result<(), HandlerError>>>;

fn ignoring() -> Ignoring {
    MessageConsumer::external("all", |_| Ok(()))
}

/// Two processes have a consumer of one name. One of them has polled less recently, so a publisher
/// in flight holds it back at a position before the cursor.
#[test]
fn a_consumer_whose_observations_are_older_than_the_cursor_is_no_alarm() {
    let database = Mariadb::create();
    let [mut bus, mut slow] = [(); 2].map(|()| database.connect());
    let (mut one, mut other) = (ignoring(), ignoring());
    place(&mut bus, 1..=7);
    assert_eq!(other.handle_new_messages(&mut bus).unwrap(), 7);
    place(&mut bus, 8..=10);
    assert_eq!(one.handle_new_messages(&mut bus).unwrap(), 3);
    slow.begin().unwrap();
    place(&mut slow, 11..=11);
    let handled = other.handle_new_messages(&mut bus);
    assert_eq!(handled.unwrap_or_else(|error| panic!("{error:#}")), 0);
    let key = ConsumerKey {
        consumer: "all",
        topic: "orders",
    };
    assert_eq!(ConsumerStatus::read(&mut bus, key).unwrap().problem, None);
    slow.commit().unwrap();
    assert_eq!(other.handle_new_messages(&mut bus).unwrap(), 1);
}

#[test]
fn a_pruned_topic_is_no_alarm_after_the_server_has_restarted() {
    let mut server = MariadbServer::start();
    let connect = |server: &MariadbServer| MysqlConnection::establish(&server.url()).unwrap();
    let mut bus = connect(&server);
    migrate(&mut bus).unwrap();
    place(&mut bus, 1..=10);
    assert_eq!(consume(&mut bus).len(), 10);
    bus.batch_execute("DELETE FROM public_messages").unwrap();
    for (order, is_killed) in [(11, false), (12, true)] {
        if is_killed {
            server.kill();
        } else {
            server.stop();
        }
        server.start_again();
        let mut bus = connect(&server);
        assert!(consume(&mut bus).is_empty());
        place(&mut bus, order..=order);
        assert_eq!(consume(&mut bus), [order]);
        bus.batch_execute("DELETE FROM public_messages").unwrap();
    }
}
