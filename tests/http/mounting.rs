//! A feed under a path of an application.

use std::sync::Arc;

use axum::Router;
use persisting_message_bus_tests::databases::{Database, Memory};

use super::resuming::ship;
use super::serving::{Serving, feed_of};

fn database() -> Arc<Memory> {
    let database = Arc::new(Memory::create());
    ship(&mut database.connect(), 1);
    database
}

#[test]
fn the_index_is_at_the_path_with_and_without_a_slash() {
    let database = database();
    for path in ["/", "", "/feeds", "feeds/", "/a/b"] {
        let serving = Serving::nested(path, feed_of(&database));
        let base = match path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        for index in [base.clone(), format!("{base}/")] {
            let target = if index.is_empty() { "/" } else { &index };
            assert_eq!(serving.get(target).json()["last"], 1, "{path} {target}");
        }
        assert_eq!(serving.get(&format!("{base}/orders")).orders(), [1]);
    }
}

#[test]
fn an_unknown_address_under_the_path_is_a_problem() {
    let serving = Serving::nested("/feeds", feed_of(&database()));
    for target in [
        "/feeds/nothing",
        "/feeds/orders/",
        "/feeds/orders/1",
        "/feeds/%2F",
    ] {
        serving.get(target).problem(404);
    }
}

#[test]
fn the_other_routes_of_the_application_stay_its_own() {
    let app = Router::new()
        .route("/", axum::routing::get(|| async { "home" }))
        .fallback(|| async { "nothing" })
        .merge(feed_of(&database()).nested_at("/feeds").unwrap());
    let serving = Serving::start_router(app);
    assert_eq!(serving.get("/").body, b"home");
    assert_eq!(serving.get("/elsewhere").body, b"nothing");
    assert_eq!(serving.get("/feedsy").body, b"nothing");
    assert_eq!(serving.get("/feeds/orders").orders(), [1]);
    serving.get("/feeds/x/y").problem(404);
}

#[test]
fn a_path_that_no_request_matches_is_an_error() {
    let database = database();
    for path in [
        "/{topic}",
        "/a b",
        "/../feeds",
        "https://shop.example/feeds",
        "/:a",
        "/a?b",
    ] {
        let error = feed_of(&database).nested_at(path).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains(&format!("setting the path {path:?} of a feed")),
            "{error}"
        );
    }
}
