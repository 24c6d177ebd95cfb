//! Consumers of a feed that nginx serves under another path.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::{
    Message, MessageBus, MessageConsumer, MessageDispatcher, Position, StartAt,
};
use persisting_message_bus_http::{Feed, HttpSource};
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::http_server::HttpServer;
use persisting_message_bus_tests::servers::Nginx;
use persisting_message_bus_tests::topics::{OrderShipped, Orders};

/// A feed at `/feeds` of its server, and at `/shop` of nginx.
struct Shop {
    database: Arc<Sqlite>,
    state: Sqlite,
    _server: HttpServer,
    nginx: Nginx,
}

impl Shop {
    fn open(mount: impl Fn(Feed) -> Router) -> Self {
        let database = Arc::new(Sqlite::create());
        let shared = Arc::clone(&database);
        let connect = move || Ok::<_, Infallible>(shared.connect());
        let server = HttpServer::start(mount(Feed::new(connect, ["orders"]).unwrap().public()));
        let to = format!("proxy_pass http://{}/feeds/", server.address);
        Self {
            database,
            state: Sqlite::create(),
            nginx: Nginx::start(&format!("location /shop/ {{ {to}; }}")),
            _server: server,
        }
    }

    fn source(&self) -> HttpSource {
        let source = HttpSource::new(format!("{}/shop", self.nginx.url())).unwrap();
        source.max_attempts(1)
    }

    fn join(&self) -> MessageBus<HttpSource, diesel::SqliteConnection> {
        MessageBus::new(self.source(), self.state.connect())
    }

    fn ship(&self, orders: std::ops::RangeInclusive<u64>) {
        let orders = orders.map(|order| OrderShipped { order });
        MessageDispatcher::<Orders>::new()
            .dispatch_batch(&mut self.database.connect(), orders)
            .unwrap();
    }

    fn delete(&self, which: &str) {
        let delete = format!("DELETE FROM public_messages {which}");
        self.database.connect().batch_execute(&delete).unwrap();
    }
}

fn nested(feed: Feed) -> Router {
    feed.nested_at("/feeds").unwrap()
}

/// As applications do it that do not know `nested_at`.
fn nested_by_axum(feed: Feed) -> Router {
    Router::new().nest("/feeds", feed.router())
}

#[test]
fn a_consumer_goes_on_after_all_messages_were_pruned() {
    for mount in [nested, nested_by_axum] {
        let shop = Shop::open(mount);
        shop.ship(1..=5);
        assert_eq!(consume(&mut shop.join()), [1, 2, 3, 4, 5]);
        shop.delete("");
        // The cursor is after the head, which is 0.
        assert_eq!(consume(&mut shop.join()), [0; 0]);
        shop.ship(6..=7);
        assert_eq!(consume(&mut shop.join()), [6, 7]);
    }
}

#[test]
fn a_consumer_can_be_reset_to_a_position_after_the_head() {
    for mount in [nested, nested_by_axum] {
        let shop = Shop::open(mount);
        shop.ship(1..=5);
        shop.delete("WHERE id > 3");
        let mut bus = shop.join();
        assert_eq!(consume(&mut bus), [1, 2, 3]);
        let ignore = |_: &Message<Orders>| Ok(());
        let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
        let to = StartAt::Position(Position::new(5));
        consumer.reset(&mut bus, to).unwrap();
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
        shop.ship(6..=6);
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    }
}

#[test]
fn a_pruned_tail_is_reported_as_on_a_table() {
    for mount in [nested, nested_by_axum] {
        let shop = Shop::open(mount);
        shop.ship(1..=5);
        consume(&mut shop.join());
        shop.delete("WHERE id > 3");
        let ignore = |_: &Message<Orders>| Ok(());
        let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
        let error = consumer.handle_new_messages(&mut shop.join()).unwrap_err();
        assert!(error.is_broken_cursor(), "{error:#}");
        assert!(
            format!("{error:#}").contains("but no message is there"),
            "{error:#}"
        );
    }
}

#[test]
fn the_index_is_at_both_forms_of_its_address() {
    let shop = Shop::open(nested);
    shop.ship(1..=5);
    let last = shop.source().last_position();
    assert_eq!(last.unwrap(), Position::new(5));
    // An address that the proxy does not serve.
    let elsewhere = HttpSource::new(format!("{}/elsewhere", shop.nginx.url())).unwrap();
    let error = elsewhere.max_attempts(1).last_position().unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("the server answered 404 Not Found"),
        "{error}"
    );
}
