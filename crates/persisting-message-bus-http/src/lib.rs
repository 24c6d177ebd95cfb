//! Serves topics of `persisting-message-bus` over HTTP to services that do not share a database.
//!
//! | feature | gives |
//! |---|---|
//! | `server` | [`Feed`]: serves topics as an axum router |
//! | `client` | [`HttpSource`]: reads a `Feed`; a consumer runs on it as on a table |
//!
//! # Example
//!
//! ```
//! # #[cfg(all(feature = "server", feature = "client"))]
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
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
//! let feed = Feed::new(move || Ok::<_, std::convert::Infallible>(bus.clone()), [Orders::NAME])
//!     .token("a long random text");
//!
//! let runtime = tokio::runtime::Runtime::new()?;
//! let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
//! let address = listener.local_addr()?;
//! // Otherwise, the end of a page waits until its beginning is acknowledged.
//! let listener = axum::serve::ListenerExt::tap_io(listener, |connection| {
//!     let _slower_otherwise = connection.set_nodelay(true);
//! });
//! runtime.spawn(async move { axum::serve(listener, feed.router()).await });
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
//! `application/cloudevents-batch+json`, `[]` at the end. With `Accept: text/event-stream`, the
//! answer consists of server-sent events, each with one CloudEvent.
//!
//! | parameter | meaning |
//! |---|---|
//! | `lastEventId` | events after this event: its `id`, or its `sequence` |
//! | `after` | events after this position, a `sequence`; 0 is the start, which is the default |
//! | `limit` | the maximum number of events; 0 returns an empty page, whose headers contain the topic's head |
//! | `timeout` | how many milliseconds to wait if there are no new events; 0, the default, does not wait |
//! | `type` | events of this type only; can be repeated |
//! | `exceptType` | events of all types except this one; can be repeated |
//!
//! If the event was pruned, or the position never existed, the answer is 404, and never the start
//! of the topic. All errors are `application/problem+json`.
//!
//! | header of a page | meaning |
//! |---|---|
//! | `Feed-Next` | the page covers the topic up to this position: continue with it as `after` |
//! | `Feed-Head` | the head: the position of the topic's last event at or below the high-water mark |
//! | `Feed-Head-Id` | the id of the event at the head, if there is one |
//! | `Feed-After-Id` | the id of the event after which the page begins, if it is there |
//! | `Feed-High-Water-Mark` | the high-water mark: nothing of the topic can still be committed at or below this position |
//! | `ETag`, `Cache-Control` | a cache can keep a full page and must revalidate it; it cannot keep other pages |
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
//! | `causationid`, `traceparent`, `partitionkey` | headers of these names, if it has them |
//! | `headers` | all headers as stored, the JSON object as a text |
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
