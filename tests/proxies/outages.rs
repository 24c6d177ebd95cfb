//! Subscriptions through nginx that outlast their database and their server.

use std::thread::sleep;

use persisting_message_bus_tests::waiting::wait_until;

use super::stand::{Stand, outage};
use super::subscriber::{Rules, Subscriber};

#[test]
fn a_subscription_outlasts_the_database() {
    let mut stand = Stand::start();
    stand.ship_several(3);
    let address = stand.nginx.address();
    let subscriber = Subscriber::start(address, "/shop/orders", Rules::EventSource);
    wait_until("the first orders", || subscriber.orders().len() == 3);
    let begun = subscriber.answers();
    stand.postgres.kill();
    // The client comes back, and is sent away for a time.
    wait_until("another answer", || subscriber.answers() > begun);
    sleep(outage());
    stand.postgres.start_again();
    stand.ship_several(3);
    let all = stand.shipped();
    wait_until("all orders", || {
        assert_eq!(subscriber.ended_by(), None);
        subscriber.orders() == all
    });
}

#[test]
fn a_subscription_that_comes_back_after_any_answer_outlasts_the_server() {
    let mut stand = Stand::start();
    stand.ship_several(3);
    let address = stand.nginx.address();
    let plain = Subscriber::start(address, "/shop/orders", Rules::EventSource);
    let persistent = Subscriber::start(address, "/shop/orders", Rules::AnyAnswer);
    for subscriber in [&plain, &persistent] {
        wait_until("the first orders", || subscriber.orders().len() == 3);
    }
    stand.stop_server();
    stand.ship_several(3);
    // No server can keep a browser subscribed while it is away: the answer is nginx's own.
    wait_until("the end", || plain.ended_by().is_some());
    assert_eq!(plain.ended_by(), Some(502));
    sleep(outage());
    stand.start_server();
    stand.ship_several(3);
    let all = stand.shipped();
    wait_until("all orders", || persistent.orders() == all);
}
