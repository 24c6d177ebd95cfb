//! Serves topics of `persisting-message-bus` over HTTP to services that do not share a database.
//!
//! | feature | gives |
//! |---|---|
//! | `server` | [`Feed`]: serves topics as an axum router |
//! | `client` | [`HttpSource`]: reads a `Feed`; a consumer runs on it as on a table |
//! | `compression` | pages in gzip: a `Feed` sends them, and an `HttpSource` asks for them |
//!
//! # Example
//!
//! ```
//! # #[cfg(all(feature = "server", feature = "client"))]
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
//! use hyper_util::server::conn::auto::Builder;
//! use hyper_util::service::TowerToHyperService;
//! use persisting_message_bus::memory::{InMemoryMessageConsumerState, InMemoryMessageBus};
//! use persisting_message_bus::{Message, MessageBus, MessageConsumer, MessageDispatcher, Topic};
//! use persisting_message_bus_http::{Feed, HttpSource};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize)]
//! # struct OrderPlaced { order: u32 }
//! # #[derive(Topic)]
//! # #[topic(name = "orders")]
//! # enum Orders { OrderPlaced(OrderPlaced) }
//!
//! // One service publishes messages and serves them. In production, `bus` is a pool.
//! let mut bus = InMemoryMessageBus::default();
//! MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced { order: 1 })?;
//! let feed = Feed::new(move || Ok::<_, std::convert::Infallible>(bus.clone()), [Orders::NAME])?
//!     .token("a long random text");
//! let app = TowerToHyperService::new(feed.router());
//!
//! let runtime = tokio::runtime::Runtime::new()?;
//! let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
//! let address = listener.local_addr()?;
//! runtime.spawn(async move {
//!     while let Ok((connection, _)) = listener.accept().await {
//!         // Otherwise, the end of a page waits until its beginning is acknowledged.
//!         let _slower_otherwise = connection.set_nodelay(true);
//!         let app = app.clone();
//!         tokio::spawn(async move {
//!             let mut server = Builder::new(TokioExecutor::new()).http1_only();
//!             // `axum::serve` would keep a client that never finishes its request.
//!             server.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
//!             server.serve_connection(TokioIo::new(connection), app).await
//!         });
//!     }
//! });
//!
//! // Another service consumes them. In production, `state` is a Diesel connection.
//! let source = HttpSource::new(format!("http://{address}"))?.token("a long random text")?;
//! let state = InMemoryMessageConsumerState::default();
//! let mut orders = Vec::new();
//! let mut consumer = MessageConsumer::<Orders>::external("mailer", |message: &Message<Orders>| {
//!     let Orders::OrderPlaced(placed) = message.payload();
//!     orders.push(placed.order);
//!     Ok(())
//! });
//! consumer.handle_page(&mut MessageBus::new(source, state))?;
//! drop(consumer);
//! assert_eq!(orders, [1]);
//! # Ok(())
//! # }
//! # #[cfg(all(feature = "server", feature = "client"))]
//! # run().unwrap();
//! ```
//!
//! # On the wire
//!
//! `GET /{topic}` returns a page of messages in the order of their positions, as a feed of
//! [http-feeds.org](https://www.http-feeds.org): CloudEvents 1.0 in
//! `application/cloudevents-batch+json`, `[]` at the end. A client that wants `text/event-stream`
//! more, by the weights of `Accept`, gets server-sent events, each with one CloudEvent. A client that
//! accepts neither gets a page.
//!
//! | parameter | meaning |
//! |---|---|
//! | `lastEventId` | events after this event: its `id`, or its `sequence`; empty and `null` mean the start |
//! | `after` | events after this position, a `sequence`; 0 is the start, which is the default |
//! | `limit` | the maximum number of events; 0 returns an empty page, whose headers contain the topic's head |
//! | `withLast` | the answer has the header `Feed-Last` |
//! | `timeout` | how many milliseconds to wait if there are no new events; 0, the default, does not wait |
//! | `type` | events of this type only; can be repeated |
//! | `exceptType` | events of all types except this one; can be repeated |
//!
//! If the event was pruned, or the position never existed, the answer is 404, and never the start
//! of the topic. All errors are `application/problem+json`. A client of server-sent events gets no
//! error that can pass (5xx), because a browser would then end its subscription for good. The
//! client gets a stream that ends, with the reason in a comment, and connects again.
//!
//! Each stream begins with the field `retry`, in which the time differs from client to client
//! ([`Limits::reconnect_delay`]). It continues after the event that the header `Last-Event-ID` names;
//! the header takes precedence over the parameters.
//!
//! | header of a page | meaning |
//! |---|---|
//! | `Feed-Next` | the page covers the topic up to this position: continue with it as `after` |
//! | `Feed-Head` | the head: the position of the topic's last event at or below the high-water mark |
//! | `Feed-Head-Id` | the id of the event at the head, if there is one |
//! | `Feed-After-Id` | the id of the event after which the page begins, if it is there |
//! | `Feed-Last` | with the parameter `withLast`: the last position that was ever assigned |
//! | `Feed-High-Water-Mark` | the high-water mark: nothing of the topic can still be committed at or below this position |
//! | `ETag`, `Cache-Control`, `If-None-Match` | a cache can keep a full page and must revalidate it; it cannot keep other pages |
//!
//! `GET /` returns the topics that the caller can read, and the last position that was ever
//! assigned.
//!
//! | attribute of an event | value of the message |
//! |---|---|
//! | `id`, `type`, `time`, `data` | id, type, time of recording, payload as stored |
//! | `source` | topic as a path, `/orders`, after the prefix that [`Feed::source`] sets |
//! | `topic`, `messageversion` | topic, version |
//! | `sequence` | position, with leading zeros to 20 digits |
//! | `correlationid` | the flow that it belongs to; its own id if its headers name no flow |
//! | `causationid`, `traceparent` | headers of these names, if it has them and CloudEvents permits their values |
//! | `partitionkey` | key; for a message without a key, the header of this name. In both cases only if CloudEvents permits the value |
//! | `headers` | all headers: a JSON object as a text, without white space between tokens, and with control characters escaped |
//! | `storedheaders` | the text of the headers as stored, as a JSON text, if it differs from `headers` |
//!
//! # Differences from http-feeds.org
//!
//! - An event that was pruned cannot be found by its `id`, which is random: the answer is 404. If you
//!   prune, keep the `sequence` of the last event, not its `id`.
//! - `type` is the message's type, without a prefix of a domain.
//! - There are no aggregate feeds: events have neither `subject` nor `method`, and nothing is
//!   compacted.
//! - `timeout` is capped at [`Limits::max_wait`] (30 seconds), and the answer does not say so.
//! - A full page can be kept by a cache, but must be revalidated each time, because pruning changes
//!   it.
//! - `messageversion` is an Integer of CloudEvents, at most 2,147,483,647. The library stores no
//!   higher version. A row of another program that has one is not served, and the error names it.
#![cfg_attr(
    not(all(feature = "server", feature = "client")),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "server")]
mod server;
#[cfg(any(feature = "server", feature = "client"))]
mod wire;

/// Compiles the code of the page as part of the tests.
#[cfg(all(doctest, feature = "server", feature = "client"))]
#[doc = include_str!("../../../docs/between-services.md")]
struct BetweenServices;

#[cfg(feature = "client")]
pub use client::HttpSource;
#[cfg(feature = "server")]
pub use server::{Feed, Limits, ShutdownHandle};
