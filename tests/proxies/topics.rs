//! Names of topics that nginx decodes and encodes.

use std::convert::Infallible;
use std::sync::Arc;

use persisting_message_bus::backend::{MessageRepository, MessageSource, RawMessage, Slot};
use persisting_message_bus::{OnDuplicate, Position};
use persisting_message_bus_http::{Feed, HttpSource};
use persisting_message_bus_tests::databases::{Database, Memory};
use persisting_message_bus_tests::http_server::HttpServer;
use persisting_message_bus_tests::servers::Nginx;
use uuid::Uuid;

fn message(topic: &str) -> RawMessage {
    RawMessage {
        correlation_id: None,
        key_slot: Slot::NONE,
        message_id: Uuid::now_v7(),
        topic: topic.to_owned().into(),
        message_type: "Strange".into(),
        message_version: 1,
        payload: "{}".to_owned(),
        headers: "{}".to_owned(),
        published_at: chrono::Utc::now(),
    }
}

#[test]
fn nginx_passes_all_topics_on_but_those_with_slashes() {
    let safe = [
        "orders", "...", "a b", "ümläut", "🦀", "a;b", "a%b", "a%2Fb", "a?b#c", "a\\b", "a+b",
    ];
    let with_slash = "a/b";
    let database = Arc::new(Memory::create());
    let messages: Vec<_> = safe.into_iter().chain([with_slash]).map(message).collect();
    database
        .connect()
        .persist(&messages, OnDuplicate::Fail)
        .unwrap();
    let connect = move || Ok::<_, Infallible>(database.connect());
    let feed = Feed::new(connect, safe.into_iter().chain([with_slash])).unwrap();
    let server = HttpServer::start(feed.public().nested_at("/feeds").unwrap());
    let nginx = Nginx::start(&format!(
        "location /feeds/ {{ proxy_pass http://{0}; }}\n\
         location /shop/ {{ proxy_pass http://{0}/feeds/; }}",
        server.address
    ));
    let source = |path: &str| {
        let source = HttpSource::new(format!("{}{path}", nginx.url())).unwrap();
        source.max_attempts(1)
    };
    for path in ["/feeds", "/shop"] {
        for (index, topic) in safe.into_iter().enumerate() {
            let head = source(path).current_head(topic);
            let head = head.unwrap_or_else(|error| panic!("{path}: {error:#}"));
            assert_eq!(head, Position::new(index as i64 + 1), "{path} {topic}");
        }
    }
    source("/feeds").current_head(with_slash).unwrap();
    // With a path in `proxy_pass`, nginx decodes the slash and does not encode it again.
    let error = source("/shop").current_head(with_slash).unwrap_err();
    assert!(format!("{error:#}").contains("404 Not Found"), "{error:#}");
}
