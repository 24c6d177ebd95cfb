//! Access to feeds and topics.

use std::convert::Infallible;
use std::sync::Arc;

use persisting_message_bus::backend::MessageSource;
use persisting_message_bus_http::{Feed, HttpSource};
use persisting_message_bus_tests::databases::{Database, Memory};
use serde_json::json;

use super::resuming::ship;
use super::serving::{Serving, TOPICS};

fn closed_feed() -> Feed {
    let database = Arc::new(Memory::create());
    ship(&mut database.connect(), 1);
    Feed::new(move || Ok::<_, Infallible>(database.connect()), TOPICS).unwrap()
}

#[test]
fn a_feed_is_closed_unless_it_is_made_public() {
    let serving = Serving::start(closed_feed());
    for headers in [
        &[][..],
        &[("authorization", "Bearer x")],
        &[("authorization", "Bearer ")],
    ] {
        serving.get_with("/orders", headers).problem(401);
        serving.get_with("/", headers).problem(401);
        serving.get_with("/nothing", headers).problem(401);
    }
    let serving = Serving::start(closed_feed().public());
    assert_eq!(serving.get("/orders").orders(), [1]);
}

#[test]
fn a_token_opens_its_topics_only() {
    let feed = closed_feed()
        .token("all")
        .token_for("some", ["orders"])
        .token("");
    let serving = Serving::start(feed);
    let get = |target, token| serving.get_with(target, &[("Authorization", token)]);
    for token in ["Bearer all", "bearer all", "Bearer some"] {
        assert_eq!(get("/orders", token).orders(), [1]);
    }
    assert_eq!(get("/payments", "Bearer all").orders(), [0; 0]);
    let forbidden = get("/payments", "Bearer some");
    forbidden.problem(403);
    assert!(
        forbidden
            .header("www-authenticate")
            .unwrap()
            .contains("insufficient_scope")
    );
    get("/nothing", "Bearer some").problem(403);
    get("/nothing", "Bearer all").problem(404);
    assert_eq!(get("/", "Bearer some").json()["topics"], json!(["orders"]));

    let missing = serving.get("/orders");
    missing.problem(401);
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer al",
        "Bearer alll",
        "Basic all",
        "all",
        "Bearer \u{fc}",
        "Bear",
    ] {
        let unauthorized = get("/orders", wrong);
        unauthorized.problem(401);
        let challenge = unauthorized.header("www-authenticate").unwrap();
        assert!(challenge.contains("invalid_token"), "{wrong}");
    }
}

#[test]
fn white_space_around_a_token_is_ignored() {
    let feed = closed_feed().token(" from a file\r\n").token(" \n");
    let serving = Serving::start(feed);
    let source = || HttpSource::new(serving.url()).unwrap();
    for token in ["from a file", "\tfrom a file\n"] {
        let mut source = source().token(token).unwrap();
        assert_eq!(source.current_head("orders").unwrap().get(), 1);
    }
    let empty = [("authorization", "Bearer  ")];
    serving.get_with("/orders", &empty).problem(401);
}

#[test]
fn a_token_that_is_set_twice_opens_the_topics_of_both() {
    let orders_and_payments = closed_feed()
        .token_for("t", ["orders"])
        .token_for("other", ["invoices"])
        .token_for(" t", ["payments", "orders"]);
    let everything = [
        closed_feed().token_for("t", ["orders"]).token("t"),
        closed_feed().token("t").token_for("t", ["orders"]),
    ];
    let topics = |feed| {
        let serving = Serving::start(feed);
        let index = serving.get_with("/", &[("authorization", "Bearer t")]);
        index.json()["topics"].clone()
    };
    assert_eq!(topics(orders_and_payments), json!(["orders", "payments"]));
    for feed in everything {
        assert_eq!(topics(feed), json!(["invoices", "orders", "payments"]));
    }
}

#[test]
fn a_source_sends_its_token_and_never_shows_it() {
    let serving = Serving::start(closed_feed().token_for("secret-7", ["orders"]));
    let source = || HttpSource::new(serving.url()).unwrap();
    let mut known = source().token("secret-7").unwrap();
    assert_eq!(known.current_head("orders").unwrap().get(), 1);
    let forbidden = known.current_head("payments").unwrap_err();
    assert_eq!(
        format!("{forbidden:#}"),
        format!(
            "the repository failed while reading the head of topic \"payments\" of {}: the server \
             answered 403 Forbidden: this token cannot read this topic",
            serving.url()
        )
    );
    let unknown = source()
        .token("secret-8")
        .unwrap()
        .current_head("orders")
        .unwrap_err();
    assert!(format!("{unknown:#}").contains("401 Unauthorized: this token is not known here"));
    let shown = format!("{known:?} {forbidden:?} {unknown:?}");
    assert!(shown.contains("has_token: true"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn invalid_settings_of_a_source_are_named() {
    let problem = |url: &str| format!("{:#}", HttpSource::new(url).unwrap_err());
    for url in [
        "",
        "orders",
        "ftp://host/",
        "/path",
        "https://",
        "http://a b/",
    ] {
        assert!(problem(url).starts_with("the repository failed while setting the address"));
    }
    let password = problem("https://user:pass@host/");
    assert!(password.contains("a name or a password"), "{password}");
    assert!(
        !password.contains("user") && !password.contains("pass@"),
        "{password}"
    );
    assert!(problem("https://host/?a=b").contains("must end after the path"));
    let source = || HttpSource::new("https://host/feeds/").unwrap();
    for token in ["", " ", "a\nb"] {
        assert!(source().token(token).is_err());
    }
    let missing = source().token_from_env("NO_SUCH_VARIABLE").unwrap_err();
    let missing = format!("{missing:#}");
    assert!(
        missing.contains("the token in NO_SUCH_VARIABLE"),
        "{missing}"
    );
    assert_eq!(
        format!("{:?}", source()),
        "HttpSource { url: \"https://host/feeds\", has_token: false, .. }"
    );
}
