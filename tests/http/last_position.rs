//! The last position, which a consumer needs when its cursor is after the head.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::{MessageSource, SlotObservations};
use persisting_message_bus::{MessageBus, Position};
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::{Database, PooledSqlite, Sqlite};

use super::resuming::{ship, ship_all};
use super::serving::{Serving, feed_of};

fn source(serving: &Serving, path: &str) -> HttpSource {
    let url = format!("{}{path}", serving.url());
    HttpSource::new(url).unwrap().max_attempts(1)
}

#[test]
fn the_last_position_needs_no_index() {
    let database = Arc::new(PooledSqlite::create());
    ship_all(&mut database.connect(), 1..=3);
    // An application that has replaced the index by a page of its own.
    let home = from_fn(|request: Request, next: Next| async move {
        match request.uri().path() {
            "/" => "home".into_response(),
            _ => next.run(request).await,
        }
    });
    let serving = Serving::start_router(feed_of(&database).router().layer(home));
    let mut source = source(&serving, "");
    source.last_position().unwrap_err();
    let observations = &mut SlotObservations::default();
    source.high_water_mark("orders", observations).unwrap();
    assert_eq!(source.last_position().unwrap(), Position::new(3));
}

#[test]
fn the_index_is_found_with_and_without_a_slash() {
    let database = Arc::new(PooledSqlite::create());
    ship_all(&mut database.connect(), 1..=3);
    let both = Router::new().merge(feed_of(&database).nested_at("/feeds").unwrap());
    let without = Router::new().nest("/feeds", feed_of(&database).router());
    let with = Router::new().nest("/feeds/", feed_of(&database).router());
    for app in [both, without, with] {
        let serving = Serving::start_router(app);
        for path in ["/feeds", "/feeds/"] {
            let last = source(&serving, path).last_position();
            assert_eq!(last.unwrap(), Position::new(3), "{path}");
        }
    }
}

#[test]
fn a_cursor_after_the_head_is_compared_with_a_page_that_has_no_events() {
    let database = Arc::new(PooledSqlite::create());
    let state = Sqlite::create();
    let bus = &mut database.connect();
    ship_all(bus, 1..=5);
    let app = Router::new().nest("/feeds", feed_of(&database).router());
    let serving = Serving::start_router(app);
    let join = || MessageBus::new(source(&serving, "/feeds"), state.connect());
    assert_eq!(consume(&mut join()), [1, 2, 3, 4, 5]);
    bus.batch_execute("DELETE FROM public_messages").unwrap();
    assert_eq!(consume(&mut join()), [0; 0]);
    ship(bus, 6);
    assert_eq!(consume(&mut join()), [6]);
    let page = serving.get("/feeds/orders?limit=0&withLast");
    assert_eq!(page.header("feed-last"), Some("6"));
    // It costs a statement, so a poll does not get it.
    for path in ["/feeds/orders", "/feeds/orders?limit=0"] {
        assert_eq!(serving.get(path).header("feed-last"), None, "{path}");
    }
}

#[test]
fn an_index_that_is_not_there_is_reported_by_its_status() {
    let serving = Serving::start_router(Router::new());
    let error = format!(
        "{:#}",
        source(&serving, "/feeds").last_position().unwrap_err()
    );
    assert!(
        error.contains("the server answered 404 Not Found"),
        "{error}"
    );
    assert!(error.contains("/feeds"), "{error}");
}
