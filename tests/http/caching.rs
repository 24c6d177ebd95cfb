//! Caching of a feed's answers.

use std::sync::Arc;

use persisting_message_bus_tests::databases::{Database, Memory};

use super::resuming::{ship, ship_all};
use super::serving::{Serving, feed_of};

#[test]
fn a_full_page_keeps_its_content_and_tag() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    ship_all(bus, 1..=2);
    let serving = Serving::start(feed_of(&database));
    let full = serving.get("/orders?limit=2");
    assert_eq!(full.header("cache-control"), Some("public, no-cache"));
    let tag = full.header("etag").unwrap();
    ship(bus, 3);
    let again = serving.get("/orders?limit=2");
    assert_eq!(again.body, full.body);
    assert_eq!(again.header("etag"), Some(tag));

    for known in [tag.to_owned(), format!("\"other\", {tag}")] {
        let known = serving.get_with("/orders?limit=2", &[("If-None-Match", &known)]);
        assert_eq!(known.status, 304);
        assert_eq!(known.body, b"");
        assert_eq!(known.header("etag"), Some(tag));
    }
    let other = serving.get_with("/orders?limit=1", &[("If-None-Match", tag)]);
    assert_eq!(other.orders(), [1]);
}

#[test]
fn a_partial_page_is_not_cached() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    ship(bus, 1);
    let serving = Serving::start(feed_of(&database));
    for target in ["/orders?limit=2", "/orders?after=1", "/orders?limit=0", "/"] {
        let page = serving.get(target);
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("etag"), None);
    }
}

#[test]
fn a_page_read_with_a_token_is_private() {
    let database = Arc::new(Memory::create());
    ship(&mut database.connect(), 1);
    let connect = move || Ok::<_, std::convert::Infallible>(database.connect());
    let feed = persisting_message_bus_http::Feed::new(connect, ["orders"])
        .unwrap()
        .token("t");
    let serving = Serving::start(feed);
    let page = serving.get_with("/orders?limit=1", &[("authorization", "Bearer t")]);
    assert_eq!(page.header("cache-control"), Some("private, no-cache"));
    assert!(page.header("vary").unwrap().contains("authorization"));
}

#[test]
fn pages_are_compressed_when_the_client_accepts_gzip() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    ship_all(bus, 1..=100);
    let serving = Serving::start(feed_of(&database));
    let plain = serving.get("/orders");
    let packed = serving.get_with("/orders", &[("accept-encoding", "gzip")]);
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 4 < plain.body.len());
}
