//! Subscriptions of Chromium, through nginx.

use std::thread::sleep;
use std::time::Duration;

use persisting_message_bus_tests::servers::{Chromium, Nginx};
use persisting_message_bus_tests::waiting::{wait_for, wait_until_every};

use super::latency::assert_are_fast;
use super::report::Reports;
use super::stand::{Stand, outage};

/// A page in the browser with several subscriptions.
struct Page {
    browser: Chromium,
    reports: Reports,
}

impl Page {
    /// Opens the page of a server with subscriptions: a name and the address of a topic.
    fn open(origin: &str, subscriptions: &[(&str, &str)]) -> Self {
        let reports = Reports::start();
        let mut url = format!("{origin}/#{}", reports.url());
        for (name, target) in subscriptions {
            url += &format!("%20{name}={target}");
        }
        Self {
            browser: Chromium::open(&url),
            reports,
        }
    }

    fn wait_for_orders(&mut self, subscription: &str, orders: &[u64]) {
        let awaited = format!("{orders:?} of {subscription}");
        wait_until_every(Duration::from_millis(10), &awaited, || {
            self.browser.assert_is_running();
            assert!(
                !self.reports.has_ended(subscription),
                "{subscription} ended"
            );
            self.reports.orders(subscription) == orders
        });
    }
}

#[test]
fn events_come_within_a_second_and_subscriptions_outlast_the_database() {
    let mut stand = Stand::start();
    // A page of one origin, and feeds of it and of another one.
    let elsewhere = Nginx::start(&format!(
        "location / {{ proxy_pass http://{}; }}",
        stand.address
    ));
    let shared = format!("{}/shared/orders", elsewhere.url());
    let closed = format!("{}/feeds/orders", elsewhere.url());
    let subscriptions = [
        ("same", "/feeds/orders"),
        ("prefix", "/shop/orders"),
        ("other", &shared),
        ("closed", &closed),
    ];
    stand.ship_several(3);
    let mut page = Page::open(&stand.nginx.url(), &subscriptions);
    let names = ["same", "prefix", "other"];
    for name in names {
        page.wait_for_orders(name, &stand.shipped());
    }
    // Without the headers of CORS, a page of another origin can read nothing.
    wait_for("the end", || {
        page.reports.has_ended("closed").then_some(()).ok_or(())
    });
    assert!(page.reports.orders("closed").is_empty());
    let times = (0..7).map(|_| {
        let (order, committed) = stand.ship();
        let received = names.map(|name| {
            wait_for("the order", || {
                page.reports.received_at(name, order).ok_or(order)
            })
        });
        let last = received.into_iter().max().unwrap();
        last.saturating_duration_since(committed)
    });
    assert_are_fast(times.collect());

    stand.postgres.kill();
    sleep(outage());
    stand.postgres.start_again();
    stand.ship_several(3);
    for name in names {
        page.wait_for_orders(name, &stand.shipped());
    }
}

#[test]
fn the_subscription_of_the_example_outlasts_the_server() {
    let mut stand = Stand::start();
    stand.ship_several(3);
    let mut page = Page::open(&stand.nginx.url(), &[("again", "/shop/orders")]);
    page.wait_for_orders("again", &stand.shipped());
    stand.stop_server();
    stand.ship_several(3);
    sleep(outage());
    stand.start_server();
    stand.ship_several(3);
    page.wait_for_orders("again", &stand.shipped());
    // After the subscription was opened again, it still reconnects by itself.
    stand.postgres.kill();
    sleep(outage());
    stand.postgres.start_again();
    stand.ship_several(3);
    page.wait_for_orders("again", &stand.shipped());
}
